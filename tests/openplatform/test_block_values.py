"""One form for one thing, and nothing that is no such thing."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openplatform.blind_index import blind_index
from openplatform.blocks import values
from openplatform.blocks.networks import NetworkTable, place_of, place_text, read_address
from openplatform.blocks.values import Kind, ListingRefused, read_place, read_value

NOW = 1_000.0
FOR_EVER = float("inf")

ADDRESSES = st.one_of(
    st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address),
    st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address),
    st.integers(0, 2**32 - 1).map(lambda number: ipaddress.IPv6Address((0xFFFF << 32) + number)),
)


def a_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix: int):
    return ipaddress.ip_network(f"{address}/{min(prefix, address.max_prefixlen)}", strict=False)


NETWORKS = st.builds(a_network, ADDRESSES, st.integers(0, 128))


@pytest.mark.parametrize(
    ("kind", "typed", "stored"),
    [
        (Kind.IP, " 203.0.113.9 ", "203.0.113.9"),
        (Kind.IP, "::ffff:203.0.113.9", "203.0.113.9"),
        (Kind.IP, "2001:DB8:0::1", "2001:db8::1"),
        (Kind.CIDR, "203.0.113.0/24", "203.0.113.0/24"),
        (Kind.CIDR, "203.0.113.0/024", "203.0.113.0/24"),
        (Kind.CIDR, "2001:DB8:0:0::/32", "2001:db8::/32"),
        (Kind.CIDR, "::ffff:203.0.113.0/120", "203.0.113.0/24"),
        (Kind.APP, "7123456789012345678", "7123456789012345678"),
        (Kind.SERIAL, "ABCDEF012345", "ABCDEF012345"),
        (Kind.NOTIFY_HOST, "Shop.Example.COM.", "shop.example.com"),
        (Kind.NOTIFY_HOST, "[2001:DB8::1]", "2001:db8::1"),
        (Kind.NOTIFY_HOST, "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_one_thing_has_one_form(kind, typed, stored):
    assert read_value(kind, typed) == values.Value(stored=stored)
    assert read_value(kind, stored).stored == stored


@pytest.mark.parametrize(
    ("kind", "typed", "code"),
    [
        *((Kind.IP, text, "BLOCK_NOT_AN_ADDRESS") for text in (
            "", "203.0.113", "203.0.113.256", "203.0.113.09", "203.0.113.0/24", "fe80::1%eth0", "2130706433", "0.0.0.0",
            "２０３.0.113.9", "shop.example.com")),
        *((Kind.CIDR, text, "BLOCK_NOT_A_NETWORK") for text in (
            "", "203.0.113.0", "203.0.113.0/", "203.0.113.0/33", "203.0.113.0/255.255.255.0", "203.0.113.0/-1",
            "2001:db8::%1/64", "203.0/16", "203.0.113.0/24/24", "203.0.113.0/２４")),
        (Kind.CIDR, "203.0.113.9/24", "BLOCK_HOST_BITS_SET"),
        (Kind.CIDR, "203.0.113.9/32", "BLOCK_ONE_ADDRESS"),
        (Kind.CIDR, "2001:db8::1/128", "BLOCK_ONE_ADDRESS"),
        (Kind.CIDR, "0.0.0.0/0", "BLOCK_TOO_WIDE"),
        (Kind.CIDR, "128.0.0.0/7", "BLOCK_TOO_WIDE"),
        (Kind.CIDR, "::ffff:0.0.0.0/96", "BLOCK_TOO_WIDE"),
        (Kind.CIDR, "2000::/3", "BLOCK_TOO_WIDE"),
        *((Kind.APP, text, "BLOCK_NOT_AN_APP") for text in ("", "0", "012", "abc", "9" * 19, "١٢٣")),
        *((Kind.SERIAL, text, "BLOCK_NOT_A_KEY") for text in ("", "SHORT", "A" * 65, "ABC-DEF-0123")),
        *((Kind.PAYER_HASH, text, "BLOCK_NOT_A_PAYER") for text in (
            "", "short", "two words here", "付款人付款人付款人", "o" * 129)),
        *((Kind.NOTIFY_HOST, text, "BLOCK_NOT_A_HOST") for text in (
            "", "localhost", "com", "https://shop.example.com", "shop.example.com/n", "shop.example.com:443",
            "-a.example", "a..example", "商店.example", "1.2.3", f"{'a' * 64}.example",
            ".".join(["a" * 60] * 5), "a.example.1x")),
    ],
)  # fmt: skip
def test_what_is_no_such_thing_is_refused_by_name(kind, typed, code):
    with pytest.raises(ListingRefused) as refusal:
        read_value(kind, typed)
    assert refusal.value.code == code


def test_a_payer_is_read_as_what_must_not_be_stored():
    value = read_value(Kind.PAYER_HASH, " oUpF8uMuAJO_M2pxb1Q9zNjWeS6o ")
    assert value == values.Value(secret="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", tail="eS6o")
    assert "oUpF8" not in repr(value)


def test_an_index_is_another_one_under_another_key_or_of_another_kind():
    indexes = {
        values.payer_index("o-payer-1", key=b"k" * 32),
        values.payer_index("o-payer-1", key=b"K" * 32),
        values.payer_index("o-payer-2", key=b"k" * 32),
        blind_index(key=b"k" * 32, kind="another kind", text="o-payer-1"),
    }
    assert len(indexes) == 4
    assert {len(index) for index in indexes} == {64}


@given(st.one_of(ADDRESSES.map(str), NETWORKS.map(str)))
def test_a_place_has_one_form_that_reads_as_itself(text):
    try:
        place = read_place(text)
    except ListingRefused:
        return
    assert place_of(place_text(place)) == place


def covers(network, address) -> bool:
    """By the standard library alone; IPv4 in IPv6's clothes counts as IPv4 on both sides."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(ipaddress.IPv6Network("::ffff:0:0/96")):
        network = ipaddress.ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return address.version == network.version and address in network


