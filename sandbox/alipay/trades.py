"""alipay.trade.create, precreate, pay, query, close, cancel."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox import barcodes, chance, clock, deliveries, ledger, options, payer, redirects
from sandbox.alipay import bodies, content
from sandbox.alipay.content import Amount, Anything, Member, Text
from sandbox.alipay.errors import Refused, invalid, preset
from sandbox.alipay.gateway import Ask, Method
from sandbox.clock import BEIJING
from sandbox.models import ALIPAY, PayOrder, Prepay, Refund
from sandbox.plans import CallPlan
from sandbox.store import writing

LIFETIME = timedelta(days=15)
QR_LIFETIME = timedelta(hours=2)
NOTIFY_URL_LENGTH_MAX = 256
CANCELLABLE_FOR = timedelta(days=1)
QR_START = "https://qr.alipay.com/"
_SPAN = re.compile(r"(\d{1,5})([mhd])|1c")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_COMMON: Mapping[str, Member] = {
    "out_trade_no": Text(max_length=64, label="out_trade_no", required=True, pattern=r"[0-9A-Za-z_]+"),
    "total_amount": Amount(label="total_amount", required=True),
    "subject": Text(max_length=256, label="subject", required=True, pattern=r"[^/=&]+"),
    "product_code": Text(max_length=64, label="product_code"),
    "seller_id": Text(max_length=28, label="seller_id"),
    "body": Text(max_length=128, label="body"),
    "goods_detail": Anything(kinds=(list,), label="goods_detail"),
    "extend_params": Anything(kinds=(dict,), label="extend_params"),
    "business_params": Anything(kinds=(dict, str), label="business_params"),
    "time_expire": Text(max_length=32, label="time_expire"),
    "timeout_express": Text(max_length=6, label="timeout_express"),
    "passback_params": Text(max_length=512, label="passback_params"),
    "store_id": Text(max_length=32, label="store_id"),
    "operator_id": Text(max_length=28, label="operator_id"),
    "terminal_id": Text(max_length=32, label="terminal_id"),
    "discountable_amount": Amount(label="discountable_amount"),
    "undiscountable_amount": Amount(label="undiscountable_amount"),
    "settle_info": Anything(kinds=(dict,), label="settle_info"),
    "royalty_info": Anything(kinds=(dict,), label="royalty_info"),
    "sub_merchant": Anything(kinds=(dict,), label="sub_merchant"),
}
_BUYER: Mapping[str, Member] = {
    "buyer_id": Text(max_length=28, label="buyer_id"),
    "buyer_open_id": Text(max_length=128, label="buyer_open_id"),
    "op_app_id": Text(max_length=32, label="op_app_id"),
    "op_buyer_open_id": Text(max_length=128, label="op_buyer_open_id"),
}
_QR: Mapping[str, Member] = {"qr_code_timeout_express": Text(max_length=6, label="qr_code_timeout_express")}
_CODE: Mapping[str, Member] = {
    "auth_code": Text(max_length=64, label="auth_code", required=True),
    "scene": Text(max_length=32, label="scene", required=True, pattern=r"bar_code|wave_code|security_code"),
    "query_options": Anything(kinds=(list,), label="query_options"),
}
_BY_NUMBER: Mapping[str, Member] = {
    **content.BY_NUMBER,
    "operator_id": Text(max_length=28, label="operator_id"),
    "org_pid": Text(max_length=16, label="org_pid"),
    "query_options": Anything(kinds=(list,), label="query_options"),
    "notify_url": Text(max_length=256, label="notify_url"),
}


@dataclass(frozen=True, kw_only=True)
class TradeWish:
    """A trade to be made. `product` is jsapi, qr or barcode."""

    product: str
    ask: Ask
    lifetime: timedelta

    @property
    def biz(self) -> Mapping[str, Any]:
        return self.ask.biz

    @property
    def number(self) -> str:
        return str(self.biz["out_trade_no"])

    @property
    def total_fen(self) -> int:
        return content.fen(self.biz["total_amount"])

    @property
    def buyer(self) -> str:
        names = ("buyer_open_id", "op_buyer_open_id", "buyer_id")
        return next((str(self.biz[name]) for name in names if self.biz.get(name)), "")

    @property
    def digest(self) -> str:
        """Of everything that was sent: a re-send with the same number must be the same trade."""
        canonical = json.dumps([self.product, self.biz, self.ask.params.get("notify_url", "")], sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def _read_create(ask: Ask) -> TradeWish:
    content.check(ask.biz, {**_COMMON, **_BUYER})
    wish = _wish(ask, product="jsapi")
    if not wish.buyer:
        raise invalid("买家不能为空")
    return wish


def _read_precreate(ask: Ask) -> TradeWish:
    content.check(ask.biz, {**_COMMON, **_QR})
    return _wish(ask, product="qr")


def _read_pay(ask: Ask) -> TradeWish:
    content.check(ask.biz, {**_COMMON, **_CODE})
    return _wish(ask, product="barcode")


def _wish(ask: Ask, *, product: str) -> TradeWish:
    seller = ask.biz.get("seller_id") or ask.side.seller_id
    if seller != ask.side.seller_id:
        raise preset("ACQ.PARTNER_ERROR")
    notify_url = ask.params.get("notify_url", "")
    if notify_url and not (len(notify_url) <= NOTIFY_URL_LENGTH_MAX and redirects.may_be_told(notify_url)):
        raise preset("isv.invalid-parameter", message="notify_url必须为公网可访问的地址")
    return TradeWish(product=product, ask=ask, lifetime=_lifetime(ask.biz))


def _lifetime(biz: Mapping[str, Any]) -> timedelta:
    """`time_expire` goes before `timeout_express`; `1c` is the end of the day."""
    now = clock.now()
    if biz.get("time_expire"):
        try:
            until = datetime.strptime(biz["time_expire"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
        except ValueError as problem:
            raise invalid("time_expire格式错误") from problem
        if not now < until <= now + LIFETIME:
            raise invalid("time_expire超出允许范围")
        return until - now
    return _span(biz.get("timeout_express"), otherwise=LIFETIME, now=now)


def _span(text: Any, *, otherwise: timedelta, now: datetime) -> timedelta:
    if not text:
        return otherwise
    match = _SPAN.fullmatch(str(text))
    if match is None:
        raise invalid("timeout_express格式错误")
    if match.group(1) is None:
        tomorrow = datetime.combine(now.astimezone(BEIJING).date() + timedelta(days=1), datetime.min.time(), BEIJING)
        return tomorrow - now
    return min(timedelta(**{_UNITS[match.group(2)]: max(1, int(match.group(1)))}), LIFETIME)


def _find(ask: Ask, **named: str) -> PayOrder | None:
    return ledger.find_order(channel=ALIPAY, mchid=ask.side.seller_id, **named)


def _create(ask: Ask, wish: TradeWish, plan: CallPlan) -> dict[str, Any]:
    now = clock.now()
    with writing():
        order = _find(ask, out_trade_no=wish.number)
        order = _new(wish, plan, now=now) if order is None else _same(order, wish, now=now)
    if plan.pays == "before_answer":
        deliveries.deliver_now(order=ledger.pay(order_pk=order.pk, openid=wish.buyer, now=now))
    return bodies.numbers(order)


def _precreate(ask: Ask, wish: TradeWish, plan: CallPlan) -> dict[str, Any]:
    now = clock.now()
    with writing():
        order = _find(ask, out_trade_no=wish.number)
        order = _new(wish, plan, now=now) if order is None else _same(order, wish, now=now)
        prepay = _usable_code(order, wish, now=now)
    if plan.pays == "before_answer":
        deliveries.deliver_now(order=ledger.pay(order_pk=order.pk, openid=_anybody(), now=now))
    return {"out_trade_no": order.out_trade_no, "qr_code": QR_START + prepay.token}


def _usable_code(order: PayOrder, wish: TradeWish, *, now: datetime) -> Prepay:
    valid = Prepay.objects.filter(order=order, expires_at__gt=now).order_by("-pk").first()
    if valid is not None:
        return valid
    lifetime = _span(wish.biz.get("qr_code_timeout_express"), otherwise=QR_LIFETIME, now=now)
    token = f"bax{chance.text('qr_code', order.out_trade_no, size=10)}"
    return Prepay.objects.create(order=order, token=token, expires_at=now + min(lifetime, QR_LIFETIME))


def _new(wish: TradeWish, plan: CallPlan, *, now: datetime, **more: Any) -> PayOrder:
    delay = timedelta(seconds=options.compressed(options.get("pay_s")))
    order = PayOrder.objects.create(
        channel=ALIPAY,
        mchid=wish.ask.side.seller_id,
        appid=wish.ask.side.app_id,
        out_trade_no=wish.number,
        product=wish.product,
        description=wish.biz["subject"],
        attach=wish.biz.get("passback_params", ""),
        notify_url=wish.ask.params.get("notify_url", ""),
        facts=_facts(wish),
        total_fen=wish.total_fen,
        digest=wish.digest,
        created_at=now,
        is_known=wish.product != "qr",
        pay_at=now + delay if plan.pays == "later" else None,
        **({"openid": wish.buyer, "expires_at": now + wish.lifetime} | more),
    )
    if order.is_known:
        order.transaction_id = bodies.trade_no(order, now)
        order.save(update_fields=["transaction_id"])
    return order


def _facts(wish: TradeWish) -> dict[str, Any]:
    return {
        "cert_mode": wish.ask.in_cert_mode,
        "body": wish.biz.get("body", ""),
        "store_id": wish.biz.get("store_id", ""),
        "lifetime_s": wish.lifetime.total_seconds(),
    }


def _same(order: PayOrder, wish: TradeWish, *, now: datetime) -> PayOrder:
    ledger.refresh(order, now=now)
    if order.is_paid:
        raise preset("ACQ.TRADE_HAS_SUCCESS")
    if not order.is_unpaid:
        raise preset("ACQ.TRADE_HAS_CLOSE")
    if wish.product == "jsapi" and order.product == "jsapi" and order.openid != wish.buyer:
        raise preset("ACQ.TRADE_BUYER_NOT_MATCH")
    if order.digest != wish.digest:
        raise preset("ACQ.CONTEXT_INCONSISTENT")
    return order


def _pay(ask: Ask, wish: TradeWish, plan: CallPlan) -> dict[str, Any]:
    """Charge the code. A number that was sent in before is never charged a second time."""
    now = clock.now()
    with writing():
        order = _find(ask, out_trade_no=wish.number)
        if order is None:
            order = _new_code_payment(ask, wish, plan, now=now)
        elif _same(order, wish, now=now).state == PayOrder.NOTPAY:
            raise preset("ACQ.CONTEXT_INCONSISTENT")
    if order.state == PayOrder.USERPAYING:
        raise Refused("10003", "", "", more=bodies.numbers(order) | bodies.buyer(order))
    return bodies.payment(ledger.pay(order_pk=order.pk, openid=order.openid, now=now))


def _new_code_payment(ask: Ask, wish: TradeWish, plan: CallPlan, *, now: datetime) -> PayOrder:
    try:
        who = barcodes.spend(wish.biz["auth_code"], channel=ALIPAY, number=wish.number, now=now)
    except (barcodes.InvalidCode, barcodes.ExpiredCode) as problem:
        raise preset("ACQ.PAYMENT_AUTH_CODE_INVALID") from problem
    asks_payer = bool(plan.asks_end) or wish.total_fen > barcodes.PASSWORD_ABOVE_FEN
    return _new(
        wish,
        plan,
        now=now,
        openid=payer.alipay_open_id(app_id=ask.side.app_id, payer=who) if who else _anybody(),
        state=PayOrder.USERPAYING if asks_payer else PayOrder.NOTPAY,
        asks_left=plan.asks,
        asks_end=plan.asks_end,
        expires_at=now + (ledger.BARCODE_LIFETIME if asks_payer else wish.lifetime),
    )


def _anybody() -> str:
    return "2088000000000001" if options.get("alipay_user_ids") else "0SandboxBuyer"


@dataclass(frozen=True, kw_only=True)
class NumberWish:
    """A trade that is there already."""

    named: Mapping[str, str]


def _read_number(ask: Ask) -> NumberWish:
    content.check(ask.biz, _BY_NUMBER)
    return NumberWish(named=content.number_wanted(ask.biz))


def _known(ask: Ask, wish: NumberWish) -> PayOrder:
    """Raises Refused for a code that nobody has scanned: that trade is not there yet."""
    order = _find(ask, **wish.named)
    if order is None or not order.is_known:
        raise preset("ACQ.TRADE_NOT_EXIST")
    return order


def _query(ask: Ask, wish: NumberWish, plan: CallPlan) -> dict[str, Any]:  # noqa: ARG001 - the shape of all methods
    now = clock.now()
    with writing():
        return bodies.trade(ledger.asked(_known(ask, wish), now=now), now=now)


def _close(ask: Ask, wish: NumberWish, plan: CallPlan) -> dict[str, Any]:
    now = clock.now()
    with writing():
        order = ledger.refresh(_known(ask, wish), now=now)
        if plan.pays == "before_close" and order.is_unpaid:
            order = ledger.pay(order_pk=order.pk, openid=_anybody(), now=now)
        if order.is_unpaid:
            ledger.close(order=order, now=now, pays_after=plan.pays == "after_close")
            return bodies.numbers(order)
    raise preset("ACQ.TRADE_HAS_SUCCESS" if order.is_paid else "ACQ.REASON_TRADE_STATUS_INVALID")


def _cancel(ask: Ask, wish: NumberWish, plan: CallPlan) -> dict[str, Any]:
    """Undo whatever has become of it. Without a trade there is nothing to undo, and no `action`."""
    now = clock.now()
    if plan.again:
        return {**wish.named, "retry_flag": "Y"}
    with writing():
        order = _find(ask, **wish.named)
        if order is None:
            return {"out_trade_no": wish.named.get("out_trade_no", ""), "retry_flag": "N"}
        action = _undo(ledger.refresh(order, now=now), now=now)
    return {**bodies.numbers(order), "retry_flag": "N", **({"action": action} if order.is_known else {})}


def _undo(order: PayOrder, *, now: datetime) -> str:
    if order.is_unpaid:
        ledger.close(order=order, now=now)
    if not order.is_paid:
        return "refund" if order.success_time else "close"
    if order.success_time is not None and now > order.success_time + CANCELLABLE_FOR:
        raise preset("ACQ.TRADE_CANCEL_TIME_OUT")
    if Refund.objects.filter(order=order).exists():
        raise preset("ACQ.CANCEL_NOT_ALLOWED")
    ledger.reverse(order=order, now=now)
    return "refund"


def _subject(ask: Ask, wish: NumberWish) -> tuple[str, int]:
    """The merchant's number, however the trade was named."""
    order = _find(ask, **wish.named)
    return (order.out_trade_no, order.total_fen) if order else (next(iter(wish.named.values())), 0)


