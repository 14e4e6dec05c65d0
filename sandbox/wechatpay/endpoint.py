"""From an HTTP request to an answer: authenticate, read, let the faults choose, execute, sign.

An operation is two functions. `read` checks the fields and says what is wanted; `execute` does it. Between them stands
the plan of the fault rules, so that no operation knows what may go wrong around it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from sandbox import options, wire
from sandbox.calls import Log
from sandbox.identity import PlatformKey
from sandbox.models import WECHATPAY
from sandbox.performing import Act, perform
from sandbox.plans import CallPlan
from sandbox.wechatpay import checks, errors, signing
from sandbox.wechatpay.checks import Ask
from sandbox.wechatpay.errors import Refused

Wish = TypeVar("Wish")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is to be said: a JSON object, nothing with a 204, or a file, which is never signed."""

    status: int
    body: Mapping[str, Any] | None = None
    file: bytes | None = None

    @property
    def content(self) -> bytes:
        if self.file is not None:
            return self.file
        return b"" if self.body is None else json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def code(self) -> str:
        return "" if self.status < 400 or self.body is None else str(self.body["code"])


@dataclass(frozen=True, kw_only=True)
class Operation(Generic[Wish]):
    """`subject` gives (number, amount in fen) that fault rules and test values look at."""

    name: str
    method: str
    read: Callable[[Ask, Mapping[str, str]], Wish]
    execute: Callable[[Ask, Wish, CallPlan], Reply]
    subject: Callable[[Ask, Wish], tuple[str, int]]


def view(*operations: Operation[Any]) -> Callable[..., HttpResponseBase]:
    """One path; its operations differ by HTTP method. Anything else is 405 with an empty body."""
    by_method = {operation.method: operation for operation in operations}

    def serve(request: HttpRequest, **path: str) -> HttpResponseBase:
        operation = by_method.get(str(request.method))
        return HttpResponse(status=405) if operation is None else _serve(operation, request, path)

    return serve


def _serve(operation: Operation[Any], request: HttpRequest, path: Mapping[str, str]) -> HttpResponseBase:
    log = Log(request, channel=WECHATPAY, operation=operation.name, mchid=checks.claimed_mchid(request))
    try:
        ask = checks.authenticate(request)
        wish = operation.read(ask, path)
    except Refused as refusal:
        reply = Reply(status=refusal.status, body=refusal.body)
        log.refused_signature(refusal.canonical)
        log.finish(status=reply.status, code=reply.code)
        return _answer(reply, log=log, key=signing.platform().public_key, plan=CallPlan())
    number, amount_fen = operation.subject(ask, wish)
    chosen = log.begin(number=number, amount_fen=amount_fen)
    act = Act(
        execute=lambda plan: _execute(operation, ask, wish, plan),
        error=_error_reply,
        has_worked=lambda reply: reply.status < 400,
    )
    reply = perform(request, act, chosen=chosen, log=log)
    log.finish(status=reply.status, code=reply.code)
    return wire.play(chosen.call.wire, request, _answer(reply, log=log, key=ask.answer_key, plan=chosen.call))


def _execute(operation: Operation[Any], ask: Ask, wish: Any, plan: CallPlan) -> Reply:
    try:
        return operation.execute(ask, wish, plan)
    except Refused as refusal:
        return Reply(status=refusal.status, body=refusal.body)


def _error_reply(name: str) -> Reply:
    refusal = errors.preset(name)
    return Reply(status=refusal.status, body=refusal.body if refusal.code else None)


def _answer(reply: Reply, *, log: Log, key: PlatformKey, plan: CallPlan) -> HttpResponse:
    """Status, body and headers; 2xx answers are signed over the very bytes that leave."""
    content = reply.content[: len(reply.content) // 2] if plan.wire == "bad_json" else reply.content
    response = HttpResponse(content, status=reply.status, content_type="application/json; charset=utf-8")
    response["Request-ID"] = log.request_id
    response["Cache-Control"] = "no-cache, must-revalidate"
    response["Content-Language"] = "zh-CN"
    if reply.status == 204:
        del response["Content-Type"]
    if reply.file is not None:
        response["Content-Type"] = "application/octet-stream"
        return response
    if reply.status < 300 or options.get("signed_errors"):
        for name, value in signing.headers(content, key=key, flaw=plan.sign).items():
            response[name] = value
    return response
