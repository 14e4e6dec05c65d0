"""What a channel's message says beside the money: a certificate that we lack, keys or a clock that are wrong."""

import time
from datetime import datetime

from openplatform.alarms import close_alarm, raise_alarm
from openplatform.caches import TimedCache
from openplatform.models.alarm import AlarmKind
from payments.channels.base import CallbackRefused, Channel, Unknown
from payments.models import ChannelAccount
from payments.operations.channel_certificates import want_certificate

# Alarms are looked at once a minute by each process, for what is asked about here is asked often, and by anybody.
_looked_at: TimedCache[str, bool] = TimedCache(size=1_000, lifetime_s=60)


def heed_answer(channel: Channel, answer: object, *, now: datetime) -> None:
    """Of an answer to a call of ours. Not to be called inside a transaction."""
    host = channel.endpoint
    if not isinstance(answer, Unknown):
        if _is_time_to_look(f"right {host}"):
            close_alarm(kind=AlarmKind.CHANNEL_CLOCK, key=host, now=now)
        return
    if answer.key_wanted:
        want_certificate(account_id=channel.config.account_id, serial=answer.key_wanted, is_answer=True)
    if answer.clock_ahead_s and _is_time_to_look(f"wrong {host}"):
        ahead = "ahead of" if answer.clock_ahead_s > 0 else "behind"
        text = f"{host} refuses our requests: its clock is {abs(answer.clock_ahead_s)} s {ahead} ours. Look at NTP here"
        raise_alarm(kind=AlarmKind.CHANNEL_CLOCK, key=host, text=text, now=now)


def heed_callback(account: ChannelAccount, refused: CallbackRefused, *, now: datetime) -> None:
    """Of a callback that was refused: nothing shows yet that it is the channel's."""
    if refused.key_wanted:
        want_certificate(account_id=account.pk, serial=refused.key_wanted, is_answer=False)
    if refused.alarm and _is_time_to_look(f"callback {account.pk}"):
        text = f"callbacks of {account.channel} are refused: {refused.alarm}"
        raise_alarm(kind=AlarmKind.CHANNEL_KEYS, key=_key(account), text=text, now=now)


def keys_were_entered(account: ChannelAccount, *, now: datetime) -> None:
    """A person has acted; if it does not help, the next callback says so."""
    close_alarm(kind=AlarmKind.CHANNEL_KEYS, key=_key(account), now=now)


def _key(account: ChannelAccount) -> str:
    return f"{account.pk} callbacks"


def _is_time_to_look(what: str) -> bool:
    if _looked_at.get(what):
        return False
    _looked_at.put(what, True, read_at=time.monotonic())  # noqa: FBT003 - a mark
    return True
