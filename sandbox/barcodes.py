"""Payment codes: what the payer's phone shows and the merchant's scanner reads. One code pays one order."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from sandbox import chance
from sandbox.models import ALIPAY, UNIONPAY, WECHATPAY, BarCode
from sandbox.store import writing

LIFETIME = timedelta(minutes=1)
PASSWORD_ABOVE_FEN = 100_000  # above 1000 yuan the payer is asked
_FORMS: Mapping[str, re.Pattern[str]] = {
    WECHATPAY: re.compile(r"1[0-5][0-9]{16}"),
    ALIPAY: re.compile(r"(?:2[5-9]|30)[0-9]{14,22}"),
    UNIONPAY: re.compile(r"62[0-9]{17}"),
}
_STARTS: Mapping[str, tuple[str, int]] = {WECHATPAY: ("13", 16), ALIPAY: ("28", 16), UNIONPAY: ("62", 17)}


class InvalidCode(Exception):
    """Not a code of this channel, or used for another order."""


class ExpiredCode(Exception):
    """The phone has shown it too long ago."""


def show(*, channel: str, payer: str, now: datetime) -> BarCode:
    """A fresh code for the payer's phone."""
    start, digits = _STARTS[channel]
    with writing():
        return BarCode.objects.create(
            code=start + chance.digits("barcode", payer, count=digits),
            channel=channel,
            payer=payer,
            expires_at=now + LIFETIME,
        )


def spend(code: str, *, channel: str, number: str, now: datetime) -> str:
    """Use `code` for the order `number`; inside the caller's transaction. Returns the payer, "" when nobody is known.

    A code that no phone has shown is taken once too, so that a test needs no phone. Raises InvalidCode, ExpiredCode.
    """
    if not _FORMS[channel].fullmatch(code):
        raise InvalidCode
    found = BarCode.objects.filter(code=code).first()
    if found is None:
        found = BarCode(code=code, channel=channel, payer="", expires_at=now + LIFETIME)
    if found.used_for not in {"", number}:
        raise InvalidCode
    if found.expires_at <= now:
        raise ExpiredCode
    found.used_for = number
    found.save()
    return found.payer


def last(*, channel: str, payer: str, now: datetime) -> BarCode | None:
    """The code that this payer's phone shows now, used or not."""
    return BarCode.objects.filter(channel=channel, payer=payer, expires_at__gt=now).order_by("-pk").first()
