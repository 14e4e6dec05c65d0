"""The merchants' keys as the gate needs them: parsed, with what their app may do, at most five seconds old."""

import hashlib
import logging
import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from django.db import DatabaseError

from openplatform.caches import TimedCache
from openplatform.key_material import RSA_BITS_MAX, RSA_BITS_MIN, RSA_EXPONENT, Algorithm
from openplatform.models.app import AppStatus
from openplatform.models.keys import TOUCH_EVERY, AppKey
from openplatform.models.merchant import MerchantStatus
from openplatform.signature import LOADERS, PublicKey, RsaPublicKey

logger = logging.getLogger(__name__)

STATUS_CACHE_S = 5.0  # a revoked key and a disabled app are refused everywhere within this time


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


@lru_cache(maxsize=RSA_BITS_MAX // 8)
def decoy(signature_bytes: int) -> PublicKey | None:
    """What a signature is verified against when nobody's key has its length; None when no key can have it.

    The verification costs what a real one of that size costs. Its outcome proves nothing: the modulus is made up.
    """
    bits = 8 * signature_bytes
    if not RSA_BITS_MIN <= bits <= RSA_BITS_MAX:
        return None
    made_up = int.from_bytes(hashlib.shake_256(b"fenpay decoy").digest(signature_bytes), "big")
    modulus = made_up | 1 << (bits - 1) | 1  # of the full length, and odd
    return RsaPublicKey(RSAPublicNumbers(e=RSA_EXPONENT, n=modulus).public_key())


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
