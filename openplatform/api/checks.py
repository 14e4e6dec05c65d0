"""The gate: an ordered list of checks, cheap and unauthenticated first.

Nothing of an app is spent, told or written before its signature was proven: an unknown app, an unknown or revoked key
and a wrong signature get the same answer, and a nonce counts only after the signature did.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from openplatform import keyring, nonces
from openplatform.authorization import Authorization, AuthorizationMalformed, parse_authorization
from openplatform.keyring import Credential
from openplatform.keys import Signer, signer
from openplatform.problems import (
    AppDisabled,
    BodyTooLarge,
    InvalidRequest,
    LengthRequired,
    MethodNotAllowed,
    NoAuth,
    ReplayedNonce,
    SignError,
    TryLater,
    UnsupportedMedia,
)
from openplatform.scopes import ANY_KEY, Needs
from openplatform.signature import SCHEMES, request_message
from openplatform.store import StoreDown
from openplatform.target import TargetRefused, check_target, raw_target

READS = frozenset({"GET"})
_MEDIA_TYPE = re.compile(r'application/json(\s*;\s*charset=("utf-8"|utf-8))?', re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who is calling, proven by a signature. Views find it as `request.auth`."""

    app_id: int
    merchant_id: int
    serial_no: str
    scheme: str
    scopes: frozenset[str]


@dataclass(kw_only=True)
class Exchange:
    """One request on its way through the checks; each fills in what it found out."""

    request: HttpRequest
    methods: frozenset[str]
    query_names: frozenset[str]
    needs: Needs
    now: datetime
    target: str = ""
    body: bytes = b""
    authorization: Authorization = field(init=False)
    credential: Credential | None = None
    caller: Caller | None = None
    signer: Signer | None = None
    headers_doubled: bool = False

    @property
    def is_read(self) -> bool:
        return self.request.method in READS


Check = Callable[[Exchange], None]


def check_method(exchange: Exchange) -> None:
    if exchange.request.method not in exchange.methods:
        raise MethodNotAllowed(allowed=sorted(exchange.methods))


def check_raw_target(exchange: Exchange) -> None:
    request = exchange.request
    try:
        exchange.target = raw_target(request)
        check_target(exchange.target, path=request.path, query_names=exchange.query_names)
    except TargetRefused as error:
        raise InvalidRequest(f"The address is refused: {error}.") from error


def check_length(exchange: Exchange) -> None:
    """By the header alone: a chunked body reads as nothing under WSGI, so a proxy and we would see two requests."""
    meta = exchange.request.META
    if "HTTP_TRANSFER_ENCODING" in meta:
        raise LengthRequired
    length = meta.get("CONTENT_LENGTH") or "0"
    if not _LENGTH.fullmatch(length):
        raise InvalidRequest("Content-Length is not a number.")
    if int(length) > settings.API_BODY_BYTES_MAX:
        raise BodyTooLarge
    if exchange.is_read and int(length):
        raise InvalidRequest("A GET has no body.")


def check_media_type(exchange: Exchange) -> None:
    meta = exchange.request.META
    if meta.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise UnsupportedMedia
    has_body = (meta.get("CONTENT_LENGTH") or "0").strip("0")
    if has_body and not _MEDIA_TYPE.fullmatch(meta.get("CONTENT_TYPE", "")):
        raise UnsupportedMedia


def read_authorization(exchange: Exchange) -> None:
    header = exchange.request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        raise SignError("The Authorization header is missing.")
    try:
        exchange.authorization = parse_authorization(header)
    except AuthorizationMalformed as error:
        raise SignError(f"The Authorization header is malformed: {error}.") from error


def read_body(exchange: Exchange) -> None:
    """Before whatever holds for a moment only: a caller may hold the last byte back for as long as it likes, and the
    timestamp, the key, the app and the nonce must be good when the request is carried out.
    """
    exchange.body = exchange.request.body
    exchange.now = timezone.now()


