"""What a person names, in the one form in which it is compared. No rows, no queries."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from openplatform.blind_index import blind_index
from openplatform.blocks.networks import Network, place_of, read_address, read_network
from openplatform.client_ip import UNKNOWN

TAIL_LENGTH = 4
PAYER_INDEX = "payer"
# Wider than any one holder's: a typing mistake must not shut out a part of the world.
PREFIX_MIN = {4: 8, 6: 16}
_APP_ID = re.compile(r"[1-9][0-9]{0,18}")
_SERIAL_NO = re.compile(r"[A-Za-z0-9_]{8,64}")
_PAYER = re.compile(r"[!-~]{8,128}")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# No top-level name has a digit first, and no address passes for a name.
_HOST = re.compile(rf"({_LABEL}\.)+(?![0-9]){_LABEL}")
_HOST_LENGTH_MAX = 253


class Kind(StrEnum):
    """What an entry of the blacklist is about."""

    IP = "ip"
    CIDR = "cidr"
    APP = "app"
    SERIAL = "serial"
    PAYER_HASH = "payer_hash"
    NOTIFY_HOST = "notify_host"


@dataclass(frozen=True, kw_only=True)
class Value:
    """`stored` is what is compared. What must not be stored is `secret` instead: its index is compared, and `tail`, its
    last characters, are for people.
    """

    stored: str = ""
    secret: str = field(default="", repr=False)
    tail: str = ""


class ListingRefused(ValueError):
    """The entry is not taken."""

    # Never changes. The text is the class's docstring, fit for the operator; its Chinese is in the console's catalogue.
    code = "BLOCK_REFUSED"

    def __init__(self) -> None:
        super().__init__((type(self).__doc__ or "").strip())


class NotAnAddress(ListingRefused):
    """This is not an IPv4 or IPv6 address."""

    code = "BLOCK_NOT_AN_ADDRESS"


class NotANetwork(ListingRefused):
    """This is not a network of the form 203.0.113.0/24 or 2001:db8::/32."""

    code = "BLOCK_NOT_A_NETWORK"


class HostBitsSet(ListingRefused):
    """The network has digits behind its length: write 203.0.113.0/24, not 203.0.113.9/24."""

    code = "BLOCK_HOST_BITS_SET"


class OneAddress(ListingRefused):
    """This network is one address: enter it as an IP address."""

    code = "BLOCK_ONE_ADDRESS"


class TooWide(ListingRefused):
    """This network is too wide: at least /8 for IPv4, /16 for IPv6."""

    code = "BLOCK_TOO_WIDE"


class NotAnApp(ListingRefused):
    """There is no app with this id."""

    code = "BLOCK_NOT_AN_APP"


class NotAKey(ListingRefused):
    """There is no key with this serial number."""

    code = "BLOCK_NOT_A_KEY"


class NotAPayer(ListingRefused):
    """A payer's id at the channel (openid) has 8 to 128 characters and no spaces."""

    code = "BLOCK_NOT_A_PAYER"


class NotAHost(ListingRefused):
    """This is not the name or address of a host, such as shop.example.com: no scheme, port or path."""

    code = "BLOCK_NOT_A_HOST"


def read_value(kind: Kind, text: str) -> Value:
    """Raises ListingRefused, by a subclass that names why."""
    return _READERS[kind](text.strip())


def read_place(text: str) -> Network:
    """An address or a network, for the lists of places from which one may call. Raises ListingRefused."""
    text = text.strip()
    return place_of((_network if "/" in text else _address)(text).stored)


def payer_index(payer_id: str, *, key: bytes) -> str:
    return blind_index(key=key, kind=PAYER_INDEX, text=payer_id)


def host_text(host: str) -> str:
    """One form of a host as it stands in a URL: lower case, an address without brackets. "" for what is none."""
    try:
        return str(read_address(host.strip("[]")))
    except ValueError:
        name = host.lower().removesuffix(".")
        return name if _HOST.fullmatch(name) and len(name) <= _HOST_LENGTH_MAX else ""


def host_and_above(host: str) -> list[str]:
    """The host in its form, and every name above it but the top-level one."""
    text = host_text(host)
    labels = text.split(".")
    return [text, *(".".join(labels[start:]) for start in range(1, len(labels) - 1))]


def _address(text: str) -> Value:
    try:
        address = str(read_address(text))
    except ValueError:
        raise NotAnAddress from None
    if address == UNKNOWN:  # stands for everybody whose address we do not know
        raise NotAnAddress
    return Value(stored=address)


def _network(text: str) -> Value:
    try:
        network = read_network(text)
    except ValueError as error:
        raise (HostBitsSet if "host bits" in str(error) else NotANetwork) from None
    if network.prefixlen == network.max_prefixlen:
        raise OneAddress
    if network.prefixlen < PREFIX_MIN[network.version]:
        raise TooWide
    return Value(stored=str(network))


def _app(text: str) -> Value:
    if not _APP_ID.fullmatch(text) or int(text) >= 2**63:
        raise NotAnApp
    return Value(stored=text)


def _serial(text: str) -> Value:
    if not _SERIAL_NO.fullmatch(text):
        raise NotAKey
    return Value(stored=text)


def _payer(text: str) -> Value:
    if not _PAYER.fullmatch(text):
        raise NotAPayer
    return Value(secret=text, tail=text[-TAIL_LENGTH:])


def _host(text: str) -> Value:
    host = host_text(text)
    if not host:
        raise NotAHost
    return Value(stored=host)


_READERS: Mapping[Kind, Callable[[str], Value]] = {
    Kind.IP: _address,
    Kind.CIDR: _network,
    Kind.APP: _app,
    Kind.SERIAL: _serial,
    Kind.PAYER_HASH: _payer,
    Kind.NOTIFY_HOST: _host,
}
