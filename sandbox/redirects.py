"""Addresses of others: where a browser may be sent back to (hosts on a list), and which hosts are private."""

import ipaddress
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sandbox import environment


def allowed(url: str) -> bool:
    """An absolute http(s) address whose host is on the list; any port."""
    return bool(origin(url))


def origin(url: str) -> str:
    """Scheme, host and port of an allowed address, built from its parsed parts; "" for any other."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    plain = parts.scheme in {"http", "https"} and parts.username is None and "\\" not in url
    if not plain or host not in environment.current().redirect_hosts:
        return ""
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def with_query(url: str, **more: str) -> str:
    """`url` with more parameters at the end of its query; those of the same name are replaced."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in more]
    return urlunsplit(parts._replace(query=urlencode([*kept, *more.items()])))


def host_of(url: str) -> str:
    """The host of an absolute http(s) address, "" for anything else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    return host if parts.scheme in {"http", "https"} and parts.username is None else ""


def may_be_told(url: str) -> bool:
    """Whether notifications may go there: http(s), and private hosts only under the development switch."""
    host = host_of(url)
    return bool(host) and (environment.current().allow_http_notify or not is_private(host))


def is_private(host: str) -> bool:
    """Whether a stranger's server could not reach it: local names, and addresses that are not global."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host
