"""unifiedorder, micropay, queryOrder, close, refund, refundQuery of the model provider; who the payer is: users.py."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from sandbox import barcodes, chance, clock, deliveries, environment, ledger, options, payer, redirects, runtime
from sandbox.models import UNIONPAY, PayOrder, Prepay, Refund
from sandbox.plans import CallPlan
from sandbox.store import writing
from sandbox.unionpay import signing, users
from sandbox.unionpay.gateway import ACCOUNT, CODES, Call, Refused, serve

LIFETIME = timedelta(hours=2)
STATES: Mapping[str, str] = {
    PayOrder.SUCCESS: "00",
    PayOrder.REFUND: "01",
    PayOrder.NOTPAY: "02",
    PayOrder.CLOSED: "03",
    PayOrder.REVOKED: "04",
    PayOrder.USERPAYING: "05",
    PayOrder.PAYERROR: "06",
}
REFUND_STATES: Mapping[str, str] = {Refund.SUCCESS: "00", Refund.PROCESSING: "02"}
_NUMBER, _ANY = r"[0-9A-Za-z]{6,32}", r".{0,256}"
_COMMON = {**ACCOUNT, "orderNo": _NUMBER, "orderTime": r"\d{14}"}
_PAY = {
    "txnAmt": r"[1-9]\d{0,11}",
    "currencyCode": "156",
    "orderInfo": _ANY,
    "orderType": "upJs|unionpay",
    "backUrl": _ANY,
    "frontUrl": _ANY,
    "termInfo": "",
    "termId": _ANY,
    "customerIp": r"[0-9A-Fa-f.:]{2,45}",
}
_ALWAYS = frozenset({*ACCOUNT, "orderNo"})


def _find(number: str) -> PayOrder | None:
    return ledger.find_order(channel=UNIONPAY, mchid=signing.side().mer_id, out_trade_no=number)


def _known(number: str) -> PayOrder:
    order = _find(number)
    if order is None:
        raise Refused("ORDER_NOT_EXIST")
    return order


def _digest(params: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in params.items() if name not in {"signature", "orderTime"}}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _create(params: Mapping[str, Any], plan: CallPlan) -> dict[str, Any]:
    now = clock.now()
    with writing():
        order = _find(params["orderNo"])
        if order is None:
            order = _new(params, plan, now=now, product="jsapi", openid=params["userId"], expires_at=now + LIFETIME)
        _check_same(order, params, now=now)
        prepay = Prepay.objects.filter(order=order).first() or Prepay.objects.create(
            order=order, token=f"UP{chance.text('prepay', order.out_trade_no)}", expires_at=order.expires_at
        )
    if plan.pays == "before_answer":
        deliveries.deliver_now(order=ledger.pay(order_pk=order.pk, openid=order.openid, now=now))
    return {"orderNo": order.out_trade_no, "payData": f"{environment.current().base_url}/phone/unionpay/{prepay.token}"}


def _check_same(order: PayOrder, params: Mapping[str, Any], *, now: datetime) -> None:
    ledger.refresh(order, now=now)
    if order.digest != _digest(params) or order.is_paid:
        raise Refused("OUT_TRADE_NO_USED")
    if not order.is_unpaid:
        raise Refused("ORDER_CLOSED")


def _new(params: Mapping[str, Any], plan: CallPlan, *, now: datetime, **more: Any) -> PayOrder:
    if params.get("backUrl") and not redirects.may_be_told(params["backUrl"]):
        raise Refused("PARAM_ERROR")
    delay = timedelta(seconds=options.compressed(options.get("pay_s")))
    return PayOrder.objects.create(
        channel=UNIONPAY,
        mchid=params["merId"],
        out_trade_no=params["orderNo"],
        description=params.get("orderInfo", ""),
        notify_url=params.get("backUrl", ""),
        facts={"front_url": params.get("frontUrl", "")},
        total_fen=int(params["txnAmt"]),
        digest=_digest(params),
        created_at=now,
        pay_at=now + delay if plan.pays == "later" else None,
        **more,
    )


def _micropay(params: Mapping[str, Any], plan: CallPlan) -> dict[str, Any]:
    now = clock.now()
    asks_payer = bool(plan.asks_end) or int(params["txnAmt"]) > barcodes.PASSWORD_ABOVE_FEN
    with writing():
        if _find(params["orderNo"]) is not None:
            raise Refused("OUT_TRADE_NO_USED")
        try:
            who = barcodes.spend(params["authCode"], channel=UNIONPAY, number=params["orderNo"], now=now)
        except (barcodes.InvalidCode, barcodes.ExpiredCode) as problem:
            raise Refused("AUTH_CODE_INVALID") from problem
        order = _new(
            params,
            plan,
            now=now,
            product="barcode",
            openid=payer.unionpay_user_id(mer_id=params["merId"], payer=who) if who else ledger.ANYBODY,
            state=PayOrder.USERPAYING if asks_payer else PayOrder.NOTPAY,
            asks_left=plan.asks,
            asks_end=plan.asks_end,
            expires_at=now + ledger.BARCODE_LIFETIME,
        )
    if asks_payer:
        code, message = CODES["USERPAYING"]
        return {"respCode": code, "respMsg": message, "orderNo": order.out_trade_no}
    return _told(ledger.pay(order_pk=order.pk, openid=order.openid, now=now))


def _query(params: Mapping[str, Any], plan: CallPlan) -> dict[str, Any]:  # noqa: ARG001 - the shape of all calls
    with writing():
        return _told(ledger.asked(_known(params["orderNo"]), now=clock.now()))


def _told(order: PayOrder) -> dict[str, Any]:
    return {
        "orderNo": order.out_trade_no,
        "origRespCode": STATES[order.state],
        "txnAmt": str(order.total_fen),
        "transIndex": order.transaction_id or "",
        "userId": order.openid,
    }


def _close(params: Mapping[str, Any], plan: CallPlan) -> dict[str, Any]:
    now = clock.now()
    with writing():
        order = ledger.refresh(_known(params["orderNo"]), now=now)
        if plan.pays == "before_close" and order.is_unpaid:
            order = ledger.pay(order_pk=order.pk, openid=ledger.ANYBODY, now=now)
        if not order.is_paid:
            if order.is_unpaid:
                ledger.close(order=order, now=now, pays_after=plan.pays == "after_close")
            return {"orderNo": order.out_trade_no}
    raise Refused("ORDER_PAID")


def _refund(params: Mapping[str, Any], plan: CallPlan) -> dict[str, Any]:
    now, fen = clock.now(), int(params["txnAmt"])
    with writing():
        order = _known(params["origOrderNo"])
        refund = Refund.objects.filter(channel=UNIONPAY, mchid=order.mchid, out_refund_no=params["orderNo"]).first()
        if refund is not None and (refund.order, refund.refund_fen) != (order, fen):
            raise Refused("OUT_TRADE_NO_USED")
        if refund is None:
            if not order.is_paid or order.refunded_fen() + fen > order.total_fen:
                raise Refused("INVALID_REQUEST")
            refund = _new_refund(order, params, plan, fen=fen, now=now)
    runtime.wake.set()
    return {"orderNo": refund.out_refund_no, "origRespCode": REFUND_STATES.get(refund.status, "01")}


def _new_refund(order: PayOrder, params: Mapping[str, Any], plan: CallPlan, *, fen: int, now: datetime) -> Refund:
    order.state = PayOrder.REFUND
    order.save(update_fields=["state"])
    wait = (
        plan.settle_s
        if plan.settle_s > 0
        else options.compressed(options.get("stuck_s" if plan.settle_s else "refund_s"))
    )
    return Refund.objects.create(
        channel=UNIONPAY,
        order=order,
        mchid=order.mchid,
        out_refund_no=params["orderNo"],
        reason="",
        notify_url="",
        refund_fen=fen,
        created_at=now,
        settle_at=now + timedelta(seconds=wait),
        settle_to=plan.settles or Refund.SUCCESS,
    )


def _refund_query(params: Mapping[str, Any], plan: CallPlan) -> dict[str, Any]:  # noqa: ARG001
    found = Refund.objects.filter(channel=UNIONPAY, mchid=params["merId"], out_refund_no=params["orderNo"]).first()
    if found is None:
        raise Refused("RESOURCE_NOT_EXISTS")
    return {
        "orderNo": found.out_refund_no,
        "origOrderNo": found.order.out_trade_no,
        "origRespCode": REFUND_STATES.get(found.status, "01"),
        "txnAmt": str(found.refund_fen),
    }


def _by_amount(params: Mapping[str, Any]) -> tuple[str, int]:
    return params["orderNo"], int(params["txnAmt"])


def _by_order(params: Mapping[str, Any]) -> tuple[str, int]:
    order = _find(params["orderNo"])
    return params["orderNo"], order.total_fen if order else 0


CALLS: Mapping[str, Call] = {
    "unifiedorder": Call(
        operation="create",
        fields={**_COMMON, **_PAY, "userId": _ANY},
        required=_ALWAYS | {"orderTime", "txnAmt", "currencyCode", "orderType", "backUrl", "userId", "customerIp"},
        execute=_create,
        subject=_by_amount,
    ),
    "micropay": Call(
        operation="barcode",
        fields={**_COMMON, **_PAY, "authCode": r"\d{19}"},
        required=_ALWAYS | {"orderTime", "txnAmt", "currencyCode", "authCode"},
        execute=_micropay,
        subject=_by_amount,
    ),
    "queryOrder": Call(operation="query", fields=_COMMON, required=_ALWAYS, execute=_query, subject=_by_order),
    "close": Call(operation="close", fields=_COMMON, required=_ALWAYS, execute=_close, subject=_by_order),
    "refund": Call(
        operation="refund",
        fields={**_COMMON, "origOrderNo": _NUMBER, "txnAmt": r"[1-9]\d{0,11}", "currencyCode": "156"},
        required=_ALWAYS | {"origOrderNo", "txnAmt"},
        execute=_refund,
        subject=_by_amount,
    ),
    "refundQuery": Call(
        operation="refund_query",
        fields={**_COMMON, "origOrderNo": _NUMBER},
        required=_ALWAYS,
        execute=_refund_query,
        subject=lambda params: (params["orderNo"], 0),
    ),
    "getUserId": users.CALL,
}


def call(request: HttpRequest, name: str) -> HttpResponseBase:
    return serve(request, CALLS[name])
