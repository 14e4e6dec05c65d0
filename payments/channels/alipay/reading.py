"""Reads Alipay's trades and refunds, from answers and from callbacks alike."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from payments.channels.answers import BEIJING, UnexpectedAnswer, our_number, payer_ids, short_text
from payments.channels.base import RefundFacts, RefundState, TradeFacts, TradeState
from payments.errors import PaymentsError
from payments.money import fen_from_literal

FEN_MAX = 10_000_000_000  # their own limit is 100,000,000 yuan

TRADE_STATES = {
    "WAIT_BUYER_PAY": TradeState.NOT_PAID,
    "TRADE_SUCCESS": TradeState.PAID,
    "TRADE_FINISHED": TradeState.PAID,  # paid, and too long ago to be refunded
    "TRADE_CLOSED": TradeState.CLOSED,
}


def trade_facts(fields: Mapping[str, Any], *, paid_at_field: str) -> TradeFacts:
    """A trade. Raises UnexpectedAnswer when a paid one lacks its money fields.

    A closed trade that has a time of payment was paid, and all of it went back to the payer.
    """
    state = TRADE_STATES.get(str(fields.get("trade_status")))
    if state is None:
        raise UnexpectedAnswer("unknown trade_status")
    payment_no = our_number(fields.get("out_trade_no"))
    if state is TradeState.CLOSED and fields.get(paid_at_field):
        return TradeFacts(state=TradeState.RETURNED, payment_no=payment_no)
    if state is not TradeState.PAID:
        return TradeFacts(state=state, payment_no=payment_no)
    return paid_facts(fields, paid_at_field=paid_at_field)


def paid_facts(fields: Mapping[str, Any], *, paid_at_field: str) -> TradeFacts:
    """A paid trade: also what a bar code's payment answers, which has no trade_status."""
    return TradeFacts(
        state=TradeState.PAID,
        payment_no=our_number(fields.get("out_trade_no")),
        channel_trade_no=short_text(fields, "trade_no"),
        amount_fen=_fen(fields, "total_amount"),
        paid_at=_time(fields, paid_at_field),
        payer_ids=payer_ids(fields, "buyer_open_id", "buyer_user_id", "buyer_id"),  # the last is a callback's word
    )


def refund_facts(fields: Mapping[str, Any], *, refund_no: int, payment_no: int) -> RefundFacts:
    """What a refund's query answers. Success without `refund_status` only says that they know no such refund (yet)."""
    if fields.get("refund_status") != "REFUND_SUCCESS":
        return RefundFacts(state=RefundState.NOT_FOUND, refund_no=refund_no, payment_no=payment_no)
    return RefundFacts(
        state=RefundState.SUCCEEDED,
        refund_no=our_number(fields.get("out_request_no")),
        payment_no=our_number(fields.get("out_trade_no")),
        channel_refund_no=short_text(fields, "trade_no"),
        amount_fen=_fen(fields, "refund_amount"),
        succeeded_at=_time(fields, "gmt_refund_pay") if fields.get("gmt_refund_pay") else None,
    )


def _fen(fields: Mapping[str, Any], name: str) -> int:
    try:
        return fen_from_literal(short_text(fields, name), max_fen=FEN_MAX)
    except PaymentsError as error:
        raise UnexpectedAnswer(f"bad {name}") from error


def _time(fields: Mapping[str, Any], name: str) -> datetime:
    try:
        # Their times have no offset.
        return datetime.strptime(short_text(fields, name), "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    except ValueError as error:
        raise UnexpectedAnswer(f"bad {name}") from error
