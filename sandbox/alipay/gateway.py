"""/gateway.do: from query and form to a checked request, through one of the methods, to a signed answer.

A method is two functions, as at WeChat Pay: `read` checks biz_content and says what is wanted, `execute` does it.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from sandbox import clock, crypto, wire
from sandbox.alipay import messages, signing
from sandbox.alipay.errors import Refused, preset
from sandbox.alipay.material import AlipayKey, AlipaySide
from sandbox.calls import Log
from sandbox.clock import BEIJING
from sandbox.models import ALIPAY
from sandbox.performing import Act, perform
from sandbox.plans import CallPlan

TIMESTAMP_WINDOW_S = 300
BODY_BYTES_MAX = 131_072
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
Wish = TypeVar("Wish")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """An authenticated request. `params` are the common ones, `biz` is the parsed and decrypted biz_content."""

    side: AlipaySide
    params: Mapping[str, str]
    biz: dict[str, Any]

    @property
    def in_cert_mode(self) -> bool:
        return "app_cert_sn" in self.params

    @property
    def is_encrypted(self) -> bool:
        return self.params.get("encrypt_type") == "AES"


@dataclass(frozen=True, kw_only=True)
class Method(Generic[Wish]):
    """`operation` is the name that fault rules use; `subject` gives (number, amount in fen) that they look at.

    `has_code` False leaves code and msg out of a success, as the oauth token's answer does.
    """

    operation: str
    read: Callable[[Ask], Wish]
    execute: Callable[[Ask, Wish, CallPlan], dict[str, Any]]
    subject: Callable[[Ask, Wish], tuple[str, int]]
    has_code: bool = True


@dataclass(frozen=True, kw_only=True)
class _Said:
    """The value of the answer's node, and whether it is an error."""

    body: Mapping[str, Any]
    is_error: bool = False

    @property
    def code(self) -> str:
        return str(self.body.get("sub_code", self.body.get("code", ""))) if self.is_error else ""


def serve(request: HttpRequest, methods: Mapping[str, Method[Any]]) -> HttpResponseBase:
    """One request to the gateway."""
    params = _merged(request)
    name = params.get("method", "")
    method = methods.get(name)
    log = Log(request, channel=ALIPAY, operation=method.operation if method else "", mchid=params.get("app_id", ""))
    node = f"{name.replace('.', '_')}_response" if method else "error_response"
    try:
        ask = _authenticate(request, params)
        if method is None:
            raise preset("isv.invalid-method")
        wish = method.read(ask)
    except Refused as refusal:
        log.refused_signature(refusal.canonical)
        log.finish(status=200, code=refusal.sub_code)
        return _refusal(refusal, params, node=node, has_code=method is None or method.has_code)
    number, amount_fen = method.subject(ask, wish)
    chosen = log.begin(number=number, amount_fen=amount_fen)
    act = Act(execute=lambda plan: _execute(method, ask, wish, plan), error=_named_error, has_worked=_has_worked)
    said = perform(request, act, chosen=chosen, log=log)
    log.finish(status=200, code=said.code)
    return wire.play(chosen.call.wire, request, _answer(said, ask=ask, node=node, method=method, plan=chosen.call))


def _merged(request: HttpRequest) -> dict[str, str]:
    """Query and form as one, whatever the HTTP method; a multipart form too. What is in the form wins."""
    body = request.body[:BODY_BYTES_MAX]
    query = parse_qsl(urlsplit(str(request.META["RAW_URI"])).query, keep_blank_values=True)
    if request.content_type == "multipart/form-data":
        return dict(query) | {name: str(value) for name, value in request.POST.items()}
    return dict(query) | dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def _authenticate(request: HttpRequest, params: Mapping[str, str]) -> Ask:
    """In this order: method, app_id, forms, timestamp, certificates, signature, content. Raises Refused."""
    ours = signing.side()
    _require(params, "method", "isv.missing-method")
    _require(params, "app_id", "isv.missing-app-id")
    if params["app_id"] != ours.app_id:
        raise preset("isv.invalid-app-id")
    _check_forms(params)
    _check_timestamp(params)
    _check_certificates(params, ours)
    _check_signature(params, ours)
    if len(request.body) > BODY_BYTES_MAX:
        raise preset("isv.invalid-parameter")
    return Ask(side=ours, params=params, biz=_content(params, ours))


def _require(params: Mapping[str, str], name: str, error: str) -> None:
    if not params.get(name):
        raise preset(error)


