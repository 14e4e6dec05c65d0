"""Our own keys at work: which one signs or decrypts, which ones merchants may know, and how one follows another."""

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key
from django.db import connection, transaction

from openplatform.caches import TimedCache
from openplatform.key_material import Algorithm, PrivateKey, Purpose, new_pair
from openplatform.key_states import SYSTEM, Actor, MoveRefused
from openplatform.models.keys import LIVE_PLATFORM_STATUSES, PlatformKey, PlatformKeyStatus
from openplatform.signature import OWN_SCHEMES, sign

LIFETIME = timedelta(days=730)
OVERLAP = timedelta(days=30)
CACHE_S = 5.0
CHANGE_LOCK = 0x66656E706B657973  # "fenpkeys": any number that nobody else uses

logger = logging.getLogger(__name__)
_snapshots: "TimedCache[str, tuple[PlatformKey, ...]]" = TimedCache(size=1, lifetime_s=CACHE_S)


class NoPlatformKey(RuntimeError):
    """There is no key for this: run `manage.py platform_key ensure`."""


@dataclass(frozen=True)
class Signer:
    """One of our private keys, parsed."""

    serial_no: str
    private_key: PrivateKey
    algorithm: Algorithm = Algorithm.RSA_SHA256

    @property
    def scheme(self) -> str:
        """What the answer's Signature-Type says."""
        return OWN_SCHEMES[self.algorithm]

    def sign(self, message: bytes) -> str:
        """The signature in base64; 0.23 ms with RSA of 2048 bits, 0.02 ms with Ed25519."""
        return sign(self.private_key, message)


def signer(
    *,
    now: datetime,
    asked_serial_no: str = "",
    algorithm: Algorithm = Algorithm.RSA_SHA256,
    event_id: int | None = None,
) -> Signer:
    """The key that `asked_serial_no` names when it is live; else the current one of `algorithm`; else the RSA one.

    With `event_id` the next key may have its share of notifications already. Raises NoPlatformKey.
    """
    live = [key for key in _live(now=now) if key.purpose == Purpose.SIGN]
    asked = (key for key in live if key.serial_no == asked_serial_no)
    chosen = next(asked, None) or _default(live, algorithm, event_id) or _default(live, Algorithm.RSA_SHA256, event_id)
    if chosen is None:
        raise NoPlatformKey
    return Signer(chosen.serial_no, _parsed(chosen.private_der()), Algorithm(chosen.algorithm))


def _default(live: Iterable[PlatformKey], algorithm: Algorithm, event_id: int | None) -> PlatformKey | None:
    """The current key, or the next one for those events whose turn it is.

    An event's place is fixed, so that every attempt to tell it is signed alike; a growing share only moves events on.
    """
    own = [key for key in live if key.algorithm == algorithm]
    current = next((key for key in own if key.status == PlatformKeyStatus.CURRENT), None)
    if event_id is None or current is None:
        return current
    published = [key for key in own if key.status == PlatformKeyStatus.PUBLISHED]
    following = min(published, key=lambda key: key.created_at, default=None)
    return following if following is not None and _place(event_id) < following.notify_share else current


def _place(event_id: int) -> int:
    """0 to 99. Numbers that follow each other fall anywhere."""
    return int.from_bytes(hashlib.sha256(str(event_id).encode()).digest()[:8], "big") % 100


def decryption_key(*, serial_no: str, now: datetime) -> rsa.RSAPrivateKey | None:
    """Our private key for encryption of that number, while it is live; None for any other."""
    for key in _live(now=now):
        if key.serial_no == serial_no and key.purpose == Purpose.ENCRYPT:
            private = _parsed(key.private_der())
            return private if isinstance(private, rsa.RSAPrivateKey) else None
    return None


def live_platform_keys(*, now: datetime) -> list[PlatformKey]:
    """The keys that merchants may meet, for both purposes, the newest first."""
    return sorted(_live(now=now), key=lambda key: key.created_at, reverse=True)


