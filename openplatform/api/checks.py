"""The gate: an ordered list of checks, cheap and unauthenticated first.

Nothing of an app is spent, told or written before its signature was proven: an unknown app, an unknown or revoked key
and a wrong signature get the same answer, and a nonce counts only after the signature did.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from openplatform import keyring, limits, nonces
from openplatform.authorization import Authorization, AuthorizationMalformed, parse_authorization
from openplatform.blocks import failures, lists
from openplatform.client_ip import client_ip
from openplatform.keyring import Credential
from openplatform.keys import Signer, signer
from openplatform.limits.routes import OPEN_API
from openplatform.problems import (
    AppDisabled,
    Blacklisted,
    BodyTooLarge,
    InvalidRequest,
    IpNotAllowed,
    LengthRequired,
    MethodNotAllowed,
    NoAuth,
    NotFound,
    Problem,
    RateLimited,
    ReplayedNonce,
    SignError,
    TryLater,
    UnsupportedMedia,
)
from openplatform.scopes import ANY_KEY, Needs
from openplatform.signature import SCHEMES, WECHATPAY_SCHEME, request_message
from openplatform.store import StoreDown
from openplatform.target import (
    NATIVE_PATHS,
    WECHATPAY_PATHS,
    TargetRefused,
    check_target,
    is_for_the_sandbox,
    raw_target,
)

READS = frozenset({"GET"})
_MEDIA_TYPE = re.compile(r'application/json([ \t]*;[ \t]*charset=("utf-8"|utf-8))?', re.IGNORECASE | re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How requests to a view are spelt: their paths, and the scheme names that they may be signed under."""

    paths: re.Pattern[str]
    schemes: frozenset[str]


NATIVE_DIALECT = Dialect(paths=NATIVE_PATHS, schemes=frozenset(SCHEMES))
WECHATPAY_DIALECT = Dialect(paths=WECHATPAY_PATHS, schemes=frozenset({WECHATPAY_SCHEME}))


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
    route: str
    dialect: Dialect = NATIVE_DIALECT
    target: str = ""
    body: bytes = b""
    authorization: Authorization = field(init=False)
    credential: Credential | None = None
    caller: Caller | None = None
    signer: Signer | None = None
    headers_doubled: bool = False
    verdict: limits.Verdict = field(default_factory=limits.Verdict)
    unless_proven: Problem | None = None  # what everybody at this address is told whose signature is not right

    @property
    def is_read(self) -> bool:
        return self.request.method in READS

    @cached_property
    def address(self) -> str:
        """Whose request it is, by client_ip()."""
        return client_ip(self.request)


Check = Callable[[Exchange], None]


def check_blocked_address(exchange: Exchange) -> None:
    """Before anything that the caller sent is looked at. Whom a person blocked is refused here; an address that was
    blocked by itself is refused for whoever proves nothing: its failures may be those of a neighbour.
    """
    known = lists.current_lists()
    if known.blocks_address(exchange.address, now=exchange.now):
        exchange.unless_proven = Blacklisted()
        raise exchange.unless_proven
    if known.suspects_address(exchange.address, now=exchange.now):
        exchange.unless_proven = Blacklisted()


def check_method(exchange: Exchange) -> None:
    if exchange.request.method not in exchange.methods:
        raise MethodNotAllowed(allowed=sorted(exchange.methods))


def check_raw_target(exchange: Exchange) -> None:
    request = exchange.request
    try:
        exchange.target = raw_target(request)
        # `path_info` is what was routed by. `path` has SCRIPT_NAME before it, and a proxy may let a caller send that.
        check_target(
            exchange.target, path=request.path_info, query_names=exchange.query_names, paths=exchange.dialect.paths
        )
    except TargetRefused as error:
        raise InvalidRequest(f"The address is refused: {error}.") from error
    if is_for_the_sandbox(exchange.target) and not settings.TEST_PLATFORM:
        raise NotFound


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


def check_address(exchange: Exchange) -> None:
    """Only looks. Whose request it is nobody knows yet, and many honest callers may share one address: what counts
    against it are the refusals of those who prove nothing (`count_against_address`), and they alone are refused for it.
    """
    if exchange.unless_proven is None:
        exchange.verdict = limits.at_door(exchange.request, door=OPEN_API, take=False)
        if exchange.verdict.is_denied:
            exchange.unless_proven = RateLimited(retry_after_s=exchange.verdict.retry_after_s)


def count_against_address(exchange: Exchange, refusal: Problem | None) -> None:
    """One refusal more that this address got without proving who it is. Raises what it is told instead when it had too
    many, or is blocked.

    Our own failures (5xx, and None for a bug) are not its fault.
    """
    is_its_fault = refusal is not None and refusal.status < 500
    if exchange.caller is not None or not is_its_fault:
        return
    if exchange.unless_proven is not None:
        raise exchange.unless_proven
    exchange.verdict = limits.at_door(exchange.request, door=OPEN_API, take=True)
    exchange.verdict.check()


