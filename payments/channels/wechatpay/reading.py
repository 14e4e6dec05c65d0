"""Reads WeChat Pay's trade and refund objects, from answers and from callbacks alike."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from payments.channels.answers import UnexpectedAnswer, our_number, payer_ids, printable, short_text
from payments.channels.base import RefundFacts, RefundState, TradeFacts, TradeState
from payments.channels.wechatpay.identity import Identity

DESTINATION_LENGTH_MAX = 64
TRADE_STATES = {
    "SUCCESS": TradeState.PAID,
    "REFUND": TradeState.PAID,  # after any refund, also a partial one: our own refunds say how much went back
    "NOTPAY": TradeState.NOT_PAID,
    "USERPAYING": TradeState.NOT_PAID,
    "ACCEPT": TradeState.NOT_PAID,
    "PAYERROR": TradeState.FAILED,
    "CLOSED": TradeState.CLOSED,
    "REVOKED": TradeState.CLOSED,
}
REFUND_STATES = {
    "PROCESSING": RefundState.PROCESSING,
    "SUCCESS": RefundState.SUCCEEDED,
    "CLOSED": RefundState.NOT_DONE,
    "ABNORMAL": RefundState.ABNORMAL,
}


def trade_facts(fields: Mapping[str, Any], *, settings: Mapping[str, Any]) -> TradeFacts:
    """A trade object. Raises UnexpectedAnswer for another account's, or when a paid one lacks its money fields."""
    for name, value in Identity(settings).ids().items():
        if fields.get(name) != value:
            raise UnexpectedAnswer(f"other {name}")
    state = TRADE_STATES.get(str(fields.get("trade_state")))
    if state is None:
        raise UnexpectedAnswer("unknown trade_state")
    if state is not TradeState.PAID:
        return TradeFacts(state=state, payment_no=our_number(fields.get("out_trade_no")))
    amount = fields.get("amount")
    return TradeFacts(
        state=state,
        payment_no=our_number(fields.get("out_trade_no")),
        channel_trade_no=short_text(fields, "transaction_id"),
        amount_fen=_fen(amount, "total"),
        currency=str(amount.get("currency", "CNY"))[:3] if isinstance(amount, dict) else "",
        paid_at=_time(fields, "success_time"),
        payer_ids=payer_ids(fields.get("payer"), "openid", "sp_openid", "sub_openid"),
    )


def refund_facts(fields: Mapping[str, Any], *, settings: Mapping[str, Any]) -> RefundFacts:
    """A refund object: `status` in answers, `refund_status` in callbacks. Raises UnexpectedAnswer."""
    for name, value in Identity(settings).merchant().items():  # only callbacks name them
        if fields.get(name, value) != value:
            raise UnexpectedAnswer(f"other {name}")
    state = REFUND_STATES.get(str(fields.get("refund_status", fields.get("status"))))
    if state is None:
        raise UnexpectedAnswer("unknown refund status")
    return RefundFacts(
        state=state,
        refund_no=our_number(fields.get("out_refund_no")),
        payment_no=our_number(fields.get("out_trade_no")),
        channel_refund_no=short_text(fields, "refund_id"),
        amount_fen=_fen(fields.get("amount"), "refund"),
        succeeded_at=_time(fields, "success_time") if state is RefundState.SUCCEEDED else None,
        destination=printable(str(fields.get("user_received_account", "")))[:DESTINATION_LENGTH_MAX],
    )


def _fen(amount: object, name: str) -> int:
    value = amount.get(name) if isinstance(amount, dict) else None
    if type(value) is not int or not 0 <= value < 2**63:
        raise UnexpectedAnswer(f"no amount.{name}")
    return value


def _time(fields: Mapping[str, Any], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(short_text(fields, name))
    except ValueError as error:
        raise UnexpectedAnswer(f"bad {name}") from error
    if moment.tzinfo is None:
        raise UnexpectedAnswer(f"{name} without an offset")
    return moment
