"""alipay.trade.refund and alipay.trade.fastpay.refund.query.

`fund_change` Y says that money moved by this very call; N does not say that none has moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox import clock, ledger, options, runtime
from sandbox.alipay import bodies, content, notices
from sandbox.alipay.content import Amount, Anything, Member, Text
from sandbox.alipay.errors import invalid, preset
from sandbox.alipay.gateway import Ask, Method
from sandbox.bills import local, yuan
from sandbox.models import ALIPAY, PayOrder, Refund
from sandbox.plans import CallPlan
from sandbox.store import writing

_REQUEST_NO = Text(max_length=64, label="out_request_no", pattern=r"[0-9A-Za-z_\-]+")
_REFUND: Mapping[str, Member] = {
    **content.BY_NUMBER,
    "refund_amount": Amount(label="refund_amount", required=True),
    "out_request_no": _REQUEST_NO,
    "refund_reason": Text(max_length=256, label="refund_reason"),
    "refund_currency": Text(max_length=8, label="refund_currency"),
    "operator_id": Text(max_length=30, label="operator_id"),
    "store_id": Text(max_length=32, label="store_id"),
    "terminal_id": Text(max_length=32, label="terminal_id"),
    "refund_goods_detail": Anything(kinds=(list,), label="refund_goods_detail"),
    "goods_detail": Anything(kinds=(list,), label="goods_detail"),
    "refund_royalty_parameters": Anything(kinds=(list,), label="refund_royalty_parameters"),
    "query_options": Anything(kinds=(list,), label="query_options"),
}
_QUERY: Mapping[str, Member] = {
    **content.BY_NUMBER,
    "out_request_no": Text(max_length=64, label="out_request_no", required=True),
    "query_options": Anything(kinds=(list,), label="query_options"),
}


@dataclass(frozen=True, kw_only=True)
class RefundWish:
    """`request_no` is "" when the merchant gave none: then the whole trade is meant, under its own number."""

    named: Mapping[str, str]
    request_no: str
    refund_fen: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class RefundQueryWish:
    named: Mapping[str, str]
    request_no: str
    wants: frozenset[str]


def _read_refund(ask: Ask) -> RefundWish:
    content.check(ask.biz, _REFUND)
    return RefundWish(
        named=content.number_wanted(ask.biz),
        request_no=ask.biz.get("out_request_no") or "",
        refund_fen=content.fen(ask.biz["refund_amount"]),
        reason=ask.biz.get("refund_reason") or "",
    )


def _read_query(ask: Ask) -> RefundQueryWish:
    content.check(ask.biz, _QUERY)
    return RefundQueryWish(
        named=content.number_wanted(ask.biz),
        request_no=ask.biz["out_request_no"],
        wants=frozenset(map(str, ask.biz.get("query_options") or [])),
    )


def _order(ask: Ask, named: Mapping[str, str]) -> PayOrder:
    order = ledger.find_order(channel=ALIPAY, mchid=ask.side.seller_id, **named)
    if order is None or not order.is_known:
        raise preset("ACQ.TRADE_NOT_EXIST")
    return order


def _refund(ask: Ask, wish: RefundWish, plan: CallPlan) -> dict[str, Any]:
    now = clock.now()
    with writing():
        order = _order(ask, wish.named)
        request_no = wish.request_no or order.out_trade_no
        refund = Refund.objects.filter(order=order, out_refund_no=request_no).first()
        is_new = refund is None
        if refund is None:
            _check_allowed(order, wish, now=now)
            refund = _new(order, wish, plan, request_no=request_no, now=now)
        elif refund.refund_fen != wish.refund_fen:
            raise preset("ACQ.DISCORDANT_REPEAT_REQUEST")
        moved = is_new and refund.status in {Refund.SUCCESS, Refund.ABNORMAL}
        answer = _answer(order, refund, moved=moved, now=now)
    runtime.wake.set()
    return answer


def _check_allowed(order: PayOrder, wish: RefundWish, *, now: datetime) -> None:
    """Alipay's limits. Raises Refused."""
    status = bodies.trade_status(order, now=now)
    if status == "TRADE_FINISHED":
        raise preset("ACQ.TRADE_HAS_FINISHED")
    if status == "WAIT_BUYER_PAY":
        raise preset("ACQ.TRADE_STATUS_ERROR")
    if not order.is_paid:
        raise preset("ACQ.TRADE_HAS_CLOSE")
    if not wish.request_no and wish.refund_fen != order.total_fen:
        raise invalid("部分退款时out_request_no不能为空")
    if order.refunded_fen() + wish.refund_fen > order.total_fen:
        raise preset("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")