def _check_forms(params: Mapping[str, str]) -> None:
    _require(params, "sign_type", "isv.missing-signature-type")
    if params["sign_type"] != "RSA2":
        raise preset("isv.invalid-signature-type")
    _require(params, "sign", "isv.missing-signature")
    _require(params, "version", "isv.missing-version")
    if params["version"] != "1.0":
        raise preset("isv.invalid-parameter", message="version只能为1.0")
    if params.get("format", "JSON").upper() != "JSON":
        raise preset("isv.invalid-format")
    if params.get("charset", "").lower() not in {"utf-8", "utf8"}:
        raise preset("isv.invalid-charset")
    if params.get("encrypt_type", "AES") != "AES":
        raise preset("isv.invalid-encrypt-type")


def _check_timestamp(params: Mapping[str, str]) -> None:
    """Beijing time, near our own real clock."""
    _require(params, "timestamp", "isv.missing-timestamp")
    text = params["timestamp"]
    try:
        at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    except ValueError as problem:
        raise preset("isv.invalid-timestamp") from problem
    if not _TIMESTAMP.fullmatch(text) or abs(at.timestamp() - clock.request_time()) > TIMESTAMP_WINDOW_S:
        raise preset("isv.invalid-timestamp")


def _check_certificates(params: Mapping[str, str], ours: AlipaySide) -> None:
    """Both serials or none: they decide the mode."""
    if "app_cert_sn" not in params and "alipay_root_cert_sn" not in params:
        return
    _require(params, "app_cert_sn", "isv.missing-app-cert-sn")
    _require(params, "alipay_root_cert_sn", "isv.missing-root-cert-sn")
    if params["app_cert_sn"] != ours.app_cert_sn:
        raise preset("isv.invalid-app-cert-sn")
    if params["alipay_root_cert_sn"] != ours.root_cert_sn:
        raise preset("isv.invalid-root-cert-sn")


def _check_signature(params: Mapping[str, str], ours: AlipaySide) -> None:
    message = messages.request_message(params)
    if crypto.verify(message, params["sign"], key=crypto.public_key(ours.app_public_key_pem)):
        return
    refusal = preset("isv.invalid-signature", message="验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配")
    refusal.canonical = message
    raise refusal


def _content(params: Mapping[str, str], ours: AlipaySide) -> dict[str, Any]:
    text = params.get("biz_content", "")
    if params.get("encrypt_type") and text:
        try:
            text = messages.decrypt(text, key=ours.aes_key)
        except ValueError as problem:
            raise preset("isv.decryption-error-unknown") from problem
    try:
        parsed = json.loads(text or "{}")
    except (ValueError, RecursionError) as problem:
        raise preset("isv.invalid-parameter", message="biz_content不是合法的JSON") from problem
    if not isinstance(parsed, dict):
        raise preset("isv.invalid-parameter", message="biz_content不是JSON对象")
    return parsed


def _execute(method: Method[Any], ask: Ask, wish: Any, plan: CallPlan) -> _Said:
    try:
        done = method.execute(ask, wish, plan)
    except Refused as refusal:
        return _Said(body=refusal.body, is_error=True)
    return _Said(body={"code": "10000", "msg": "Success", **done} if method.has_code else done)


def _named_error(name: str) -> _Said:
    """NO_CONTENT is the success that has no effect."""
    if name == "NO_CONTENT":
        return _Said(body={"code": "10000", "msg": "Success"})
    return _Said(body=preset(name).body, is_error=True)


def _has_worked(said: _Said) -> bool:
    return not said.is_error or said.body["code"] == "10003"


def _refusal(refusal: Refused, params: Mapping[str, str], *, node: str, has_code: bool) -> HttpResponse:
    """Before the app is known there is nobody to sign for: seen live without a sign."""
    text = messages.node_text(refusal.body)
    if refusal.sub_code in {"isv.invalid-app-id", "isv.missing-app-id", "isv.missing-method"}:
        return _response('{"' + node + '":' + text + "}")
    key = signing.answer_key(in_cert_mode="app_cert_sn" in params)
    return _response(messages.answer(node if has_code else "error_response", text, key=key))


def _answer(said: _Said, *, ask: Ask, node: str, method: Method[Any], plan: CallPlan) -> HttpResponse:
    """The text is spoilt before it is signed where a rule wants bad JSON, and encrypted where the merchant does."""
    key = _key(ask)
    if plan.sign == "error_response":
        return _response(
            messages.answer("error_response", messages.node_text(preset("isp.unknow-error").body), key=key)
        )
    if said.is_error and not method.has_code:
        node = "error_response"
    text = messages.node_text(said.body)
    if ask.is_encrypted:
        text = json.dumps(messages.encrypt(text, key=ask.side.aes_key))
    whole = messages.answer(node, text, key=key, flaw=plan.sign)
    return _response(whole[: len(whole) // 2] if plan.wire == "bad_json" else whole)


def _key(ask: Ask) -> AlipayKey:
    return signing.answer_key(in_cert_mode=ask.in_cert_mode)


def _response(text: str) -> HttpResponse:
    return HttpResponse(text.encode(), content_type="text/html;charset=utf-8")
