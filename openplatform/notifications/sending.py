"""One POST to a merchant's server, and what came of it. Every way in which that server can misbehave is an outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from openplatform import notify_urls, transport
from openplatform.blocks.lists import current_lists
from openplatform.models.notification import EXCERPT_LENGTH_MAX
from openplatform.notifications.message import Message

ANSWER_BYTES_MAX = 4_096
CONNECT_S = 3.0
# We did not call: by our own rules, or because our own process died. Nothing is known about the merchant's server.
OURS = frozenset({"url_refused", "host_blocked", "host_not_registered", "worker_lost"})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt went: an HTTP status, or the one word that says why there is none."""

    status_code: int | None = None
    error: str = ""
    response_excerpt: str = ""

    @property
    def is_delivered(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def is_gone(self) -> bool:
        return self.status_code == 410

    @property
    def is_of_the_merchant(self) -> bool:
        """Whether it tells anything about the merchant's server."""
        return self.error not in OURS

    @property
    def word(self) -> str:
        """For a log and a row."""
        return self.error or str(self.status_code)


def post(message: Message, *, app_id: int, url: str, now: datetime) -> Outcome:
    """Send it, if the address still is one that we call for this app."""
    refusal = refusal_of(app_id=app_id, url=url, now=now)
    return Outcome(error=refusal) if refusal else call(message, url=url)


def refusal_of(*, app_id: int, url: str, now: datetime) -> str:
    """The word for why we do not call, or "". Asked at each send: an address may be refused after it was given."""
    try:
        notify_urls.validate(url)
    except notify_urls.NotifyUrlRefused:
        return "url_refused"
    lists, host = current_lists(), notify_urls.host_of(url)
    if lists.blocks_host(host, now=now):
        return "host_blocked"
    return "" if lists.may_be_told(app_id=app_id, host=host) else "host_not_registered"


def call(
    message: Message,
    *,
    url: str,
    body: transport.Body | None = None,
    repeated: Sequence[tuple[str, str]] = (),
    deadline_s: float | None = None,
) -> Outcome:
    """Send it to an address that `refusal_of` has let pass. No query is made.

    `body` replaces how the same bytes are sent, `repeated` are headers that stand there once more, and `deadline_s` is
    for whoever cannot wait as long as a merchant may take.
    """
    try:
        reply = transport.send(
            method="POST",
            url=url,
            headers=message.headers,
            body=body or message.body,
            deadline_s=settings.NOTIFICATION_TIMEOUT_S if deadline_s is None else deadline_s,
            connect_s=CONNECT_S,
            bytes_max=ANSWER_BYTES_MAX,
            private_hosts=notify_urls.private_hosts(),
            is_excerpt=True,
            repeated=repeated,
        )
    except transport.TransportError as error:
        return Outcome(error=error.reason)
    return Outcome(status_code=reply.status, response_excerpt=_excerpt(reply.body))


def _excerpt(body: bytes) -> str:
    """A merchant's answer is shown to operators: as text, short, and nothing that a database would refuse."""
    return body[:EXCERPT_LENGTH_MAX].decode("utf-8", "replace").replace("\x00", "")