def check_time(exchange: Exchange) -> None:
    """The server's clock is in the answer, so that an integrator sees at once whose is wrong."""
    if abs(exchange.now.timestamp() - exchange.authorization.timestamp) > settings.TIMESTAMP_WINDOW_S:
        raise SignError(
            f"The timestamp is more than {settings.TIMESTAMP_WINDOW_S} seconds from our clock.",
            extra={"server_time": int(exchange.now.timestamp())},
        )


def find_key(exchange: Exchange) -> None:
    """Finds nothing for a scheme that is not the key's or not switched on: then the decoy below refuses."""
    authorization = exchange.authorization
    verifier = SCHEMES.get(authorization.scheme)
    credential = keyring.find_credential(
        app_id=authorization.app_id, serial_no=authorization.serial_no, now=exchange.now
    )
    if verifier is None or credential is None or verifier.algorithm != credential.algorithm:
        return
    if verifier.by_app_switch and not credential.accepts_wechatpay_scheme:
        return
    exchange.credential = credential


def check_signature(exchange: Exchange) -> None:
    authorization, credential = exchange.authorization, exchange.credential
    message = request_message(
        method=exchange.request.method or "",
        target=exchange.target,
        timestamp=str(authorization.timestamp),
        nonce=authorization.nonce,
        body=exchange.body,
    )
    if not _is_signed_by(credential, message=message, signature=authorization.signature) or credential is None:
        raise SignError
    exchange.caller = Caller(
        app_id=credential.app_id,
        merchant_id=credential.merchant_id,
        serial_no=credential.serial_no,
        scheme=authorization.scheme,
        scopes=credential.scopes,
    )


def _is_signed_by(credential: Credential | None, *, message: bytes, signature: bytes) -> bool:
    """One verification of the signature's length, whoever is named: the time tells nothing about who has a key."""
    if credential is not None and credential.public_key.signature_bytes == len(signature):
        return credential.public_key.verifies(message=message, signature=signature)
    if decoy := keyring.decoy(len(signature)):
        decoy.verifies(message=message, signature=signature)
    return False


def find_signer(exchange: Exchange) -> None:
    """Before anything is done: an answer that we could not sign would leave the caller in doubt about a write."""
    meta = exchange.request.META
    exchange.headers_doubled = bool(exchange.credential and exchange.credential.accepts_wechatpay_scheme)
    asked = meta.get("HTTP_FENPAY_SERIAL") or (meta.get("HTTP_WECHATPAY_SERIAL") if exchange.headers_doubled else None)
    algorithm = SCHEMES[exchange.authorization.scheme].algorithm  # who signs with it can verify it too
    exchange.signer = signer(now=exchange.now, asked_serial_no=asked or "", algorithm=algorithm)


def check_app(exchange: Exchange) -> None:
    if exchange.credential is None or not exchange.credential.app_is_active:
        raise AppDisabled


def check_scope(exchange: Exchange) -> None:
    """A view that does not say what it needs lets nobody in."""
    needed = exchange.needs.get(exchange.request.method or "")
    if needed is None or exchange.caller is None:
        raise NoAuth
    if needed != ANY_KEY and needed not in exchange.caller.scopes:
        raise NoAuth(f"This key lacks the scope {needed}.")


def check_nonce(exchange: Exchange) -> None:
    """With the store away a read is let through, for it can do no harm twice; a write waits."""
    authorization = exchange.authorization
    try:
        is_new = nonces.remember(serial_no=authorization.serial_no, nonce=authorization.nonce)
    except StoreDown as error:
        if exchange.is_read:
            return
        raise TryLater from error
    except nonces.KeyRevoked as error:
        exchange.caller = None  # nobody any more: the answer is the one that every stranger gets
        raise SignError from error
    if not is_new:
        raise ReplayedNonce


CHECKS: tuple[Check, ...] = (
    check_method,
    check_raw_target,
    check_length,
    check_media_type,
    read_authorization,
    read_body,
    check_time,
    find_key,
    check_signature,
    find_signer,
    check_app,
    check_scope,
    check_nonce,
)
