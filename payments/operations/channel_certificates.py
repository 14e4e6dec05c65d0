"""The channels' certificates: fetched before they are needed, and at once when a message names one that we lack.

Whoever meets an unknown number only writes it down: a forged callback must not make a web process ask anybody. A worker
asks the channel, for each account at most once in GAP, and all processes see what it brings.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from openplatform.alarms import close_alarm, raise_alarm
from openplatform.hints import hint, send_now
from openplatform.models.alarm import AlarmKind
from payments.channels.base import Accepted, FetchesCertificates, Rejected, TheirCertificate, Unknown
from payments.channels.registry import CHANNELS
from payments.models import ChannelAccount, ChannelCertificate
from payments.operations.accounts import open_account

GAP = timedelta(minutes=5)
FAILING_MAX = timedelta(days=1)
ENDS_WITHIN = timedelta(days=10)
BATCH_MAX = 200
logger = logging.getLogger(__name__)


def want_certificate(*, account_id: int, serial: str, is_answer: bool) -> None:
    """A message names a certificate that we do not have: an answer to our own request, or a callback."""
    if ChannelAccount.want_certificate(account_id, serial, is_answer=is_answer):
        channel = ChannelAccount.objects.values_list("channel", flat=True).get(pk=account_id)
        hint("payments.fetch_certificates", queue=f"channel.{channel}", account_id=account_id)


def sweep_certificates(*, now: datetime) -> int:
    """Wake workers for every account that is due. Returns how many; stops when the broker does not take them."""
    due = ChannelAccount.due_for_certificates(now=now, gap=GAP, every=_regular())
    woken = 0
    for account_id, channel in due.values_list("pk", "channel")[:BATCH_MAX]:
        if not send_now("payments.fetch_certificates", queue=f"channel.{channel}", account_id=account_id):
            break
        woken += 1
    return woken


def fetch_certificates(*, account_id: int, clock: Callable[[], datetime]) -> bool:
    """Ask the channel for its certificates, once. False when it is not due: somebody has just asked."""
    account = ChannelAccount.claim_certificates(account_id, now=clock(), gap=GAP, every=_regular())
    if account is None:
        return False
    wanted, channel = account.certificate_wanted, open_account(account)
    if not isinstance(channel, FetchesCertificates):
        account.record_fetch(wanted=wanted, now=clock())
        return False
    answer = channel.fetch_certificates(serial=wanted, now=clock())
    if isinstance(answer, Accepted):
        _record_found(account, answer.facts, wanted=wanted, now=clock())
    else:
        _record_failure(account, answer, now=clock())
    _check_end(account, ends_at=channel.keys_end_at(), now=clock())
    return True


def _record_found(
    account: ChannelAccount, found: tuple[TheirCertificate, ...], *, wanted: str, now: datetime
) -> None:  # fmt: skip
    for one in found:
        is_new = ChannelCertificate.keep(
            account_id=account.pk, serial=one.serial, pem=one.pem, not_before=one.not_before, not_after=one.not_after,
            now=now,
        )  # fmt: skip
        if is_new:
            logger.info("account %s has a new certificate of its channel: %s", account.pk, one.serial)
    account.record_fetch(wanted=wanted, now=now)
    close_alarm(kind=AlarmKind.CHANNEL_KEYS, key=_key(account, "fetch"), now=now)


def _record_failure(account: ChannelAccount, answer: Rejected | Unknown, *, now: datetime) -> None:
    account.record_failed_fetch(now=now)
    reason = answer.reason if isinstance(answer, Unknown) else answer.code
    logger.warning("certificates of account %s could not be fetched: %s", account.pk, reason)
    unknown = answer.key_wanted if isinstance(answer, Unknown) else ""
    if unknown:
        want_certificate(account_id=account.pk, serial=unknown, is_answer=True)
    # Of a channel that gives out all at once, an answer under a key that is not among them is believed by no later
    # attempt either, while others hold.
    is_stuck = bool(unknown) and account.channel in dict(_regular())
    since = account.certificates_failing_since or now
    if is_stuck or now - since >= FAILING_MAX:
        text = f"{account.channel}: its certificates could not be fetched since {since:%Y-%m-%d %H:%M} UTC ({reason})"
        raise_alarm(kind=AlarmKind.CHANNEL_KEYS, key=_key(account, "fetch"), text=text, now=now)


def _check_end(account: ChannelAccount, *, ends_at: datetime | None, now: datetime) -> None:
    """A successor is there long before the end; without one, all that the channel says will soon count for nothing."""
    key = _key(account, "end")
    if ends_at is None or ends_at - now >= ENDS_WITHIN:
        close_alarm(kind=AlarmKind.CHANNEL_KEYS, key=key, now=now)
        return
    text = f"{account.channel}: its last certificate runs out at {ends_at:%Y-%m-%d %H:%M} UTC, and no other is there"
    raise_alarm(kind=AlarmKind.CHANNEL_KEYS, key=key, text=text, now=now)


def _key(account: ChannelAccount, what: str) -> str:
    return f"{account.pk} {what}"


def _regular() -> list[tuple[str, timedelta]]:
    """Channels that are asked without being wanted anything of, and how often."""
    found = [(name, channel.capabilities.certificates_every) for name, channel in CHANNELS.items()]
    return [(name, every) for name, every in found if every is not None]
