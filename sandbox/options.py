"""Switches that the control API can turn while the sandbox runs; kept in the database, so a restart keeps them."""

import threading
from typing import Any

from django.utils.translation import gettext_lazy as _

from sandbox import environment
from sandbox.models import Option
from sandbox.store import writing

DEFAULTS: dict[str, Any] = {
    "clock_offset_s": 0.0,
    "clock_skew_s": 0.0,
    "signed_errors": False,
    "notify_key": "public_key",
    "notify_shift_key": "public_key",
    "notify_shift_percent": 0.0,
    "next_certificate_percent": 0.0,
    "publish_next_certificate": False,
    "public_key_only": False,
    "alipay_next_percent": 0.0,
    "alipay_user_ids": False,
    "alipay_notify_closed": False,
    "test_values": True,
    "refund_s": 5.0,
    "pay_s": 1.0,
    "stuck_s": 60.0,
    "timeout_s": 30.0,
    "seed": 0,
    "epoch": 0,
}
HELP: dict[str, Any] = {
    "clock_offset_s": _("Business time runs ahead of the real clock by so many seconds."),
    "clock_skew_s": _("The sandbox's own clock is wrong by so many seconds when it checks and signs timestamps."),
    "signed_errors": _("WeChat Pay: sign 4xx and 5xx answers too."),
    "notify_key": _("WeChat Pay: what signs notifications: public_key, certificate or next_certificate."),
    "notify_shift_key": _("WeChat Pay: what notifications move to, for the share below."),
    "notify_shift_percent": _("WeChat Pay: share of notifications that have moved, in percent."),
    "next_certificate_percent": _("WeChat Pay: share of answers in certificate mode signed by the next certificate."),
    "publish_next_certificate": _("WeChat Pay: list the next certificate in GET /v3/certificates."),
    "public_key_only": _(
        "WeChat Pay: the merchant has no certificates, only the public key: GET /v3/certificates is 404."
    ),
    "alipay_next_percent": _("Alipay: share of answers and notifications signed by the next certificate."),
    "alipay_user_ids": _("Alipay: name buyers by user_id, as apps of old do, instead of open_id."),
    "alipay_notify_closed": _("Alipay: also tell of TRADE_CLOSED, which the default subscription leaves out."),
    "test_values": _("The last two digits of an amount choose what happens."),
    "refund_s": _("Seconds from PROCESSING to SUCCESS; divided by the compression, as the next two."),
    "pay_s": _("Seconds from creation to a payment that a test value asks for."),
    "stuck_s": _("Seconds that a stuck refund takes."),
    "timeout_s": _("Seconds that a timing-out answer is held back; never compressed."),
    "seed": _("Of every random choice; drawn at the first start unless given."),
    "epoch": _("Restarts since the last reset; the streams of choices are new in each."),
}
_KEYS = ("public_key", "certificate", "next_certificate")
CHOICES: dict[str, tuple[str, ...]] = {"notify_key": _KEYS, "notify_shift_key": _KEYS}
_lock = threading.Lock()  # never held while the database is asked: its holder may be waiting for us
_current: dict[str, Any] | None = None
_generation = 0


class UnknownOption(Exception):
    """There is no option of that name, or its value has another type."""


def get(name: str) -> Any:
    return everything()[name]


def everything() -> dict[str, Any]:
    """All options as they are now; read from the database after each change."""
    global _current  # noqa: PLW0603 - one process, one cache
    with _lock:
        known, generation = _current, _generation
    if known is not None:
        return known
    read = _first_values() | dict(Option.objects.values_list("name", "value"))
    with _lock:
        if generation == _generation:  # else it has changed while we read
            _current = read
    return read


def put(changes: dict[str, Any]) -> None:
    """Store new values. Raises UnknownOption and changes nothing when one name or type is not known."""
    for name, value in changes.items():
        expected = type(DEFAULTS.get(name))
        whole_for_float = expected is float and type(value) is int
        fits = type(value) is expected or whole_for_float
        if name not in DEFAULTS or not fits or value not in CHOICES.get(name, (value,)):
            raise UnknownOption(name)
    with writing():
        for name, value in changes.items():
            Option.objects.update_or_create(name=name, defaults={"value": value})
    _reread()


def forget() -> None:
    """Back to the first values."""
    with writing():
        Option.objects.all().delete()
    _reread()


def compressed(seconds: float) -> float:
    """A waiting time of the real platform, divided by the compression that this sandbox was started with."""
    return seconds / environment.current().compress


def _reread() -> None:
    global _current, _generation
    with _lock:
        _current, _generation = None, _generation + 1


def _first_values() -> dict[str, Any]:
    started = environment.current()
    return DEFAULTS | {"test_values": started.test_values, "refund_s": started.refund_s}