def _new(order: PayOrder, wish: RefundWish, plan: CallPlan, *, request_no: str, now: datetime) -> Refund:
    """Done at once, unless a rule wants it to take its time or to end otherwise."""
    ends = plan.settles or Refund.SUCCESS
    waits = plan.settle_s != 0 or ends == Refund.CLOSED
    status = Refund.PROCESSING if waits else ends
    refund = Refund.objects.create(
        channel=ALIPAY,
        order=order,
        mchid=order.mchid,
        out_refund_no=request_no,
        reason=wish.reason,
        notify_url=order.notify_url,
        refund_fen=wish.refund_fen,
        status=status,
        created_at=now,
        settle_at=now + _wait(plan) if waits else None,
        settle_to=ends,
        success_time=now if status == Refund.SUCCESS else None,
    )
    order.state = PayOrder.REFUND
    order.save(update_fields=["state"])
    if not waits:
        notices.owe_refund(refund, now=now)
    return refund


def _wait(plan: CallPlan) -> timedelta:
    if plan.settle_s > 0:
        return timedelta(seconds=plan.settle_s)
    return timedelta(seconds=options.compressed(options.get("stuck_s" if plan.settle_s < 0 else "refund_s")))


def _answer(order: PayOrder, refund: Refund, *, moved: bool, now: datetime) -> dict[str, Any]:
    """`refund_fee` is cumulative over the trade, `send_back_fee` of this refund."""
    return {
        **bodies.numbers(order),
        **bodies.buyer(order),
        "fund_change": "Y" if moved else "N",
        "refund_fee": yuan(bodies.sent_back(order)),
        "send_back_fee": yuan(refund.refund_fen),
        "gmt_refund_pay": local(refund.success_time or now),
    }


def _query(ask: Ask, wish: RefundQueryWish, plan: CallPlan) -> dict[str, Any]:  # noqa: ARG001 - the shape of all methods
    """An unknown number is no error: the answer is a success that says nothing of a refund."""
    order = _order(ask, wish.named)
    refund = Refund.objects.filter(order=order, out_refund_no=wish.request_no).first()
    if refund is None or refund.status == Refund.CLOSED:
        return bodies.numbers(order)
    told: dict[str, Any] = {
        **bodies.numbers(order),
        "out_request_no": refund.out_refund_no,
        "refund_reason": refund.reason,
        "total_amount": yuan(order.total_fen),
        "refund_amount": yuan(refund.refund_fen),
    }
    if refund.status == Refund.PROCESSING:
        return told
    return told | {"refund_status": "REFUND_SUCCESS"} | _wanted(refund, wish)


def _wanted(refund: Refund, wish: RefundQueryWish) -> dict[str, Any]:
    """What only those get who ask for it in `query_options`; a deposit back that failed shows nowhere else."""
    told: dict[str, Any] = {}
    if "gmt_refund_pay" in wish.wants:
        told["gmt_refund_pay"] = local(refund.success_time or refund.created_at)
    if "refund_detail_item_list" in wish.wants:
        told["refund_detail_item_list"] = [
            {"fund_channel": bodies.FUND_CHANNEL, "amount": yuan(refund.refund_fen), "fund_type": "ALIPAY"}
        ]
    if "deposit_back_info" in wish.wants and refund.status == Refund.ABNORMAL:
        told["deposit_back_info"] = {
            "has_deposit_back": "true",
            "dback_status": "F",
            "dback_amount": yuan(refund.refund_fen),
            "bank_ack_time": local(refund.created_at),
            "est_bank_receipt_time": local(refund.created_at + timedelta(days=3)),
        }
    return told


def _query_subject(ask: Ask, wish: RefundQueryWish) -> tuple[str, int]:
    found = Refund.objects.filter(channel=ALIPAY, mchid=ask.side.seller_id, out_refund_no=wish.request_no).last()
    return wish.request_no, found.refund_fen if found else 0


METHODS: Mapping[str, Method[Any]] = {
    "alipay.trade.refund": Method(
        operation="refund",
        read=_read_refund,
        execute=_refund,
        subject=lambda _, wish: (wish.request_no or next(iter(wish.named.values())), wish.refund_fen),
    ),
    "alipay.trade.fastpay.refund.query": Method(
        operation="refund_query", read=_read_query, execute=_query, subject=_query_subject
    ),
}
