"""Which addresses are on the public Internet, so that a name or a number from outside may lead us there."""

import ipaddress

# The one part of IPv6 that is given out. What lies outside it is ours, local, or IPv4 in other clothes (NAT64,
# "compatible" and "translated" addresses), and `is_global` of some Python versions accepts a part of that.
_GIVEN_OUT = ipaddress.ip_network("2000::/3")
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")  # RFC 9637, younger than the standard library's table


def is_public(address: str) -> bool:
    """Whether `address`, IPv4 or IPv6 without brackets, is a public unicast one. Raises ValueError if it is neither."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped  # judged as what it reaches
        elif ip.sixtofour is not None or ip.teredo is not None or ip not in _GIVEN_OUT or ip in _DOCUMENTATION:
            return False
    return ip.is_global and not ip.is_multicast
