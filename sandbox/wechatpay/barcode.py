"""Bar-code payment: the merchant scans the payer's code (codepay), and undoes what has no answer (reverse)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox import barcodes, clock, ledger, payer
from sandbox.models import WECHATPAY, PayOrder, Refund
from sandbox.plans import CallPlan
from sandbox.store import writing
from sandbox.wechatpay import bodies, checks, fields, orders, owner, products
from sandbox.wechatpay.checks import Ask
from sandbox.wechatpay.endpoint import Operation, Reply, view
from sandbox.wechatpay.errors import Refused, invalid_request, preset
from sandbox.wechatpay.owner import Owner

_ENDED = {
    PayOrder.SUCCESS: "ORDER_PAID",
    PayOrder.REFUND: "ORDER_PAID",
    PayOrder.CLOSED: "ORDER_CLOSED",
    PayOrder.REVOKED: "ORDER_REVERSED",
    PayOrder.PAYERROR: "TRADE_ERROR",
}


@dataclass(frozen=True, kw_only=True)
class CodeWish:
    owner: Owner
    params: Mapping[str, Any]

    @property
    def digest(self) -> str:
        return orders.digest("codepay", self.params)

    @property
    def total_fen(self) -> int:
        return int(self.params["amount"]["total"])


@dataclass(frozen=True, kw_only=True)
class ReverseWish:
    owner: Owner
    out_trade_no: str


def _read_pay(ask: Ask, path: Mapping[str, Any]) -> CodeWish:
    checks.allow_query(ask)
    fields.check(ask.body, {**owner.members_with_app(partner=path["partner"]), **products.CODEPAY})
    return CodeWish(owner=owner.of_body(ask, partner=path["partner"]), params=ask.body)


def _pay(ask: Ask, wish: CodeWish, plan: CallPlan) -> Reply:  # noqa: ARG001 - the shape of all operations
    now = clock.now()
    with writing():
        order = wish.owner.orders(out_trade_no=wish.params["out_trade_no"])
        if order is not None:
            raise _seen_before(ledger.refresh(order, now=now), wish)
        order = _new_order(wish, plan, now=now)
    if order.state == PayOrder.USERPAYING:
        raise preset("USERPAYING")
    return Reply(status=200, body=bodies.transaction(ledger.pay(order_pk=order.pk, openid=order.openid, now=now)))


def _seen_before(order: PayOrder, wish: CodeWish) -> Refused:
    """The answer to a number that was sent in before: it is never charged a second time."""
    if order.digest != wish.digest:
        return preset("OUT_TRADE_NO_USED")
    return preset(_ENDED.get(order.state, "USERPAYING"))


def _new_order(wish: CodeWish, plan: CallPlan, *, now: datetime) -> PayOrder:
    """Waits for the payer's password above the limit, or as long as a rule wants."""
    asks_payer = bool(plan.asks_end) or wish.total_fen > barcodes.PASSWORD_ABOVE_FEN
    number = wish.params["out_trade_no"]
    who = _spend(wish.params["payer"]["auth_code"], number=number, now=now)
    appid = wish.params.get("appid") or wish.params["sp_appid"]
    return PayOrder.objects.create(
        mchid=wish.owner.mchid,
        appid=appid,
        sub_mchid=wish.owner.sub_mchid,
        sub_appid=wish.params.get("sub_appid", ""),
        out_trade_no=number,
        product="codepay",
        description=wish.params["description"],
        attach=wish.params.get("attach", ""),
        openid=payer.openid(appid=appid, payer=who) if who else ledger.ANYBODY,
        total_fen=wish.total_fen,
        digest=wish.digest,
        state=PayOrder.USERPAYING if asks_payer else PayOrder.NOTPAY,
        asks_left=plan.asks,
        asks_end=plan.asks_end,
        created_at=now,
        expires_at=now + ledger.BARCODE_LIFETIME,
    )


def _spend(code: str, *, number: str, now: datetime) -> str:
    try:
        return barcodes.spend(code, channel=WECHATPAY, number=number, now=now)
    except barcodes.InvalidCode as problem:
        raise preset("AUTH_CODE_INVALID") from problem
    except barcodes.ExpiredCode as problem:
        raise preset("AUTH_CODE_EXPIRE") from problem


def _read_reverse(ask: Ask, path: Mapping[str, Any]) -> ReverseWish:
    checks.allow_query(ask)
    fields.check(ask.body, owner.members_with_app(partner=path["partner"]))
    return ReverseWish(owner=owner.of_body(ask, partner=path["partner"]), out_trade_no=path["out_trade_no"])


def _reverse(ask: Ask, wish: ReverseWish, plan: CallPlan) -> Reply:  # noqa: ARG001 - the shape of all operations
    now = clock.now()
    with writing():
        order = wish.owner.orders(out_trade_no=wish.out_trade_no)
        if order is None:
            raise preset("ORDER_NOT_EXIST")
        if order.product != "codepay":
            raise invalid_request("非付款码支付订单，不支持撤销")
        if Refund.objects.filter(order=order).exists():
            raise preset("TRADE_ERROR", message="订单已转入退款，不能撤销")
        if order.state != PayOrder.REVOKED:
            ledger.reverse(order=order, now=now)
    return Reply(status=200, body=bodies.names(order) | {"out_trade_no": order.out_trade_no})


def _reverse_subject(ask: Ask, wish: ReverseWish) -> tuple[str, int]:  # noqa: ARG001 - the shape of all operations
    order = wish.owner.orders(out_trade_no=wish.out_trade_no)
    return wish.out_trade_no, order.total_fen if order else 0


CODEPAY = Operation(
    name="barcode",
    method="POST",
    read=_read_pay,
    execute=_pay,
    subject=lambda _, wish: (wish.params["out_trade_no"], wish.total_fen),
)
REVERSE = Operation(name="reverse", method="POST", read=_read_reverse, execute=_reverse, subject=_reverse_subject)

codepay, reverse = view(CODEPAY), view(REVERSE)
