"""One pasted request through the gate's own checks, one by one, without stopping at the first that fails."""

from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from django.core.handlers.wsgi import WSGIRequest
from django.urls import Resolver404, resolve

from openplatform import keyring, strictjson
from openplatform.api import OpenApiView, checks
from openplatform.api.checks import Exchange
from openplatform.limits.routes import READ
from openplatform.problems import Problem
from openplatform.signature import RsaPublicKey
from openplatform.workbench import mistakes
from openplatform.workbench.asked import Asked
from openplatform.workbench.mistakes import Parts

OK, BAD, UNKNOWN = "ok", "bad", "unknown"


@dataclass(frozen=True, kw_only=True)
class Check:
    """`why` names a sentence of wording.WHY; `said` is what the gate itself says, in English as it always does."""

    name: str
    state: str
    why: str = ""
    said: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """`parts` is None while one is missing that the string needs. `signed` is the string that the signature fits, when
    it fits one that people sign by mistake, and `mistake` is the mistake's name.
    """

    checks: list[Check]
    parts: Parts | None
    mistake: str = ""
    signed: bytes | None = None

    @property
    def message(self) -> bytes | None:
        """The string that we verify."""
        return None if self.parts is None else self.parts.message()

    def state_of(self, name: str) -> str:
        return next(check.state for check in self.checks if check.name == name)


def explain(asked: Asked, *, now: datetime) -> Explanation:
    exchange, view = _exchange(asked, now=now)
    done = [
        _address(view),
        _by_gate("method", checks.check_method, exchange) if view else Check(name="method", state=UNKNOWN),
        _by_gate("target", checks.check_raw_target, exchange),
        _by_gate("length", checks.check_length, exchange),
        _json(asked.body),
        _by_gate("header", checks.read_authorization, exchange)
        if asked.header
        else Check(name="header", state=UNKNOWN),
    ]
    exchange.target, exchange.body = asked.target, asked.body
    parts = _parts(asked)
    if done[-1].state != OK:
        done += [Check(name=name, state=UNKNOWN) for name in ("time", "key", "signature")]
        return Explanation(checks=done, parts=parts)
    done += [_time(exchange), _key(exchange)]
    signature, mistake, signed = _signature(exchange, parts)
    return Explanation(checks=[*done, signature], parts=parts, mistake=mistake, signed=signed)


def _exchange(asked: Asked, *, now: datetime) -> tuple[Exchange, type[OpenApiView] | None]:
    """The request as the gate sees one that a server has read from the wire."""
    path, _mark, query = asked.target.partition("?")
    path_info = unquote_to_bytes(path).decode("latin-1")
    environ = {
        "REQUEST_METHOD": asked.method, "PATH_INFO": path_info, "QUERY_STRING": query, "RAW_URI": asked.target,
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(asked.body)), "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "wsgi.input": BytesIO(asked.body), "wsgi.url_scheme": "http",
    }  # fmt: skip
    if asked.header:
        environ["HTTP_AUTHORIZATION"] = asked.header
    request = WSGIRequest(environ)
    view = _view(request.path_info)
    exchange = Exchange(
        request=request, methods=frozenset(view().allowed_methods) if view else frozenset(),
        query_names=view.query_names if view else frozenset(), now=now, route=READ,
        needs=view.scopes if view else {},
    )  # fmt: skip
    return exchange, view


def _view(path: str) -> type[OpenApiView] | None:
    """The operation at this address."""
    try:
        view = getattr(resolve(path).func, "view_class", None)
    except Resolver404:
        return None
    return view if isinstance(view, type) and issubclass(view, OpenApiView) else None


def _address(view: type[OpenApiView] | None) -> Check:
    return Check(name="address", state=OK) if view else Check(name="address", state=BAD, why="no_such_address")


def _by_gate(name: str, check: checks.Check, exchange: Exchange) -> Check:
    try:
        check(exchange)
    except Problem as problem:
        return Check(name=name, state=BAD, said=problem.detail)
    return Check(name=name, state=OK)


def _json(body: bytes) -> Check:
    if not body:
        return Check(name="json", state=OK)
    try:
        strictjson.loads(body)
    except strictjson.JsonRefused as error:
        return Check(name="json", state=BAD, said=str(error))
    return Check(name="json", state=OK)


def _time(exchange: Exchange) -> Check:
    off_by_s = round(exchange.authorization.timestamp - exchange.now.timestamp())
    state = _by_gate("time", checks.check_time, exchange).state
    why = "" if state == OK else "clock_ahead" if off_by_s > 0 else "clock_behind"
    return Check(name="time", state=state, why=why, values={"seconds": abs(off_by_s)})


def _key(exchange: Exchange) -> Check:
    named = exchange.authorization
    checks.find_key(exchange)
    if exchange.credential is not None:
        return Check(name="key", state=OK)
    found = keyring.find_credential(app_id=named.app_id, serial_no=named.serial_no, now=exchange.now)
    return Check(name="key", state=BAD, why="unknown_key" if found is None else "other_scheme")


def _signature(exchange: Exchange, parts: Parts | None) -> tuple[Check, str, bytes | None]:
    """The check, and the mistake with its string when the signature fits one of those that people make."""
    if exchange.credential is None or parts is None:
        return Check(name="signature", state=UNKNOWN), "", None
    if not parts.target.isascii():
        return Check(name="signature", state=BAD, why="not_ascii"), "", None
    if _by_gate("signature", checks.check_signature, exchange).state == OK:
        return Check(name="signature", state=OK), "", None
    key, signature = exchange.credential.public_key, exchange.authorization.signature
    if len(signature) != key.signature_bytes:
        values = {"found": len(signature), "wanted": key.signature_bytes}
        return Check(name="signature", state=BAD, why="other_length", values=values), "", None
    for name, wrong in mistakes.strings(parts):
        if key.verifies(message=wrong, signature=signature):
            return Check(name="signature", state=BAD, why="fits_another_string"), name, wrong
    return Check(name="signature", state=BAD, why=_other_way(key, parts.message(), signature)), "", None


def _other_way(key: Any, message: bytes, signature: bytes) -> str:
    """Whether the string is right and only the algorithm is not."""
    ways: dict[str, tuple[padding.AsymmetricPadding, HashAlgorithm]] = {
        "signed_with_pss": (padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=padding.PSS.AUTO), SHA256()),
        "signed_with_sha1": (padding.PKCS1v15(), SHA1()),  # noqa: S303 - to say that it was used
    }
    for why, (scheme, algorithm) in ways.items():
        if isinstance(key, RsaPublicKey) and _verifies(key, message, signature, scheme, algorithm):
            return why
    return "fits_no_string"


def _verifies(
    key: RsaPublicKey, message: bytes, signature: bytes, scheme: padding.AsymmetricPadding, algorithm: HashAlgorithm
) -> bool:
    try:
        key.key.verify(signature, message, scheme, algorithm)
    except InvalidSignature:
        return False
    return True


def _parts(asked: Asked) -> Parts | None:
    """What the string is made of; from a header that is malformed, too, for then the string is what helps."""
    timestamp, nonce = asked.parameters.get("timestamp", ""), asked.parameters.get("nonce_str", "")
    if not (timestamp and nonce and asked.target):
        return None
    return Parts(method=asked.method, target=asked.target, timestamp=timestamp, nonce=nonce, body=asked.body)
