"""Reads the model's orders and refunds, from answers and from callbacks alike."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from payments.channels.answers import BEIJING, UnexpectedAnswer, our_number, short_text
from payments.channels.base import RefundFacts, RefundState, TradeFacts, TradeState

ACCOUNT_FIELDS = {"merId": "mer_id", "serProvId": "serv_prov_id"}  # theirs: the setting that it must be
CURRENCY = "156"  # what we send; an answer without one means it too
TRADE_STATES = {
    "00": TradeState.PAID,
    "01": TradeState.PAID,  # after any refund, also a partial one: our own refunds say how much went back
    "02": TradeState.NOT_PAID,
    "03": TradeState.CLOSED,
    "04": TradeState.CLOSED,  # a bar code's, revoked
    "05": TradeState.NOT_PAID,
    "06": TradeState.FAILED,
}
REFUND_STATES = {"00": RefundState.SUCCEEDED, "01": RefundState.NOT_DONE, "02": RefundState.PROCESSING}
_FEN = re.compile(r"[1-9][0-9]{0,17}")
_TIME = re.compile(r"[0-9]{14}")


def trade_facts(fields: Mapping[str, Any], *, settings: Mapping[str, Any]) -> TradeFacts:
    """An order. Raises UnexpectedAnswer for another account's, or when a paid one lacks its money fields."""
    _check_account(fields, settings)
    state = TRADE_STATES.get(str(fields.get("origRespCode")))
    if state is None:
        raise UnexpectedAnswer("unknown origRespCode")
    payment_no = our_number(fields.get("orderNo"))
    if state is not TradeState.PAID:
        return TradeFacts(state=state, payment_no=payment_no)
    currency = str(fields.get("currencyCode", CURRENCY))
    return TradeFacts(
        state=state,
        payment_no=payment_no,
        channel_trade_no=short_text(fields, "transIndex"),
        amount_fen=_fen(fields, "txnAmt"),
        currency="CNY" if currency == CURRENCY else currency[:3],
        paid_at=_time(fields, "payTime") if fields.get("payTime") else None,
    )


def refund_facts(fields: Mapping[str, Any], *, settings: Mapping[str, Any]) -> RefundFacts:
    """A refund, which has no number of theirs. Raises UnexpectedAnswer."""
    _check_account(fields, settings)
    state = REFUND_STATES.get(str(fields.get("origRespCode")))
    if state is None:
        raise UnexpectedAnswer("unknown origRespCode")
    return RefundFacts(
        state=state,
        refund_no=our_number(fields.get("orderNo")),
        payment_no=our_number(fields.get("origOrderNo")),
        channel_refund_no=short_text(fields, "transIndex") if fields.get("transIndex") else "",
        amount_fen=_fen(fields, "txnAmt"),
    )


def _check_account(fields: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Callbacks name the account, answers need not."""
    for name, setting in ACCOUNT_FIELDS.items():
        if fields.get(name, settings[setting]) != settings[setting]:
            raise UnexpectedAnswer(f"other {name}")


def _fen(fields: Mapping[str, Any], name: str) -> int:
    """Whole fen, as a text or as a JSON integer."""
    value = fields.get(name)
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not _FEN.fullmatch(text):
        raise UnexpectedAnswer(f"bad {name}")
    return int(text)


def _time(fields: Mapping[str, Any], name: str) -> datetime:
    """Beijing's; with all its digits, for the parser would also take fewer."""
    text = short_text(fields, name)
    if not _TIME.fullmatch(text):
        raise UnexpectedAnswer(f"bad {name}")
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError as error:
        raise UnexpectedAnswer(f"bad {name}") from error
