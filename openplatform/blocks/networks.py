"""Addresses and networks in one form, and a lookup whose cost does not grow with their number. Pure: no Django."""

import ipaddress
import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FOR_EVER = math.inf
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # IPv4 in IPv6's clothes
_MAPPED_BITS = 96
_NETWORKS: dict[int, Callable[[tuple[int, int]], Network]] = {4: ipaddress.IPv4Network, 6: ipaddress.IPv6Network}
# Whoever rents one machine is given a whole /64: a single address of it means nothing.
_OWNED_PREFIX = {4: 32, 6: 64}


def read_address(text: str) -> Address:
    """IPv4 in IPv6's clothes counts as IPv4; a zone is none of an address's business. Raises ValueError."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError("an address with a zone")
        return address.ipv4_mapped or address
    return address


def read_network(text: str) -> Network:
    """ "10.0.0.0/8" or "2400:db8::/32", with no bit set behind the prefix. Raises ValueError."""
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isdecimal() or "%" in address:
        raise ValueError("not of the form address/length")
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        number = int(network.network_address) % 2**32
        return ipaddress.IPv4Network((number, network.prefixlen - _MAPPED_BITS))
    return network


def network_of(address: Address, *, prefix: int | None = None) -> Network:
    """The network with that prefix that the address is in; the address alone without one."""
    length = address.max_prefixlen if prefix is None else prefix
    shift = address.max_prefixlen - length
    return _NETWORKS[address.version]((int(address) >> shift << shift, length))


@lru_cache(maxsize=65_536)
def place_of(text: str) -> Network:
    """An address or a network, as place_text() wrote it. Raises ValueError."""
    return read_network(text) if "/" in text else network_of(read_address(text))


def place_text(network: Network) -> str:
    """An address alone is written without its length."""
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address if alone else network)


def owned_network(address: Address) -> Network:
    """What one stranger may hold for certain: an IPv4 address, or the /64 of an IPv6 one."""
    return network_of(address, prefix=_OWNED_PREFIX[address.version])


def networks_around(address: Address) -> Iterator[Network]:
    """Every network that the address is in, the widest first."""
    return (network_of(address, prefix=length) for length in range(address.max_prefixlen + 1))


class NetworkTable:
    """Networks, each in force until a moment (seconds since the epoch, or FOR_EVER).

    They lie in one dictionary for each prefix length, so a lookup asks once for each length that occurs: never more
    than 33 times for IPv4 and 129 for IPv6, whether there are ten networks or a million.
    """

    def __init__(self, networks: Iterable[tuple[Network, float]] = ()) -> None:
        by_shift: dict[int, dict[int, dict[int, float]]] = {4: {}, 6: {}}
        for network, until in networks:
            shift = network.max_prefixlen - network.prefixlen
            table = by_shift[network.version].setdefault(shift, {})
            number = int(network.network_address) >> shift
            table[number] = max(until, table.get(number, until))
        self._tables = {version: tuple(tables.items()) for version, tables in by_shift.items()}

    def __bool__(self) -> bool:
        return any(self._tables.values())

    def holds(self, address: Address, *, at: float) -> bool:
        """Whether a network that is in force at `at` has this address."""
        number = int(address)
        return any(at < table.get(number >> shift, 0) for shift, table in self._tables[address.version])
