"""The merchants' keys as the gate needs them: parsed, with what their app may do, at most five seconds old."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.db import DatabaseError

from openplatform.caches import TimedCache
from openplatform.key_material import Algorithm
from openplatform.models.app import AppStatus
from openplatform.models.keys import TOUCH_EVERY, AppKey
from openplatform.models.merchant import MerchantStatus
from openplatform.signature import LOADERS, PublicKey

logger = logging.getLogger(__name__)

STATUS_CACHE_S = 5.0  # a revoked key and a disabled app are refused everywhere within this time

# Nobody has the private half. A request that names an unknown app or key is verified against it, so that it costs and
# answers the same as one with a wrong signature.
DECOY_PEM = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyTS01480jU3E7nHtjzGe
m7xGCewqVjo0JgEWRWHE3OSkZgI71l1HuK1QEgwCrvR1fHi+UnnXDl6KG5u9+mg2
aK1c4AghF5lJZ4+fCmDOlHHWP3+5qg8Sz7pVYICo/3aLbc/RX4HWg/PrOekngC2e
HrEyjIbQUp47xkm8DnLeJ4MGPwwCdfq9Klac0B6KI0KqJgM0D9U6S2sFeC0JqirA
qUlzLObxjVVc+SFEVOIcR41E08Utcg0wURbbm7Hs3GYTWdG/INJQtdd6Evw/Ceh+
i+eHKNDTDZpro1sjcjn7pZ9J/wKP1TfyMj2Xf0ABmLAnBENDA+HCmCkjT76T/kRA
aQIDAQAB
-----END PUBLIC KEY-----
"""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A key of an app."""

    app_id: int
    merchant_id: int
    serial_no: str
    algorithm: Algorithm
    public_key: PublicKey
    app_is_active: bool
    accepts_wechatpay_scheme: bool


_Name = tuple[int, str]
_known: "TimedCache[_Name, AppKey]" = TimedCache(size=10_000, lifetime_s=STATUS_CACHE_S)
# Apart, so that a flood of made-up names cannot push out the keys that are in use.
_unknown: "TimedCache[_Name, bool]" = TimedCache(size=10_000, lifetime_s=STATUS_CACHE_S)
_touched: "TimedCache[str, bool]" = TimedCache(size=10_000, lifetime_s=TOUCH_EVERY.total_seconds())


def find_credential(*, app_id: int, serial_no: str, now: datetime) -> Credential | None:
    """The app's live key of that number; None when there is none, and for another app's key."""
    key = _find((app_id, serial_no))
    if key is None or not key.is_live(now=now):
        return None
    app = key.app
    return Credential(
        app_id=app.pk,
        merchant_id=app.merchant_id,
        serial_no=key.serial_no,
        algorithm=Algorithm(key.algorithm),
        public_key=_parsed(Algorithm(key.algorithm), key.public_key_pem),
        app_is_active=app.status == AppStatus.ACTIVE and app.merchant.status == MerchantStatus.ACTIVE,
        accepts_wechatpay_scheme=app.accepts_wechatpay_scheme,
    )


def remember_use(serial_no: str, *, now: datetime) -> None:
    """Note on the row that the key was used. A convenience for operators: it never costs anybody an answer."""
    if _touched.get(serial_no):
        return
    _touched.put(serial_no, True, read_at=time.monotonic())  # noqa: FBT003 - the value of a set
    try:
        AppKey.touch(serial_no, now=now)
    except DatabaseError as error:
        logger.warning("the last use of a key was not noted: %s", type(error).__name__)


def decoy() -> PublicKey:
    return _parsed(Algorithm.RSA_SHA256, DECOY_PEM)


def _find(name: _Name) -> AppKey | None:
    key = _known.get(name)
    if key is not None or _unknown.get(name):
        return key
    read_at = time.monotonic()
    app_id, serial_no = name
    key = AppKey.objects.select_related("app__merchant").filter(pk=serial_no, app_id=app_id).first()
    if key is None:
        _unknown.put(name, True, read_at=read_at)  # noqa: FBT003 - the value of a set
    else:
        _known.put(name, key, read_at=read_at)
    return key


@lru_cache(maxsize=4_096)
def _parsed(algorithm: Algorithm, pem: str) -> PublicKey:
    return LOADERS[algorithm](pem)
