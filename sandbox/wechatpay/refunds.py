"""Refunds: /v3/refund/domestic/refunds. A 200 means accepted; the money is back when the status says SUCCESS."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox import clock, crypto, options, runtime
from sandbox.clock import BEIJING
from sandbox.models import WECHATPAY, PayOrder, Refund
from sandbox.plans import CallPlan
from sandbox.store import writing
from sandbox.wechatpay import bodies, checks, fields, owner, products
from sandbox.wechatpay.checks import Ask
from sandbox.wechatpay.endpoint import Operation, Reply, view
from sandbox.wechatpay.errors import invalid_request, param_error, preset
from sandbox.wechatpay.fields import Field, Group, Many, Text, Whole
from sandbox.wechatpay.owner import Owner

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
    "sub_mchid": owner.SUB_MCHID,
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


_ABNORMAL_MEMBERS: Mapping[str, Field] = {
    "sub_mchid": owner.SUB_MCHID,
    "out_refund_no": Text(label="商户退款单号", max_length=64, required=True),
    "type": Text(
        label="异常退款处理方式", max_length=32, required=True, choices=("USER_BANK_CARD", "MERCHANT_BANK_CARD")
    ),
    "bank_type": Text(label="开户银行", max_length=16),
    "bank_account": Text(label="收款银行卡号", max_length=1024),
    "real_name": Text(label="收款用户姓名", max_length=1024),
}


@dataclass(frozen=True, kw_only=True)
class RefundWish:
    owner: Owner
    params: Mapping[str, Any]

    @property
    def refund_fen(self) -> int:
        return int(self.params["amount"]["refund"])

    @property
    def total_fen(self) -> int:
        return int(self.params["amount"]["total"])


@dataclass(frozen=True, kw_only=True)
class QueryWish:
    owner: Owner
    out_refund_no: str


@dataclass(frozen=True, kw_only=True)
class AbnormalWish:
    owner: Owner
    refund_id: str
    out_refund_no: str


def _read_refund(ask: Ask, path: Mapping[str, str]) -> RefundWish:  # noqa: ARG001 - the shape of all operations
    checks.allow_query(ask)
    fields.check(ask.body, _MEMBERS)
    if "transaction_id" not in ask.body and "out_trade_no" not in ask.body:
        raise param_error("transaction_id和out_trade_no必须二选一", pointer="/transaction_id")
    if ask.body["amount"]["refund"] > ask.body["amount"]["total"]:
        raise param_error("退款金额大于订单金额", pointer="/amount/refund", value=ask.body["amount"]["refund"])
    return RefundWish(owner=owner.of_sub_mchid(ask, ask.body.get("sub_mchid", "")), params=ask.body)


def _refund(ask: Ask, wish: RefundWish, plan: CallPlan) -> Reply:  # noqa: ARG001 - the shape of all operations
    now = clock.now()
    with writing():
        order = _find_order(wish)
        refund = _find(wish.owner, out_refund_no=wish.params["out_refund_no"])
        if refund is None:
            _check_allowed(order, wish, now=now)
            refund = _new_refund(order, wish, plan, now=now)
        elif not _same_refund(refund, order, wish):
            raise invalid_request(_INCONSISTENT)
        reply = Reply(status=200, body=bodies.refund(refund))
    runtime.wake.set()
    return reply


def _find(whose: Owner, **named: str) -> Refund | None:
    mine = Refund.objects.select_related("order").filter(channel=WECHATPAY, mchid=whose.mchid, **named)
    return mine.filter(order__sub_mchid=whose.sub_mchid).first()


def _find_order(wish: RefundWish) -> PayOrder:
    named = {name: wish.params[name] for name in ("transaction_id", "out_trade_no") if name in wish.params}
    order = wish.owner.orders(**named)
    if order is None:
        raise preset("RESOURCE_NOT_EXISTS", message=_ORDER_MISSING)
    return order


def _same_refund(refund: Refund, order: PayOrder, wish: RefundWish) -> bool:
    same_order = refund.order == order and order.total_fen == wish.total_fen
    return bool(same_order and refund.refund_fen == wish.refund_fen)


def _check_allowed(order: PayOrder, wish: RefundWish, *, now: datetime) -> None:
    """The platform's limits. Raises Refused."""
    if order.success_time is None or not order.is_paid:
        raise invalid_request("订单未支付，不能发起退款")
    if wish.total_fen != order.total_fen:
        raise invalid_request(_INCONSISTENT)
    if now > order.success_time + REFUNDABLE_FOR:
        raise invalid_request("订单已超过可退款的最大期限")
    if order.refunded_fen() + wish.refund_fen > order.total_fen:
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