def ensure_platform_keys(*, now: datetime) -> list[PlatformKey]:
    """The current key of each algorithm, made where there is none. Safe at every start, also of many processes."""
    return [ensure_platform_key(now=now, algorithm=algorithm) for algorithm in Algorithm]


def ensure_platform_key(*, now: datetime, algorithm: Algorithm = Algorithm.RSA_SHA256) -> PlatformKey:
    """The current key of `algorithm`; made when there is none."""
    current = _current(algorithm)
    if current is not None and current.is_live(now=now):
        return current
    pair = new_pair(algorithm)
    with _one_at_a_time():
        current = _current(algorithm)
        if current is not None and current.is_live(now=now):
            return current  # another process was faster: its key is as good
        if current is not None:
            current.retire(now=now)
        return PlatformKey.publish(pair=pair, status=PlatformKeyStatus.CURRENT, now=now, lifetime=LIFETIME)


def create_platform_key(*, now: datetime, algorithm: Algorithm = Algorithm.RSA_SHA256) -> PlatformKey:
    """A fresh pair, published so that merchants can fetch it; it is used at once only when no other is."""
    pair = new_pair(algorithm)
    with _one_at_a_time():
        current = _current(algorithm)
        if current is not None and not current.is_live(now=now):
            current.retire(now=now)
            current = None
        status = PlatformKeyStatus.CURRENT if current is None else PlatformKeyStatus.PUBLISHED
        return PlatformKey.publish(pair=pair, status=status, now=now, lifetime=LIFETIME)


def rotate_platform_key(*, now: datetime, algorithm: Algorithm = Algorithm.RSA_SHA256) -> PlatformKey:
    """Let the oldest published key be used; the key until now still serves those who ask for it, for OVERLAP.

    Raises NoPlatformKey when none is published: merchants must have had time to fetch the next one.
    """
    with _one_at_a_time():
        key = _next(algorithm, now=now)
        key.promote(now=now, overlap=OVERLAP)
    logger.info("platform key %s is used from now on", key.serial_no)
    return key


def share_notifications(
    *, share: int, now: datetime, algorithm: Algorithm = Algorithm.RSA_SHA256, serial_no: str = "", by: Actor = SYSTEM
) -> PlatformKey:
    """Let the key that comes next sign `share` per cent of the notifications.

    Raises NoPlatformKey; and MoveRefused for another share than 0 to 100, and when it is not `serial_no` that is next.
    """
    with _one_at_a_time():
        key = _next(algorithm, now=now)
        if serial_no not in {"", key.pk}:
            raise MoveRefused
        key.set_notify_share(share, now=now, by=by)
    return key


def _next(algorithm: Algorithm, *, now: datetime) -> PlatformKey:
    published = PlatformKey.objects.filter(
        status=PlatformKeyStatus.PUBLISHED, algorithm=algorithm, not_after__gt=now
    ).order_by("created_at")
    key = published.first()
    if key is None:
        raise NoPlatformKey
    return key


def _current(algorithm: Algorithm) -> PlatformKey | None:
    return PlatformKey.objects.filter(status=PlatformKeyStatus.CURRENT, algorithm=algorithm).first()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """A transaction in which no other process changes platform keys: there may be no row yet that could be locked."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHANGE_LOCK])
        yield
    _snapshots.clear()


def _live(*, now: datetime) -> list[PlatformKey]:
    rows = _snapshots.get("all")
    if rows is None:
        read_at = time.monotonic()
        rows = tuple(PlatformKey.objects.filter(status__in=LIVE_PLATFORM_STATUSES))
        _snapshots.put("all", rows, read_at=read_at)
    return [key for key in rows if key.is_live(now=now)]


@lru_cache(maxsize=16)
def _parsed(private_der: bytes) -> PrivateKey:
    # Checking an RSA key's arithmetic costs 30 ms and more; this blob is ours, and sealed.
    key = load_der_private_key(private_der, password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise TypeError("a platform key of an unknown kind")
    return key
