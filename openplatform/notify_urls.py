"""Which addresses we are willing to call when a merchant names one. The one place for these rules.

They are checked when an address is given and again at each send; the sender then also refuses any host that resolves
to an address inside our network, and connects only to the address that it checked.
"""

import re

import requests
from django.conf import settings

from openplatform.addresses import is_public

LENGTH_MAX = 255
HTTPS_PORTS = frozenset({443, 8443})
HTTP_PORTS = frozenset({80})
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# Our own grammar and not a URL parser: parsers disagree about backslashes, userinfo and odd hosts, and the difference
# between the one that checks and the one that connects is the hole.
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(\.{_LABEL})*|\[[0-9a-f:.]+\])(:(?P<port>[1-9][0-9]{{0,4}}))?"
    r"(?P<path>(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})*)+)"
)


class NotifyUrlRefused(ValueError):
    """We will not call this address; the text says why and may be shown to the merchant."""


def validate(url: str) -> None:
    """Raises NotifyUrlRefused unless `url` is an address that we are willing to call."""
    match = _URL.fullmatch(url) if len(url) <= LENGTH_MAX else None
    if match is None or not _is_normal(url):
        raise NotifyUrlRefused(
            "must be a plain https URL with a path, in its normal form, without user information, query or fragment"
        )
    scheme, host = match["scheme"], match["host"]
    port = int(match["port"] or (443 if scheme == "https" else 80))
    if scheme == "http" and not settings.NOTIFICATION_ALLOW_HTTP:
        raise NotifyUrlRefused("must be https")
    if f"{host}:{port}" in settings.NOTIFICATION_PRIVATE_HOSTS:
        return
    if port not in (HTTPS_PORTS if scheme == "https" else HTTP_PORTS):
        raise NotifyUrlRefused("must use port 443 or 8443")
    _check_host(host.strip("[]"))


def host_of(url: str) -> str:
    """The host as it stands in an address that `validate` took; "" for any other."""
    match = _URL.fullmatch(url)
    return match["host"] if match else ""


def private_hosts() -> frozenset[str]:
    """The "host:port" pairs inside our own network that may be called."""
    return frozenset(settings.NOTIFICATION_PRIVATE_HOSTS)


def _is_normal(url: str) -> bool:
    """Whether the client that will call it leaves it as it is."""
    try:
        return requests.Request("POST", url).prepare().url == url
    except requests.RequestException:
        return False


def _check_host(host: str) -> None:
    try:
        is_called = is_public(host)
    except ValueError:
        # 2130706433 and 0x7f.1 are names to a parser and 127.0.0.1 to a resolver: no top-level name has a digit first.
        if "." not in host or host.rpartition(".")[2][0].isdigit():
            raise NotifyUrlRefused("must name a public host") from None
    else:
        if not is_called:
            raise NotifyUrlRefused("must name a public host")
