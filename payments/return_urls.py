"""The merchant's own page, where the payer's browser goes afterwards. The one place for what such an address may be."""

from urllib.parse import urlsplit

SCHEMES = frozenset({"https", "http"})


class ReturnUrlRefused(ValueError):
    """Not an http(s) URL with a host and without user information."""


def shown_host(url: str) -> str:
    """The host, with its port if it is named, as a payer reads it beside the link. Raises ReturnUrlRefused."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ReturnUrlRefused from error
    # What comes before an @ is read as the host by people, and a backslash by some browsers as the host's end.
    has_user = parts.username is not None or parts.password is not None
    if parts.scheme not in SCHEMES or not host or has_user or " " in url or "\\" in url:
        raise ReturnUrlRefused
    return f"{host}:{port}" if port else host
