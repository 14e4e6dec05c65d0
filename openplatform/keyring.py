"""The merchants' keys as the gate needs them: parsed, with what their app may do, at most five seconds old."""

import hashlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from django.db import DatabaseError

from openplatform.caches import TimedCache
from openplatform.key_material import RSA_BITS_MAX, RSA_BITS_MIN, RSA_EXPONENT, Algorithm, Purpose
from openplatform.key_states import AppKeyStatus
from openplatform.models.app import AppStatus
from openplatform.models.keys import TOUCH_EVERY, AppKey
from openplatform.models.merchant import MerchantStatus
from openplatform.signature import LOADERS, Ed25519PublicKey, PublicKey, RsaPublicKey

logger = logging.getLogger(__name__)

STATUS_CACHE_S = 5.0  # a revoked key and a disabled app are refused everywhere within this time


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A key of an app that signs, and what may be done with it."""

    app_id: int
    merchant_id: int
    serial_no: str
    scopes: frozenset[str]
    algorithm: Algorithm
    public_key: PublicKey
    app_is_active: bool
    accepts_wechatpay_scheme: bool


_Name = tuple[int, str]
_known: "TimedCache[_Name, AppKey]" = TimedCache(size=10_000, lifetime_s=STATUS_CACHE_S)
# Apart, so that a flood of made-up names cannot push out the keys that are in use.
_unknown: "TimedCache[_Name, bool]" = TimedCache(size=10_000, lifetime_s=STATUS_CACHE_S)
# Serial number to app: every key that signs. Read only while somebody makes names up by the thousand.
_registered: "TimedCache[str, dict[str, int]]" = TimedCache(size=1, lifetime_s=STATUS_CACHE_S)
_reading_all = threading.Lock()
_recipients: "TimedCache[int, tuple[AppKey, ...]]" = TimedCache(size=10_000, lifetime_s=STATUS_CACHE_S)
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
        scopes=frozenset(key.scopes),
        algorithm=Algorithm(key.algorithm),
        public_key=_parsed(Algorithm(key.algorithm), key.public_key_pem),
        app_is_active=app.status == AppStatus.ACTIVE and app.merchant.status == MerchantStatus.ACTIVE,
        accepts_wechatpay_scheme=app.accepts_wechatpay_scheme,
    )


def is_registered(*, app_id: int, serial_no: str) -> bool:
    """Whether the app has a key of that number that could sign. Whether it counts now find_credential() decides.

    However many names somebody makes up, all together cost one query in STATUS_CACHE_S.
    """
    return _signing_keys().get(serial_no) == app_id


@dataclass(frozen=True)
class Recipient:
    """To whom an app's secrets are encrypted."""

    serial_no: str
    public_key_pem: str


def find_recipient(*, app_id: int, now: datetime) -> Recipient | None:
    """The app's own key for encryption: the newest active one, else one that is retiring; None when it has none."""
    live = [key for key in _encryption_keys(app_id) if key.is_live(now=now)]
    if not live:
        return None
    key = max(live, key=lambda key: (key.status == AppKeyStatus.ACTIVE, key.created_at))
    return Recipient(key.serial_no, key.public_key_pem)


def forget(*, app_id: int, serial_no: str) -> None:
    """Read this key anew. For the process that has just changed it; the others notice within five seconds."""
    for cache in (_known, _unknown):
        cache.drop((app_id, serial_no))
    _recipients.drop(app_id)
    _registered.clear()


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

    The verification costs what a real one of that size costs. Its outcome proves nothing: the keys are made up.
    """
    if signature_bytes == Ed25519PublicKey.signature_bytes:
        made_up_private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"fenpay decoy").digest())
        return Ed25519PublicKey(made_up_private.public_key())
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
    named = AppKey.objects.filter(pk=serial_no, app_id=app_id, purpose=Purpose.SIGN)
    key = named.select_related("app__merchant").first()
    if key is None:
        _unknown.put(name, True, read_at=read_at)  # noqa: FBT003 - the value of a set
    else:
        _known.put(name, key, read_at=read_at)
    return key


def _signing_keys() -> dict[str, int]:
    known = _registered.get("all")
    if known is not None:
        return known
    with _reading_all:
        known = _registered.get("all")
        if known is None:
            read_at = time.monotonic()
            counting = AppKey.objects.filter(
                purpose=Purpose.SIGN, status__in=[AppKeyStatus.ACTIVE, AppKeyStatus.RETIRING]
            )
            known = dict(counting.values_list("pk", "app_id"))
            _registered.put("all", known, read_at=read_at)
        return known


def _encryption_keys(app_id: int) -> tuple[AppKey, ...]:
    keys = _recipients.get(app_id)
    if keys is None:
        read_at = time.monotonic()
        keys = tuple(AppKey.objects.filter(app_id=app_id, purpose=Purpose.ENCRYPT))
        _recipients.put(app_id, keys, read_at=read_at)
    return keys


@lru_cache(maxsize=4_096)
def _parsed(algorithm: Algorithm, pem: str) -> PublicKey:
    return LOADERS[algorithm](pem)
