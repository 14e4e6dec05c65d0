"""Reads what WeChat Pay tells us: verify over the raw bytes, open the envelope, then look inside.

Source: pay.weixin.qq.com/doc/v3/merchant/4012791861 and 4012081709.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime

from payments.channels.answers import UnexpectedAnswer, our_number
from payments.channels.base import Callback, CallbackRefused, RefundFacts, TradeFacts, TradeState
from payments.channels.rsa import NotAuthentic, UnknownKey
from payments.channels.wechatpay import signing
from payments.channels.wechatpay.client import WechatpayClient, key_wanted
from payments.channels.wechatpay.keyring import is_public_key
from payments.channels.wechatpay.reading import refund_facts, trade_facts

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
READERS: dict[str, Callable[..., TradeFacts | RefundFacts]] = {"transaction": trade_facts, "refund": refund_facts}


def read(client: WechatpayClient, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Callback:
    """The callback, or CallbackRefused when it is not shown to be WeChat Pay's or cannot be read."""
    try:
        client.verify(headers=headers, body=body, now=now)
        envelope = json.loads(body)
        resource = envelope["resource"]
        plain = json.loads(signing.open_resource(resource, api_key=client.config.secrets["apiv3_key"]))
        callback_id, event_type = _id(envelope["id"]), str(envelope["event_type"])
        reader = READERS[resource["original_type"]]
        if not isinstance(plain, dict):
            raise TypeError("the resource is no object")  # noqa: TRY301 - said once, below
    except NotAuthentic as error:
        raise CallbackRefused(str(error), key_wanted=key_wanted(error), alarm=_alarm(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CallbackRefused("not in the expected form") from error
    try:
        facts = reader(plain, settings=client.settings)
    except UnexpectedAnswer as error:
        # Signed by the channel and yet not ours to act on: a person must see it.
        facts = TradeFacts(state=TradeState.NOT_PAID, payment_no=our_number(plain.get("out_trade_no")))
        return Callback(callback_id=callback_id, event_type=event_type, facts=facts, mismatch=str(error))
    return Callback(callback_id=callback_id, event_type=event_type, facts=facts)


def _alarm(error: NotAuthentic) -> str:
    """What only a person can put right."""
    if isinstance(error, signing.NotOpened):
        return "what they have signed does not open: is it the right APIv3 key?"
    if isinstance(error, UnknownKey) and is_public_key(error.serial):
        return f"a callback names the public key {error.serial}, which is not among platform_keys"
    return ""


def _id(value: object) -> str:
    """Their id of at most 36 characters, the same on re-sends; anything else by its hash, so that it stays one."""
    text = str(value)
    return text if _ID.fullmatch(text) else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
