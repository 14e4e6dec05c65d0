"""Refunds: /v3/refund/domestic/refunds. A 200 means accepted; the money is back when the status says SUCCESS."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox import clock, options, runtime
from sandbox.clock import BEIJING
from sandbox.faults import CallPlan
from sandbox.models import PayOrder, Refund
from sandbox.store import writing
from sandbox.wechatpay import bodies, checks, fields, ledger, products
from sandbox.wechatpay.checks import Ask
from sandbox.wechatpay.endpoint import Operation, Reply, view
from sandbox.wechatpay.errors import invalid_request, param_error, preset
from sandbox.wechatpay.fields import Field, Group, Many, Text, Whole

PARTIAL_MAX = 50
REFUNDABLE_FOR = timedelta(days=365)
_INCONSISTENT = "订单金额或退款金额与之前请求不一致，请核实后再试"
_ORDER_MISSING = "订单不存在"
_GOODS = Group(
    label="退款商品",
    members={
        "merchant_goods_id": Text(label="商户侧商品编码", max_length=32, required=True),
        "wechatpay_goods_id": Text(label="微信支付商品编码", max_length=32),
        "goods_name": Text(label="商品名称", max_length=256),
        "unit_price": Whole(label="商品单价", required=True),
        "refund_amount": Whole(label="商品退款金额", required=True),
        "refund_quantity": Whole(label="商品退货数量", minimum=1, required=True),
    },
)
_SOURCE = Group(
    label="退款出资账户",
    members={
        "account": Text(label="出资账户类型", max_length=32, required=True, choices=("AVAILABLE", "UNAVAILABLE")),
        "amount": Whole(label="出资金额", minimum=1, required=True),
    },
)
_MEMBERS: Mapping[str, Field] = {
    "transaction_id": Text(label="微信支付订单号", max_length=32),
    "out_trade_no": Text(label="商户订单号", min_length=6, max_length=32),
    "out_refund_no": Text(label="商户退款单号", max_length=64, required=True, pattern=r"[0-9A-Za-z_\-|*@]+"),
    "reason": Text(label="退款原因", max_length=80),
    "notify_url": Text(label="退款结果回调url", max_length=256, rule=products.notify_url_issue),
    "funds_account": Text(label="退款资金来源", max_length=32, choices=("AVAILABLE", "UNSETTLED")),
    "amount": Group(
        label="金额信息",
        required=True,
        members={
            "refund": Whole(label="退款金额", minimum=1, required=True),
            "total": Whole(label="原订单金额", minimum=1, required=True),
            "currency": Text(label="退款币种", max_length=16, choices=("CNY",), required=True),
            "from": Many(label="退款出资账户及金额", item=_SOURCE),
        },
    ),
    "goods_detail": Many(label="退款商品", item=_GOODS),
}


@dataclass(frozen=True, kw_only=True)
class RefundWish:
    params: Mapping[str, Any]

    @property
    def refund_fen(self) -> int:
        return int(self.params["amount"]["refund"])

    @property
    def total_fen(self) -> int:
        return int(self.params["amount"]["total"])


def _read_refund(ask: Ask, path: Mapping[str, str]) -> RefundWish:  # noqa: ARG001 - the shape of all operations
    checks.allow_query(ask)
    fields.check(ask.body, _MEMBERS)
    if "transaction_id" not in ask.body and "out_trade_no" not in ask.body:
        raise param_error("transaction_id和out_trade_no必须二选一", pointer="/transaction_id")
    if ask.body["amount"]["refund"] > ask.body["amount"]["total"]:
        raise param_error("退款金额大于订单金额", pointer="/amount/refund", value=ask.body["amount"]["refund"])
    return RefundWish(params=ask.body)


def _refund(ask: Ask, wish: RefundWish, plan: CallPlan) -> Reply:
    now = clock.now()
    with writing():
        order = _find_order(ask, wish)
        out_refund_no = wish.params["out_refund_no"]
        refund = Refund.objects.filter(mchid=ask.merchant.mchid, out_refund_no=out_refund_no).first()
        if refund is None:
            _check_allowed(order, wish, now=now)
            refund = _new_refund(order, wish, plan, now=now)
        elif not _same_refund(refund, order, wish):
            raise invalid_request(_INCONSISTENT)
        reply = Reply(status=200, body=bodies.refund(refund))
    runtime.wake.set()
    return reply


def _find_order(ask: Ask, wish: RefundWish) -> PayOrder:
    named = {name: wish.params[name] for name in ("transaction_id", "out_trade_no") if name in wish.params}
    order = PayOrder.objects.filter(mchid=ask.merchant.mchid, **named).first()
    if order is None:
        raise preset("RESOURCE_NOT_EXISTS", message=_ORDER_MISSING)
    return order


def _same_refund(refund: Refund, order: PayOrder, wish: RefundWish) -> bool:
    same_order = refund.order == order and order.total_fen == wish.total_fen
    return bool(same_order and refund.refund_fen == wish.refund_fen)


def _check_allowed(order: PayOrder, wish: RefundWish, *, now: datetime) -> None:
    """The platform's limits. Raises Refused."""
    if order.success_time is None:
        raise invalid_request("订单未支付，不能发起退款")
    if wish.total_fen != order.total_fen:
        raise invalid_request(_INCONSISTENT)
    if now > order.success_time + REFUNDABLE_FOR:
        raise invalid_request("订单已超过可退款的最大期限")
    if ledger.refunded_fen(order) + wish.refund_fen > order.total_fen:
        raise invalid_request("累计退款金额大于订单支付金额")
    if Refund.objects.filter(order=order).exclude(status=Refund.CLOSED).count() >= PARTIAL_MAX:
        raise invalid_request("单笔订单的部分退款次数超过限制")


