"""The model's JSON calls under /gateway/api/pay/: checked, executed under a plan, answered with a signature."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from sandbox import crypto, wire
from sandbox.calls import Log
from sandbox.models import UNIONPAY
from sandbox.performing import Act, perform
from sandbox.plans import CallPlan
from sandbox.unionpay import signing

BODY_BYTES_MAX = 65_536
# respCode and respMsg by the names that rules for all channels use.
CODES: Mapping[str, tuple[str, str]] = {
    "PARAM_ERROR": ("10", "报文格式错误"),
    "SIGN_ERROR": ("11", "验证签名失败"),
    "ORDER_PAID": ("12", "重复交易"),
    "OUT_TRADE_NO_USED": ("12", "重复交易"),
    "ORDER_NOT_EXIST": ("25", "原交易不存在"),
    "RESOURCE_NOT_EXISTS": ("25", "原交易不存在"),
    "MCH_NOT_EXISTS": ("03", "无效商户"),
    "NOT_ENOUGH": ("51", "余额不足"),
    "RULE_LIMIT": ("61", "交易金额超限"),
    "ORDER_CLOSED": ("35", "原交易状态不正确"),
    "TRADE_ERROR": ("35", "原交易状态不正确"),
    "INVALID_REQUEST": ("35", "原交易状态不正确"),
    "AUTH_CODE_INVALID": ("38", "付款码无效"),
    "USER_AUTH_CODE_INVALID": ("36", "用户授权码无效"),
    "USERPAYING": ("02", "支付中"),
    "NO_CONTENT": ("00", "成功"),
}
OTHERS = ("99", "系统繁忙，请查询")
ACCOUNT = {"serProvId": r"[0-9A-Za-z]{1,32}", "merId": r"[0-9A-Za-z]{1,32}"}  # fields of every call


class Refused(Exception):
    """The answer is an error; the argument is a name in CODES."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
        self.canonical = b""


@dataclass(frozen=True, kw_only=True)
class Call:
    """`fields` maps the names that may be sent to patterns; those in `required` must be there."""

    operation: str
    fields: Mapping[str, str]
    required: frozenset[str]
    execute: Callable[[Mapping[str, Any], CallPlan], dict[str, Any]]
    subject: Callable[[Mapping[str, Any]], tuple[str, int]]


def serve(request: HttpRequest, call: Call) -> HttpResponseBase:
    if request.method != "POST":
        return HttpResponse(status=405)
    log = Log(request, channel=UNIONPAY, operation=call.operation, mchid=signing.side().mer_id)
    try:
        params = _authenticate(request, call)
    except Refused as refusal:
        log.refused_signature(refusal.canonical)
        said = _error(refusal.name)
        log.finish(status=200, code=said["respCode"])
        return _response(said, plan=CallPlan())
    number, amount_fen = call.subject(params)
    chosen = log.begin(number=number, amount_fen=amount_fen)
    act = Act(
        execute=lambda plan: _execute(call, params, plan),
        error=_error,
        has_worked=lambda said: said["respCode"] in {"00", "02"},
    )
    said = perform(request, act, chosen=chosen, log=log)
    log.finish(status=200, code="" if said["respCode"] == "00" else said["respCode"])
    return wire.play(chosen.call.wire, request, _response(said, plan=chosen.call))


def _authenticate(request: HttpRequest, call: Call) -> dict[str, Any]:
    """One JSON object of known names, ours, and signed. Raises Refused."""
    params = _object(request.body)
    unknown = set(params) - set(call.fields) - {"signature"}
    missing = {name for name in call.required if params.get(name) in (None, "")}
    if unknown or missing:
        raise Refused("PARAM_ERROR")
    ours = signing.side()
    if (params["serProvId"], params["merId"]) != (ours.serv_prov_id, ours.mer_id):
        raise Refused("MCH_NOT_EXISTS")
    _check_signature(params, key_pem=ours.merchant_public_key_pem)
    for name, value in params.items():
        if value != "" and name != "signature" and not _fits(value, call.fields[name]):
            raise Refused("PARAM_ERROR")
    return params


def _object(body: bytes) -> dict[str, Any]:
    try:
        params = json.loads(body) if len(body) <= BODY_BYTES_MAX else None
    except (ValueError, RecursionError):
        params = None
    if not isinstance(params, dict):
        raise Refused("PARAM_ERROR")
    return params


def _check_signature(params: Mapping[str, Any], *, key_pem: str) -> None:
    message = signing.message(params)
    if not crypto.verify(message, str(params.get("signature", "")), key=crypto.public_key(key_pem)):
        refusal = Refused("SIGN_ERROR")
        refusal.canonical = message
        raise refusal


def _fits(value: Any, pattern: str) -> bool:
    """An empty pattern takes an object; everything else is text."""
    if not pattern:
        return isinstance(value, dict | str)
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _execute(call: Call, params: Mapping[str, Any], plan: CallPlan) -> dict[str, Any]:
    try:
        return {"respCode": "00", "respMsg": "成功"} | call.execute(params, plan)
    except Refused as refusal:
        return _error(refusal.name)


def _error(name: str) -> dict[str, Any]:
    code, message = CODES.get(name, OTHERS)
    return {"respCode": code, "respMsg": message}


def _response(said: Mapping[str, Any], *, plan: CallPlan) -> HttpResponse:
    content = json.dumps(signing.signed(said, flaw=plan.sign), ensure_ascii=False, separators=(",", ":")).encode()
    if plan.wire == "bad_json":
        content = content[: len(content) // 2]
    return HttpResponse(content, content_type="application/json; charset=utf-8")
