"""Create, query and close: /v3/pay/transactions/* and, for providers, /v3/pay/partner/transactions/*."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox import chance, clock, deliveries, ledger, options
from sandbox.clock import BEIJING
from sandbox.models import WECHATPAY, PayOrder, Prepay
from sandbox.plans import CallPlan
from sandbox.store import writing
from sandbox.wechatpay import bodies, checks, fields, owner, products
from sandbox.wechatpay.checks import Ask
from sandbox.wechatpay.endpoint import Operation, Reply, view
from sandbox.wechatpay.errors import param_error, preset
from sandbox.wechatpay.owner import Owner
from sandbox.wechatpay.products import Product


@dataclass(frozen=True, kw_only=True)
class CreateWish:
    owner: Owner
    product: Product
    params: Mapping[str, Any]
    expires_at: datetime

    @property
    def digest(self) -> str:
        return digest(self.product.name, self.params)


@dataclass(frozen=True, kw_only=True)
class OrderWish:
    """An order that is there already: `named` is its out_trade_no or its transaction_id."""

    owner: Owner
    named: Mapping[str, str]


def digest(product: str, params: Mapping[str, Any]) -> str:
    """Of everything that was sent: a re-send with the same number must be the same order."""
    canonical = json.dumps([product, params], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read_create(ask: Ask, path: Mapping[str, Any]) -> CreateWish:
    product = products.PRODUCTS[path["product"]]
    checks.allow_query(ask)
    fields.check(ask.body, product.fields(partner=path["partner"]))
    _check_partner_payer(ask.body)
    return CreateWish(
        owner=owner.of_body(ask, partner=path["partner"]),
        product=product,
        params=ask.body,
        expires_at=_expiry(ask.body, product=product, now=clock.now()),
    )


def _check_partner_payer(params: Mapping[str, Any]) -> None:
    """sp_openid or sub_openid; the latter belongs to sub_appid."""
    if "sp_appid" not in params or "payer" not in params:
        return
    if len(params["payer"]) != 1:
        raise param_error("sp_openid和sub_openid必须二选一", pointer="/payer")
    if "sub_openid" in params["payer"] and "sub_appid" not in params:
        raise param_error("传sub_openid时sub_appid必填", pointer="/sub_appid")


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


def _create(ask: Ask, wish: CreateWish, plan: CallPlan) -> Reply:  # noqa: ARG001 - the shape of all operations
    now = clock.now()
    with writing():
        order = wish.owner.orders(out_trade_no=wish.params["out_trade_no"])
        if order is None and PayOrder.objects.filter(
            channel=WECHATPAY, mchid=wish.owner.mchid, out_trade_no=wish.params["out_trade_no"]
        ):
            raise preset("OUT_TRADE_NO_USED")  # of another sub-merchant
        order = _new_order(wish, plan, now=now) if order is None else _same_order(order, wish, now=now)
        prepay = _usable_prepay(order, wish.product, now=now)
    if plan.pays == "before_answer":
        deliveries.deliver_now(order=ledger.pay(order_pk=order.pk, openid=ledger.ANYBODY, now=now))
    return Reply(status=200, body=wish.product.answer(prepay.token))


def _new_order(wish: CreateWish, plan: CallPlan, *, now: datetime) -> PayOrder:
    params, payer = wish.params, wish.params.get("payer", {})
    delay = timedelta(seconds=options.compressed(options.get("pay_s")))
    return PayOrder.objects.create(
        mchid=wish.owner.mchid,
        appid=params.get("appid") or params["sp_appid"],
        sub_mchid=wish.owner.sub_mchid,
        sub_appid=params.get("sub_appid", ""),
        out_trade_no=params["out_trade_no"],
        product=wish.product.name,
        description=params["description"],
        attach=params.get("attach", ""),
        notify_url=params["notify_url"],
        openid=next(iter(payer.values()), ""),
        facts={"payer_is_sub": True} if "sub_openid" in payer else {},
        total_fen=params["amount"]["total"],
        digest=wish.digest,
        created_at=now,
        expires_at=wish.expires_at,
        pay_at=now + delay if plan.pays == "later" else None,
    )


def _same_order(order: PayOrder, wish: CreateWish, *, now: datetime) -> PayOrder:
    ledger.refresh(order, now=now)
    if order.is_paid:
        raise preset("OUT_TRADE_NO_USED", message="该订单已支付")
    if order.digest != wish.digest:
        raise preset("OUT_TRADE_NO_USED")
    if not order.is_unpaid:
        raise preset("ORDER_CLOSED")
    return order


def _usable_prepay(order: PayOrder, product: Product, *, now: datetime) -> Prepay:
    valid = Prepay.objects.filter(order=order, expires_at__gt=now).order_by("-pk").first()
    if valid is not None:
        return valid
    token = product.token_prefix or f"wx{now.astimezone(BEIJING):%Y%m%d%H%M%S}"
    token += chance.text("prepay", order.out_trade_no, size=product.token_bytes)
    return Prepay.objects.create(order=order, token=token, expires_at=now + product.token_lifetime)


def _read_query(ask: Ask, path: Mapping[str, Any]) -> OrderWish:
    named = {name: value for name, value in path.items() if name != "partner"}
    return OrderWish(owner=owner.of_query(ask, partner=path["partner"]), named=named)


def _query(ask: Ask, wish: OrderWish, plan: CallPlan) -> Reply:  # noqa: ARG001 - the shape of all operations
    with writing():
        order = wish.owner.orders(**wish.named)
        if order is None:
            raise preset("ORDER_NOT_EXIST")
        return Reply(status=200, body=bodies.transaction(ledger.asked(order, now=clock.now())))


def _read_close(ask: Ask, path: Mapping[str, Any]) -> OrderWish:
    checks.allow_query(ask)
    fields.check(ask.body, owner.members(partner=path["partner"]))
    return OrderWish(owner=owner.of_body(ask, partner=path["partner"]), named={"out_trade_no": path["out_trade_no"]})


def _close(ask: Ask, wish: OrderWish, plan: CallPlan) -> Reply:  # noqa: ARG001 - the shape of all operations
    now = clock.now()
    with writing():
        order = wish.owner.orders(**wish.named)
        if order is None:
            raise preset("ORDER_NOT_EXIST")
        if plan.pays == "before_close" and order.is_unpaid:
            order = ledger.pay(order_pk=order.pk, openid=ledger.ANYBODY, now=now)
        if not order.is_paid:
            if order.is_unpaid:
                ledger.close(order=order, now=now, pays_after=plan.pays == "after_close")
            return Reply(status=204)
    raise preset("ORDER_PAID")


def _subject(ask: Ask, wish: OrderWish) -> tuple[str, int]:  # noqa: ARG001 - the shape of all operations
    order = wish.owner.orders(**wish.named)
    return next(iter(wish.named.values())), order.total_fen if order else 0


CREATE = Operation(
    name="create",
    method="POST",
    read=_read_create,
    execute=_create,
    subject=lambda _, wish: (wish.params["out_trade_no"], wish.params["amount"]["total"]),
)
QUERY = Operation(name="query", method="GET", read=_read_query, execute=_query, subject=_subject)
CLOSE = Operation(name="close", method="POST", read=_read_close, execute=_close, subject=_subject)

create, query, close = view(CREATE), view(QUERY), view(CLOSE)
