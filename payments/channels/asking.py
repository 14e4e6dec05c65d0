"""One request of a channel's client: its span, its one deadline, its second host, and what no answer means."""

import time
from collections.abc import Mapping, Sequence

from opentelemetry.trace import SpanKind

from openplatform import transport
from openplatform.tracing import span
from payments.channels.answers import RESPONSE_BYTES_MAX
from payments.channels.base import AccountConfig, Unknown


def ask(
    config: AccountConfig, *, name: str, method: str, urls: Sequence[str], headers: Mapping[str, str], body: bytes
) -> transport.Reply | Unknown:
    """Ends within the account's deadline, whatever the peer does. `name` is what a trace calls it.

    `urls` are one request at several hosts: the next is asked only when certainly nothing reached the one before.
    """
    with span(name, kind=SpanKind.CLIENT) as current:
        try:
            reply = _send(config, method=method, urls=urls, headers=headers, body=body)
        except transport.TransportError as error:
            current.set_attribute("fenpay.unknown", error.reason)
            return Unknown(reason=error.reason, sent=isinstance(error, transport.NoAnswer), unwell=True)
        current.set_attribute("http.response.status_code", reply.status)
        return reply


def both_hosts(config: AccountConfig, target: str) -> list[str]:
    """`target` at the account's host, and at its second one when it has one."""
    hosts = [config.settings["api_base"], config.settings.get("backup_api_base")]
    return [f"{host}{target}" for host in hosts if host]


def _send(
    config: AccountConfig, *, method: str, urls: Sequence[str], headers: Mapping[str, str], body: bytes
) -> transport.Reply:
    """Raises TransportError."""
    ends_at = time.monotonic() + config.deadline_s
    url, *others = urls
    while True:
        try:
            return transport.send(
                method=method, url=url, headers=headers, body=body,
                deadline_s=max(ends_at - time.monotonic(), 0), connect_s=config.connect_s,
                bytes_max=RESPONSE_BYTES_MAX, private_hosts=config.private_hosts,
            )  # fmt: skip
        except transport.NotSent:
            if not others or time.monotonic() >= ends_at:
                raise
            url, *others = others