def _new_refund(order: PayOrder, wish: RefundWish, plan: CallPlan, *, now: datetime) -> Refund:
    refund = Refund.objects.create(
        order=order,
        mchid=order.mchid,
        out_refund_no=wish.params["out_refund_no"],
        reason=wish.params.get("reason", ""),
        notify_url=wish.params.get("notify_url", ""),
        refund_fen=wish.refund_fen,
        created_at=now,
        settle_at=now + _processing_time(plan),
        settle_to=plan.settles or Refund.SUCCESS,
    )
    refund.refund_id = f"5030000001{now.astimezone(BEIJING):%Y%m%d}{refund.pk:011d}"
    refund.save(update_fields=["refund_id"])
    order.state = PayOrder.REFUND  # after any refund, also a partial one
    order.save(update_fields=["state"])
    return refund


def _processing_time(plan: CallPlan) -> timedelta:
    if plan.settle_s > 0:
        return timedelta(seconds=plan.settle_s)
    return timedelta(seconds=options.compressed(options.get("stuck_s" if plan.settle_s < 0 else "refund_s")))


def _read_query(ask: Ask, path: Mapping[str, str]) -> str:
    checks.allow_query(ask)
    return path["out_refund_no"]


def _query(ask: Ask, wish: str, plan: CallPlan) -> Reply:  # noqa: ARG001 - the shape of all operations
    found = Refund.objects.select_related("order").filter(mchid=ask.merchant.mchid, out_refund_no=wish).first()
    if found is None:
        raise preset("RESOURCE_NOT_EXISTS")
    return Reply(status=200, body=bodies.refund(found))


REFUND = Operation(
    name="refund",
    method="POST",
    read=_read_refund,
    execute=_refund,
    subject=lambda _, wish: (wish.params["out_refund_no"], wish.refund_fen),
)
REFUND_QUERY = Operation(
    name="refund_query", method="GET", read=_read_query, execute=_query, subject=lambda _, wish: (wish, 0)
)

refund, refund_query = view(REFUND), view(REFUND_QUERY)