@given(st.lists(NETWORKS, max_size=12), st.data())
def test_a_table_holds_what_the_standard_library_says(networks, data):
    table = NetworkTable((place_of(str(network)), FOR_EVER) for network in networks)
    inside = [ipaddress.ip_address(int(network.network_address)) if network.version == 4 else network.network_address
              for network in networks]  # fmt: skip
    edges = [network.broadcast_address for network in networks]
    for address in [*inside, *edges, *data.draw(st.lists(ADDRESSES, max_size=8))]:
        expected = any(covers(network, address) for network in networks)
        assert table.holds(read_address(str(address)), at=NOW) is expected, address


def test_an_entry_of_a_table_is_over_at_its_time_and_the_longer_one_counts():
    network, address = place_of("198.51.100.0/24"), read_address("198.51.100.7")
    table = NetworkTable([(network, NOW + 5), (network, NOW + 3)])
    assert table.holds(address, at=NOW + 4.9)
    assert not table.holds(address, at=NOW + 5)


class CountedTable(dict):
    asked = 0

    def get(self, *args):
        CountedTable.asked += 1
        return super().get(*args)


def questions_asked(count: int, *, of: str) -> int:
    """How often a lookup of an address that is nowhere in the table asks a dictionary."""
    networks = [place_of(f"{number >> 8 & 255}.{number >> 16 & 255}.{number & 255}.0/24") for number in range(count)]
    networks += [place_of(f"2400:{number:x}::/32") for number in range(1, count)]
    table = NetworkTable((network, FOR_EVER) for network in networks)
    table._tables = {
        version: tuple((shift, CountedTable(entries)) for shift, entries in tables)
        for version, tables in table._tables.items()
    }
    CountedTable.asked = 0
    assert not table.holds(read_address(of), at=NOW)
    return CountedTable.asked


@pytest.mark.parametrize("of", ["223.255.255.1", "2a00::1"])
def test_a_lookup_in_ten_thousand_networks_asks_no_more_than_in_ten(of):
    assert questions_asked(10, of=of) == questions_asked(10_000, of=of) == 1
