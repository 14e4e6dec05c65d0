"""A merchant's keys, from the first offer to the end: registered, proven by answering a challenge, retired, revoked.

Each change locks the app, then the key, so that what is asked of all keys of an app still holds when it is written.
ActorOver may come out of each.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from openplatform import envelopes, keyring, nonces
from openplatform.key_material import Algorithm, Purpose
from openplatform.key_states import (
    Actor,
    ActorKind,
    AppKeyStatus,
    ChallengeOver,
    LastManager,
    MoveRefused,
    ProofRefused,
    ScopesExceeded,
)
from openplatform.models import App, AppKey, KeyChallenge
from openplatform.scopes import DEFAULT_SCOPES, Scope
from openplatform.signature import LOADERS

RETIRES_AFTER = timedelta(days=7)
PROOF_LENGTH_MAX = 1_024


class AppKeyNotFound(LookupError):
    """The app has no such key."""


class ActorOver(Exception):
    """The key that asks was revoked or has run out meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A public key as it was handed in. `scopes` None: the default ones."""

    public_key_pem: str
    purpose: Purpose = Purpose.SIGN
    scopes: Iterable[str] | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None


def own_keys(*, app_id: int) -> list[AppKey]:
    """All keys that the app ever had, the newest first."""
    return list(AppKey.objects.filter(app_id=app_id).order_by("-created_at"))


def offer_key(
    *, app_id: int, offer: Offer, by: Actor, now: datetime, at_most: Iterable[str] = Scope.values
) -> tuple[AppKey, KeyChallenge]:
    """Write a key down as pending, with a fresh challenge. The same offer again is the same key and a new challenge.

    `at_most`: the scopes that may be given away, which are those of whoever asks. Raises KeyRefused.
    """
    wanted = offer.scopes if offer.scopes is not None or offer.purpose is Purpose.ENCRYPT else DEFAULT_SCOPES
    if not set(wanted or ()) <= set(at_most):
        raise ScopesExceeded
    with transaction.atomic():
        app = _enter(app_id=app_id, by=by, now=now)
        key = AppKey.offer(
            app=app, public_key_pem=offer.public_key_pem, purpose=offer.purpose, scopes=wanted,
            not_before=offer.not_before, not_after=offer.not_after, by=by, now=now,
        )  # fmt: skip
        return key, _challenge(key, now=now)


def challenge_key(*, app_id: int, serial_no: str, by: Actor, now: datetime) -> KeyChallenge:
    """A new challenge for a pending key; the one before it is void. Raises AppKeyNotFound, MoveRefused."""
    with transaction.atomic():
        key = _lock(app_id=app_id, serial_no=serial_no, by=by, now=now)
        if key.status != AppKeyStatus.PENDING:
            raise MoveRefused
        return _challenge(key, now=now)


def open_challenge(key: AppKey, *, now: datetime) -> KeyChallenge | None:
    """The challenge that can still be answered, if any."""
    return KeyChallenge.open_of(key, now=now) if key.status == AppKeyStatus.PENDING else None


def prove_key(*, app_id: int, serial_no: str, proof: str, by: Actor, now: datetime) -> AppKey:
    """Activate a pending key whose holder has answered the challenge.

    Raises AppKeyNotFound, or KeyRefused: MoveRefused, ChallengeOver, ProofRefused (the challenge stays good), and
    KnownFingerprint when another app has proven the same key meanwhile.
    """
    with transaction.atomic():
        key = _lock(app_id=app_id, serial_no=serial_no, by=by, now=now)
        if key.status != AppKeyStatus.PENDING:
            raise MoveRefused
        challenge = KeyChallenge.open_of(key, now=now)
        if challenge is None:
            raise ChallengeOver
        if not _is_proof(key, challenge, proof=proof):
            raise ProofRefused
        challenge.use(now=now)
        key.prove(by=by, now=now)
        _noticed(key)
    return key


def retire_key(
    *, app_id: int, serial_no: str, not_after: datetime | None = None, force: bool = False, by: Actor, now: datetime
) -> AppKey:
    """Let a key count until `not_after`, a week from now when not given, and then no more.

    Raises AppKeyNotFound, or KeyRefused: MoveRefused, LifetimeRefused, and LastManager without `force`.
    """
    with transaction.atomic():
        key = _lock(app_id=app_id, serial_no=serial_no, by=by, now=now)
        if not force:
            _refuse_last_manager(key, now=now)
        key.retire(not_after=not_after or now + RETIRES_AFTER, by=by, now=now)
        _noticed(key)
    return key


def revoke_key(*, app_id: int, serial_no: str, force: bool = False, by: Actor, now: datetime) -> AppKey:
    """End a key for good, at once where the store is there, within five seconds everywhere. Repeating is harmless.

    Raises AppKeyNotFound, and LastManager without `force`.
    """
    with transaction.atomic():
        key = _lock(app_id=app_id, serial_no=serial_no, by=by, now=now)
        if not force:
            _refuse_last_manager(key, now=now)
        key.revoke(by=by, now=now)
        _noticed(key)
        transaction.on_commit(lambda: nonces.remember_revocation(serial_no))
    return key


def _enter(*, app_id: int, by: Actor, now: datetime) -> App:
    """Lock the app. A key that was revoked a moment ago may still pass the gate, for up to five seconds: long enough to
    make itself a successor, if it were not looked at again.
    """
    app = App.lock(app_id)
    if by.kind is ActorKind.KEY:
        asking = AppKey.objects.filter(pk=by.name, app_id=app_id).first()
        if asking is None or not asking.is_live(now=now):
            raise ActorOver
    return app


def _lock(*, app_id: int, serial_no: str, by: Actor, now: datetime) -> AppKey:
    _enter(app_id=app_id, by=by, now=now)
    try:
        return AppKey.lock_own(app_id=app_id, serial_no=serial_no)
    except AppKey.DoesNotExist:
        raise AppKeyNotFound from None


def _refuse_last_manager(key: AppKey, *, now: datetime) -> None:
    """An app whose last key with keys:manage ends needs an operator for the next one: that must be meant."""
    if Scope.KEYS_MANAGE not in key.scopes or not key.is_live(now=now):
        return
    others = AppKey.objects.filter(
        app_id=key.app_id, status=AppKeyStatus.ACTIVE, scopes__contains=[Scope.KEYS_MANAGE.value]
    ).exclude(pk=key.pk)
    if not any(other.is_live(now=now) for other in others):
        raise LastManager


def _noticed(key: AppKey) -> None:
    app_id, serial_no = key.app_id, key.serial_no
    transaction.on_commit(lambda: keyring.forget(app_id=app_id, serial_no=serial_no))


def _challenge(key: AppKey, *, now: datetime) -> KeyChallenge:
    """No signature over a request can be one over this text, nor the other way round: it has no line break."""
    text = f"fenpay-key-proof:{key.app_id}:{key.fingerprint}:{secrets.token_urlsafe(32)}"
    if key.purpose == Purpose.SIGN:
        return KeyChallenge.issue(key, text=text, answer_digest="", now=now)
    sealed = envelopes.encrypt(text, kid=key.serial_no, public_key_pem=key.public_key_pem)
    return KeyChallenge.issue(key, text=sealed, answer_digest=hashlib.sha256(text.encode()).hexdigest(), now=now)


def _is_proof(key: AppKey, challenge: KeyChallenge, *, proof: str) -> bool:
    if len(proof) > PROOF_LENGTH_MAX:
        return False
    if key.purpose == Purpose.ENCRYPT:
        return hmac.compare_digest(hashlib.sha256(proof.encode()).hexdigest(), challenge.answer_digest)
    try:
        signature = base64.b64decode(proof, validate=True)
    except (binascii.Error, ValueError):
        return False
    public_key = LOADERS[Algorithm(key.algorithm)](key.public_key_pem)
    return public_key.verifies(message=challenge.text.encode(), signature=signature)
