"""Reads what Alipay tells us: a form, verified over its sorted fields. Source: opendocs.alipay.com/open/203/105286."""

import hashlib
import re
from datetime import datetime
from urllib.parse import parse_qsl

from payments.channels.alipay.client import AlipayClient
from payments.channels.alipay.reading import trade_facts
from payments.channels.answers import UnexpectedAnswer, our_number
from payments.channels.base import Callback, CallbackRefused, TradeFacts, TradeState
from payments.channels.rsa import NotAuthentic

FIELDS_MAX = 100
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read(client: AlipayClient, *, body: bytes, now: datetime) -> Callback:
    """The callback, or CallbackRefused when it is not shown to be Alipay's or cannot be read.

    A refund is told as the trade once more, with the refund's fields beside: for us that is a paid trade, told again.
    """
    params = _form(body)
    try:
        client.verify_callback(params, now=now)
    except NotAuthentic as error:
        raise CallbackRefused(str(error), key_wanted=client.key_wanted(error)) from error
    callback_id, event_type = _id(params.get("notify_id", "")), params.get("trade_status", "")
    mismatch = _foreign(client, params)
    try:
        facts = trade_facts(params, paid_at_field="gmt_payment")
    except UnexpectedAnswer as error:
        facts, mismatch = _nothing(params), mismatch or str(error)
    return Callback(
        callback_id=callback_id, event_type=event_type, facts=_nothing(params) if mismatch else facts, mismatch=mismatch
    )


def _form(body: bytes) -> dict[str, str]:
    """Each field once: of two with one name another reader might take the other."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS_MAX)
    except (UnicodeDecodeError, ValueError) as error:
        raise CallbackRefused("not in the expected form") from error
    params = dict(pairs)
    if len(params) != len(pairs):
        raise CallbackRefused("a field stands there twice")
    return params


def _foreign(client: AlipayClient, params: dict[str, str]) -> str:
    for name in ("app_id", "seller_id"):
        if params.get(name) != client.settings[name]:
            return f"other {name}"
    return ""


def _nothing(params: dict[str, str]) -> TradeFacts:
    return TradeFacts(state=TradeState.NOT_PAID, payment_no=our_number(params.get("out_trade_no")))


def _id(value: str) -> str:
    """Theirs, the same on re-sends; anything that our column does not hold by its hash, so that it stays one."""
    return value if _ID.fullmatch(value) else hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
