"""Switches that the control API can turn while the sandbox runs; kept in the database, so a restart keeps them."""

import threading
from typing import Any

from sandbox import environment
from sandbox.models import Option
from sandbox.store import writing

DEFAULTS: dict[str, Any] = {
    "clock_offset_s": 0.0,  # the virtual clock runs ahead of the real one by this much
    "clock_skew_s": 0.0,  # the server's own clock is wrong by this much when it checks a request's timestamp
    "signed_errors": False,  # sign 4xx and 5xx answers too
    "notify_key": "public_key",  # which key signs notifications: public_key, certificate, next_certificate
    "publish_next_certificate": False,  # list the successor in GET /v3/certificates
    "test_values": True,  # the last two digits of an amount choose what happens (testvalues.py)
    "refund_s": 5.0,  # PROCESSING to SUCCESS; divided by the compression, as the next two
    "pay_s": 1.0,  # from creation to a payment that a test value asks for
    "stuck_s": 60.0,  # a stuck refund
    "timeout_s": 30.0,  # how long a timing-out answer is held back, never compressed
    "seed": 0,  # of every random choice (chance.py); 0 until the first start has drawn one
    "epoch": 0,  # counts the restarts since the last reset: the streams of choices are new in each
    "next_certificate_percent": 0.0,  # share of answers in certificate mode that the next certificate signs
    "notify_shift_key": "public_key",  # the key that notifications move to, for a share of
    "notify_shift_percent": 0.0,
    "alipay_next_percent": 0.0,  # share of answers and notifications that Alipay's next certificate signs
    "alipay_user_ids": False,  # name buyers by user_id, as apps of old do, instead of open_id
    "alipay_notify_closed": False,  # also tell of TRADE_CLOSED, which the default subscription leaves out
}
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
        if name not in DEFAULTS or not (type(value) is expected or whole_for_float):
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
