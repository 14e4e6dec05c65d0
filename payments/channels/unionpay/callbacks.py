"""Reads what the model tells us: a signed JSON object. It tells of payments; refunds are asked about."""

from typing import Any

from payments.channels.answers import UnexpectedAnswer, our_number
from payments.channels.base import Callback, CallbackRefused, TradeFacts, TradeState
from payments.channels.rsa import NotAuthentic
from payments.channels.unionpay import signing
from payments.channels.unionpay.client import UnionpayClient
from payments.channels.unionpay.reactions import SUCCESS
from payments.channels.unionpay.reading import trade_facts

NEEDED = ("merId", "currencyCode")  # that a callback names, and an answer need not


def read(client: UnionpayClient, *, body: bytes) -> Callback:
    """The callback, or CallbackRefused when it is not shown to be theirs.

    It has no id. Its digest is the same on re-sends, and another one as soon as anything else is said.
    """
    try:
        fields = client.open_message(body)
    except NotAuthentic as error:
        raise CallbackRefused(str(error)) from error
    mismatch, facts = "", _nothing(fields)
    try:
        facts = _facts(client, fields)
    except UnexpectedAnswer as error:
        mismatch = str(error)
    event_type = f"origRespCode {fields.get('origRespCode')}"[:32]
    return Callback(callback_id=signing.digest(fields), event_type=event_type, facts=facts, mismatch=mismatch)


def _facts(client: UnionpayClient, fields: dict[str, Any]) -> TradeFacts:
    for name in NEEDED:
        if name not in fields:
            raise UnexpectedAnswer(f"no {name}")
    if fields.get("respCode") != SUCCESS:
        raise UnexpectedAnswer("unknown respCode")
    return trade_facts(fields, settings=client.settings)


def _nothing(fields: dict[str, Any]) -> TradeFacts:
    return TradeFacts(state=TradeState.NOT_PAID, payment_no=our_number(fields.get("orderNo")))