def _read_query(ask: Ask, path: Mapping[str, str]) -> QueryWish:
    checks.allow_query(ask, "sub_mchid")
    whose = owner.of_sub_mchid(ask, ask.query.get("sub_mchid", ""))
    return QueryWish(owner=whose, out_refund_no=path["out_refund_no"])


def _query(ask: Ask, wish: QueryWish, plan: CallPlan) -> Reply:  # noqa: ARG001 - the shape of all operations
    found = _find(wish.owner, out_refund_no=wish.out_refund_no)
    if found is None:
        raise preset("RESOURCE_NOT_EXISTS")
    return Reply(status=200, body=bodies.refund(found))


def _query_subject(ask: Ask, wish: QueryWish) -> tuple[str, int]:  # noqa: ARG001 - the shape of all operations
    found = _find(wish.owner, out_refund_no=wish.out_refund_no)
    return wish.out_refund_no, found.refund_fen if found else 0


def _read_abnormal(ask: Ask, path: Mapping[str, str]) -> AbnormalWish:
    checks.allow_query(ask)
    fields.check(ask.body, _ABNORMAL_MEMBERS)
    if ask.body["type"] == "USER_BANK_CARD":
        _check_bank_card(ask)
    whose = owner.of_sub_mchid(ask, ask.body.get("sub_mchid", ""))
    return AbnormalWish(owner=whose, refund_id=path["refund_id"], out_refund_no=ask.body["out_refund_no"])


def _check_bank_card(ask: Ask) -> None:
    """A user's card needs bank, account and name, the last two encrypted with the key that the header names."""
    for name in ("bank_type", "bank_account", "real_name"):
        if name not in ask.body:
            raise fields.missing(f"/body/{name}", label=_ABNORMAL_MEMBERS[name].label, pointer=f"/{name}")
    for name in ("bank_account", "real_name"):
        try:
            crypto.oaep_decrypt(ask.body[name], key=ask.answer_key.private_key)
        except ValueError as problem:
            raise param_error(f"字段“{_ABNORMAL_MEMBERS[name].label}”解密失败", pointer=f"/{name}") from problem


def _abnormal(ask: Ask, wish: AbnormalWish, plan: CallPlan) -> Reply:  # noqa: ARG001 - the shape of all operations
    """The money goes to another account: the refund is under way again."""
    with writing():
        refund = _find(wish.owner, refund_id=wish.refund_id, out_refund_no=wish.out_refund_no)
        if refund is None:
            raise preset("RESOURCE_NOT_EXISTS")
        if refund.status != Refund.ABNORMAL:
            raise invalid_request("退款单不是退款异常状态，不能发起异常退款")
        refund.status, refund.settle_to = Refund.PROCESSING, Refund.SUCCESS
        refund.settle_at = clock.now() + _processing_time(CallPlan())
        refund.save(update_fields=["status", "settle_to", "settle_at"])
    runtime.wake.set()
    return Reply(status=200, body=bodies.refund(refund))


REFUND = Operation(
    name="refund",
    method="POST",
    read=_read_refund,
    execute=_refund,
    subject=lambda _, wish: (wish.params["out_refund_no"], wish.refund_fen),
)
REFUND_QUERY = Operation(name="refund_query", method="GET", read=_read_query, execute=_query, subject=_query_subject)
ABNORMAL = Operation(
    name="abnormal_refund",
    method="POST",
    read=_read_abnormal,
    execute=_abnormal,
    subject=lambda _, wish: (wish.out_refund_no, 0),
)

refund, refund_query, abnormal_refund = view(REFUND), view(REFUND_QUERY), view(ABNORMAL)
