"""Whose request it is, by address: the peer of the connection, or what our own proxies say of it."""

import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "0.0.0.0"  # noqa: S104 - stands for nobody: a peer on a Unix socket has no address
_WITH_PORT = re.compile(r"(?P<v4>[0-9.]+):[0-9]{1,5}|\[(?P<v6>[^\[\]]*:[^\[\]]*)\](?::[0-9]{1,5})?")


def client_ip(request: HttpRequest) -> str:
    """The caller's address in its one normal form; IPv4 in IPv6's clothes counts as IPv4.

    Each of our TRUSTED_PROXY_COUNT proxies appends the peer that it saw to X-Forwarded-For, so the caller stands that
    many places from the right. Whatever stands further left the caller wrote itself.
    """
    seen = request.META.get("REMOTE_ADDR", "")
    proxies = settings.TRUSTED_PROXY_COUNT
    if proxies:
        hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
        # A chain that is shorter than ours did not pass all proxies: then the connection's peer is all we know.
        seen = hops[-proxies] if len(hops) >= proxies else seen
    return normal_ip(seen)


def normal_ip(text: str) -> str:
    """One text for one address; UNKNOWN for what is no address.

    Proxies write it alone, as `192.0.2.1:4711`, `[2001:db8::1]` or `[2001:db8::1]:4711`, and each of these in quotes.
    """
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    form = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address(form["v4"] or form["v6"] if form else text)
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        address = ipaddress.IPv6Address(int(address))  # without a zone
    return str(address)
