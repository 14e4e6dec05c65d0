"""Create, query and close: /v3/pay/transactions/*."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox import clock, options
from sandbox.clock import BEIJING
from sandbox.faults import CallPlan
from sandbox.models import PayOrder, Prepay
from sandbox.store import writing
from sandbox.wechatpay import bodies, checks, fields, ledger, notifications, products
from sandbox.wechatpay.checks import Ask
from sandbox.wechatpay.endpoint import Operation, Reply, view
from sandbox.wechatpay.errors import param_error, preset
from sandbox.wechatpay.products import Product


@dataclass(frozen=True, kw_only=True)
class CreateWish:
    product: Product
    params: Mapping[str, Any]
    expires_at: datetime

    @property
    def digest(self) -> str:
        """Of everything that was sent: a re-send with the same number must be the same order."""
        canonical = json.dumps([self.product.name, self.params], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def _read_create(ask: Ask, path: Mapping[str, str]) -> CreateWish:
    product = products.PRODUCTS[path["product"]]
    checks.allow_query(ask)
    fields.check(ask.body, product.members)
    if ask.body["appid"] != ask.merchant.appid:
        raise preset("APPID_MCHID_NOT_MATCH")
    now = clock.now()
    return CreateWish(product=product, params=ask.body, expires_at=_expiry(ask.body, product=product, now=now))


def _expiry(params: Mapping[str, Any], *, product: Product, now: datetime) -> datetime:
    text = params.get("time_expire")
    if text is None:
        return now + products.DEFAULT_LIFETIME
    try:
        expires_at = datetime.fromisoformat(text)
    except ValueError as error:
        raise param_error("时间格式错误", pointer="/time_expire", value=text) from error
    if not now + products.LIFETIME_MIN <= expires_at <= now + product.lifetime_max:
        raise param_error("订单失效时间超出允许范围", pointer="/time_expire", value=text)
    return expires_at


def _create(ask: Ask, wish: CreateWish, plan: CallPlan) -> Reply:
    now = clock.now()
    with writing():
        order = ledger.find_order(mchid=ask.merchant.mchid, out_trade_no=wish.params["out_trade_no"])
        order = _new_order(ask, wish, plan, now=now) if order is None else _same_order(order, wish, now=now)
        prepay = _usable_prepay(order, wish.product, now=now)
    if plan.pays == "before_answer":
        notifications.deliver_now(order=ledger.pay(order_pk=order.pk, openid="oSandboxPayer", now=now))
    return Reply(status=200, body=wish.product.answer(prepay.token))


def _new_order(ask: Ask, wish: CreateWish, plan: CallPlan, *, now: datetime) -> PayOrder:
    params = wish.params
    delay = timedelta(seconds=options.compressed(options.get("pay_s")))
    return PayOrder.objects.create(
        mchid=ask.merchant.mchid,
        appid=params["appid"],
        out_trade_no=params["out_trade_no"],
        product=wish.product.name,
        description=params["description"],
        attach=params.get("attach", ""),
        notify_url=params["notify_url"],
        openid=params.get("payer", {}).get("openid", ""),
        total_fen=params["amount"]["total"],
        digest=wish.digest,
        created_at=now,
        expires_at=wish.expires_at,
        pay_at=now + delay if plan.pays == "later" else None,
    )


def _same_order(order: PayOrder, wish: CreateWish, *, now: datetime) -> PayOrder:
    ledger.refresh(order, now=now)
    if order.state in {PayOrder.SUCCESS, PayOrder.REFUND}:
        raise preset("OUT_TRADE_NO_USED", message="该订单已支付")
    if order.digest != wish.digest:
        raise preset("OUT_TRADE_NO_USED")
    if order.state == PayOrder.CLOSED:
        raise preset("ORDER_CLOSED")
    return order


def _usable_prepay(order: PayOrder, product: Product, *, now: datetime) -> Prepay:
    valid = Prepay.objects.filter(order=order, expires_at__gt=now).order_by("-pk").first()
    if valid is not None:
        return valid
    token = product.token_prefix or f"wx{now.astimezone(BEIJING):%Y%m%d%H%M%S}"
    token += secrets.token_hex(product.token_bytes)
    return Prepay.objects.create(order=order, token=token, expires_at=now + ledger.PREPAY_LIFETIME)


def _read_query(ask: Ask, path: Mapping[str, str]) -> Mapping[str, str]:
    checks.require_query_mchid(ask)
    return path


def _query(ask: Ask, wish: Mapping[str, str], plan: CallPlan) -> Reply:  # noqa: ARG001 - the shape of all operations
    with writing():
        order = PayOrder.objects.filter(mchid=ask.merchant.mchid, **wish).first()
        if order is None:
            raise preset("ORDER_NOT_EXIST")
        return Reply(status=200, body=bodies.transaction(ledger.refresh(order, now=clock.now())))


def _read_close(ask: Ask, path: Mapping[str, str]) -> str:
    checks.allow_query(ask)
    fields.check(ask.body, {"mchid": products.MCHID})
    return path["out_trade_no"]


def _close(ask: Ask, wish: str, plan: CallPlan) -> Reply:
    now = clock.now()
    with writing():
        order = ledger.find_order(mchid=ask.merchant.mchid, out_trade_no=wish)
        if order is None:
            raise preset("ORDER_NOT_EXIST")
        if order.state in {PayOrder.SUCCESS, PayOrder.REFUND}:
            raise preset("ORDER_PAID")
        if order.state == PayOrder.NOTPAY:
            ledger.close(order=order, now=now, pays_after=plan.pays == "after_close")
    return Reply(status=204)


def _close_subject(ask: Ask, wish: str) -> tuple[str, int]:
    order = ledger.find_order(mchid=ask.merchant.mchid, out_trade_no=wish)
    return wish, order.total_fen if order else 0


CREATE = Operation(
    name="create",
    method="POST",
    read=_read_create,
    execute=_create,
    subject=lambda _, wish: (wish.params["out_trade_no"], wish.params["amount"]["total"]),
)
QUERY = Operation(
    name="query",
    method="GET",
    read=_read_query,
    execute=_query,
    subject=lambda _, wish: (next(iter(wish.values())), 0),
)
CLOSE = Operation(name="close", method="POST", read=_read_close, execute=_close, subject=_close_subject)

create, query, close = view(CREATE), view(QUERY), view(CLOSE)