def _new_subject(ask: Ask, wish: TradeWish) -> tuple[str, int]:  # noqa: ARG001 - the shape of all methods
    return wish.number, wish.total_fen


def scanned(order: PayOrder, *, now: datetime) -> None:
    """Somebody has scanned the QR code: the trade comes to be, and its time begins."""
    with writing():
        order.is_known = True
        order.transaction_id = order.transaction_id or bodies.trade_no(order, now)
        order.expires_at = now + timedelta(seconds=order.facts["lifetime_s"])
        order.save(update_fields=["is_known", "transaction_id", "expires_at"])


METHODS: Mapping[str, Method[Any]] = {
    "alipay.trade.create": Method(operation="create", read=_read_create, execute=_create, subject=_new_subject),
    "alipay.trade.precreate": Method(
        operation="create", read=_read_precreate, execute=_precreate, subject=_new_subject
    ),
    "alipay.trade.pay": Method(operation="barcode", read=_read_pay, execute=_pay, subject=_new_subject),
    "alipay.trade.query": Method(operation="query", read=_read_number, execute=_query, subject=_subject),
    "alipay.trade.close": Method(operation="close", read=_read_number, execute=_close, subject=_subject),
    "alipay.trade.cancel": Method(operation="reverse", read=_read_number, execute=_cancel, subject=_subject),
}
