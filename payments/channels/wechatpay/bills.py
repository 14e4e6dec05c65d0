"""Asks WeChat Pay for a bill: where its file is, the file itself, and whether that is the one that they meant.

Source: pay.weixin.qq.com/doc/v3/merchant/4013071227 (trade), 4013071235 (fund flow), 4013071238 (file).
"""

import hashlib
from datetime import datetime
from typing import BinaryIO

from payments.channels.answers import Reaction, Refusal, refused
from payments.channels.base import Accepted, BillAnswer, Empty, NotReady, Rejected, Unknown
from payments.channels.bills import BillFacts, BillItems, BillSpoiled, BillWish
from payments.channels.unpacking import gzip_lines
from payments.channels.wechatpay import bill_reading, reactions
from payments.channels.wechatpay.client import Answer, WechatpayClient
from payments.channels.wechatpay.identity import Identity
from payments.states import BillKind

FUND_ACCOUNTS = {
    BillKind.FUND_FLOW: "BASIC",
    BillKind.FUND_FLOW_OPERATION: "OPERATION",
    BillKind.FUND_FLOW_FEES: "FEES",
}
HASH_TYPE = "SHA1"  # theirs; it tells a broken file, and not who made it


def download(client: WechatpayClient, wish: BillWish, *, into: BinaryIO, now: datetime) -> BillAnswer:
    """An address is good for some minutes and may be used up: whatever is wrong with a file, ask for it again."""
    answer = _ask(client, wish, now=now)
    if not isinstance(answer, Answer):
        return _said_no(answer)
    url, hash_type, told = (answer.fields.get(name) for name in ("download_url", "hash_type", "hash_value"))
    if not isinstance(url, str) or hash_type != HASH_TYPE or not isinstance(told, str):
        return Unknown(reason="answer without an address and a hash of the expected type")
    if (problem := client.download(url, into=into, now=now)) is not None:
        return problem
    try:
        found = _hash(client, into)
    except BillSpoiled as spoiled:
        return Unknown(reason=f"file: {spoiled.reason}")
    if found != told.lower():
        return Unknown(reason="file: not the one with that hash")
    return Accepted(facts=BillFacts(suffix="csv.gz", told_hash=f"{HASH_TYPE}:{found}"))


def read(client: WechatpayClient, file: BinaryIO, wish: BillWish) -> BillItems:
    lines = gzip_lines(file, bytes_max=client.config.bills.unpacked_bytes_max)
    return bill_reading.read(lines, kind=wish.kind, settings=client.settings)


def _ask(client: WechatpayClient, wish: BillWish, *, now: datetime) -> Answer | Refusal | Unknown:
    query = {"bill_date": wish.day.isoformat()}
    if wish.kind is BillKind.TRADE:
        path = "/v3/bill/tradebill"
        query |= {"bill_type": "ALL", **Identity(client.settings).sub_merchant()}
    else:
        path = "/v3/bill/fundflowbill"
        query |= {"account_type": FUND_ACCOUNTS[wish.kind]}
    return client.call(method="GET", path=path, query=query | {"tar_type": "GZIP"}, reactions=reactions.BILL, now=now)


def _said_no(answer: Refusal | Unknown) -> NotReady | Empty | Rejected | Unknown:
    if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_YET:
        return NotReady()
    if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
        return Empty(is_certain=True)
    return refused(answer)


def _hash(client: WechatpayClient, file: BinaryIO) -> str:
    """Theirs is over the text, not over the packed file."""
    found = hashlib.sha1(usedforsecurity=False)
    for line in gzip_lines(file, bytes_max=client.config.bills.unpacked_bytes_max):
        found.update(line)
    return found.hexdigest()