def read_authorization(exchange: Exchange) -> None:
    header = exchange.request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        raise SignError("The Authorization header is missing.")
    try:
        exchange.authorization = parse_authorization(header)
    except AuthorizationMalformed as error:
        raise SignError(f"The Authorization header is malformed: {error}.") from error


def check_named_key(exchange: Exchange) -> None:
    """From a suspected address only a request goes on that names a key of that app; to make one up costs us nothing
    more. What it proves is judged below, as for everybody.
    """
    named = exchange.authorization
    if exchange.unless_proven and not keyring.is_registered(app_id=named.app_id, serial_no=named.serial_no):
        raise exchange.unless_proven


def read_body(exchange: Exchange) -> None:
    """Before whatever holds for a moment only: a caller may hold the last byte back for as long as it likes, and the
    timestamp, the key, the app and the nonce must be good when the request is carried out.
    """
    exchange.body = exchange.request.body
    exchange.now = timezone.now()


def check_time(exchange: Exchange) -> None:
    """The server's clock is in the answer, so that an integrator sees at once whose is wrong. Whose signature is right
    has only a wrong clock; that costs nobody its address.
    """
    if abs(exchange.now.timestamp() - exchange.authorization.timestamp) <= settings.TIMESTAMP_WINDOW_S:
        return
    find_key(exchange)
    if _is_signed(exchange):
        exchange.unless_proven = None
    else:
        _count_failure(exchange)
    raise SignError(
        f"The timestamp is more than {settings.TIMESTAMP_WINDOW_S} seconds from our clock.",
        extra={"server_time": int(exchange.now.timestamp())},
    )


def find_key(exchange: Exchange) -> None:
    """Finds nothing for a scheme that is not of this dialect, not the key's or not switched on: then the decoy below
    refuses.
    """
    authorization = exchange.authorization
    verifier = SCHEMES.get(authorization.scheme)
    credential = keyring.find_credential(
        app_id=authorization.app_id, serial_no=authorization.serial_no, now=exchange.now
    )
    if verifier is None or credential is None or verifier.algorithm != credential.algorithm:
        return
    if authorization.scheme not in exchange.dialect.schemes:
        return
    if verifier.by_app_switch and not credential.accepts_wechatpay_scheme:
        return
    exchange.credential = credential


def check_signature(exchange: Exchange) -> None:
    credential = exchange.credential
    if not _is_signed(exchange) or credential is None:
        _count_failure(exchange)
        raise SignError
    exchange.verdict = limits.Verdict()  # how the address stands does not concern whoever is proven
    exchange.caller = Caller(
        app_id=credential.app_id,
        merchant_id=credential.merchant_id,
        serial_no=credential.serial_no,
        scheme=exchange.authorization.scheme,
        scopes=credential.scopes,
    )


def _count_failure(exchange: Exchange) -> None:
    if exchange.unless_proven is None:  # else it is refused already
        failures.count_failure(exchange.address, now=exchange.now)


def _is_signed(exchange: Exchange) -> bool:
    """By the key that find_key() found."""
    authorization = exchange.authorization
    message = request_message(
        method=exchange.request.method or "",
        target=exchange.target,
        timestamp=str(authorization.timestamp),
        nonce=authorization.nonce,
        body=exchange.body,
    )
    return _is_signed_by(exchange.credential, message=message, signature=authorization.signature)


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


def check_app_address(exchange: Exchange) -> None:
    """After the signature: a stranger does not learn which apps call from certain addresses only."""
    if exchange.caller is None:
        raise SignError
    if not lists.current_lists().lets_in(app_id=exchange.caller.app_id, address=exchange.address, now=exchange.now):
        raise IpNotAllowed


def check_nonce_and_limits(exchange: Exchange) -> None:
    """Both in one step of the store, the nonce first. With the store away a read is let through, for it can do no harm
    twice, and its limits are counted here; a write waits.
    """
    authorization = exchange.authorization
    tallies = limits.tallies_of_app(authorization.app_id, route=exchange.route)
    try:
        exchange.verdict = nonces.remember(
            serial_no=authorization.serial_no, nonce=authorization.nonce, tallies=tallies
        )
    except StoreDown as error:
        if not exchange.is_read:
            raise TryLater from error
        exchange.verdict = limits.decide(tallies)
    except nonces.KeyRevoked as error:
        exchange.caller = None  # nobody any more: the answer is the one that every stranger gets
        raise SignError from error
    if exchange.verdict.is_replay:
        raise ReplayedNonce
    exchange.verdict.check()


def check_blocked_caller(exchange: Exchange) -> None:
    """The last proof is given: whoever is blocked here is who it says it is."""
    caller = exchange.caller
    if caller is None:
        raise SignError
    if lists.current_lists().blocks_caller(app_id=caller.app_id, serial_no=caller.serial_no, now=exchange.now):
        raise Blacklisted


CHECKS: tuple[Check, ...] = (
    check_blocked_address,
    check_method,
    check_raw_target,
    check_length,
    check_media_type,
    check_address,
    read_authorization,
    check_named_key,
    read_body,
    check_time,
    find_key,
    check_signature,
    find_signer,
    check_app,
    check_scope,
    check_app_address,
    check_nonce_and_limits,
    check_blocked_caller,
)
