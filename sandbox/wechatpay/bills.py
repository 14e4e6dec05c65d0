"""Bills: /v3/bill/tradebill, /v3/bill/fundflowbill and the file behind their download_url.

UTF-8 with BOM, CRLF, a backtick before every cell that is not a header. The hash is of the uncompressed file.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sandbox import bills, chance, clock, environment
from sandbox.bills import Entry
from sandbox.clock import BEIJING
from sandbox.models import WECHATPAY, BillFile
from sandbox.plans import CallPlan
from sandbox.store import writing
from sandbox.wechatpay import bill_layout, checks, owner
from sandbox.wechatpay.checks import Ask
from sandbox.wechatpay.endpoint import Operation, Reply, view
from sandbox.wechatpay.errors import invalid_request, param_error, preset
from sandbox.wechatpay.owner import Owner

FILE_LIFETIME = timedelta(minutes=5)
KEPT_FOR = timedelta(days=92)
_TRADE_TYPES = ("ALL", "SUCCESS", "REFUND")
_ACCOUNTS = ("BASIC", "OPERATION", "FEES")


@dataclass(frozen=True, kw_only=True)
class BillWish:
    """`kind` is one of the layouts: ALL, SUCCESS, REFUND, or an account of the fund flow."""

    owner: Owner
    day: date
    kind: str
    is_gzip: bool

    @property
    def name(self) -> str:
        return f"{self.day:%Y-%m-%d}"


def _read_trade(ask: Ask, path: Mapping[str, str]) -> BillWish:  # noqa: ARG001 - the shape of all operations
    checks.require_query(ask, "bill_date", optional=("bill_type", "tar_type", "sub_mchid"))
    return _wish(ask, kind=_choice(ask, "bill_type", _TRADE_TYPES))


def _read_fund_flow(ask: Ask, path: Mapping[str, str]) -> BillWish:  # noqa: ARG001
    checks.require_query(ask, "bill_date", optional=("account_type", "tar_type"))
    return _wish(ask, kind=_choice(ask, "account_type", _ACCOUNTS))


def _wish(ask: Ask, *, kind: str) -> BillWish:
    return BillWish(
        owner=owner.of_sub_mchid(ask, ask.query.get("sub_mchid", "")),
        day=_day(ask.query["bill_date"]),
        kind=kind,
        is_gzip=_choice(ask, "tar_type", ("", "GZIP")) == "GZIP",
    )


def _choice(ask: Ask, name: str, allowed: tuple[str, ...]) -> str:
    value = ask.query.get(name, allowed[0])
    if value not in allowed:
        raise param_error(f"输入源“/query/{name}”字符串不符合格式要求", pointer=name, value=value, location="query")
    return value


def _day(text: str) -> date:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=BEIJING).date()
    except ValueError as problem:
        raise param_error("账单日期格式错误", pointer="bill_date", value=text, location="query") from problem
    today = clock.now().astimezone(BEIJING).date()
    if day >= today or day < today - KEPT_FOR:
        raise invalid_request("账单日期仅支持最近三个月内且早于今天的日期")
    return day


def _make(ask: Ask, wish: BillWish, plan: CallPlan) -> Reply:
    now = clock.now()
    if now < bills.ready_at(wish.day):
        raise preset("STATEMENT_CREATING")
    found = bills.entries(
        channel=WECHATPAY,
        mchid=wish.owner.mchid,
        sub_mchid=wish.owner.sub_mchid,
        first=wish.day,
        trick=plan.bill,
    )
    lines = _lines(wish, found)
    if not lines:
        raise preset("NO_STATEMENT_EXIST")
    content = bill_layout.encoded(lines, trick=plan.bill)
    return Reply(status=200, body=_offer(ask, wish, content, plan, now=now))


def _lines(wish: BillWish, found: list[Entry]) -> bill_layout.Lines | None:
    if wish.kind in _ACCOUNTS:
        return bill_layout.fund_flow(found) if wish.kind == "BASIC" else None
    return bill_layout.trade(found, kind=wish.kind)


def _offer(ask: Ask, wish: BillWish, content: bytes, plan: CallPlan, *, now: datetime) -> dict[str, Any]:
    """Keep the file and say where it is. The hash leaves out the compression."""
    token = chance.text("bill_token", size=24)
    with writing():
        BillFile.objects.create(
            token=token,
            channel=WECHATPAY,
            mchid=ask.merchant.mchid,
            filename=wish.name,
            content=content,
            is_gzip=wish.is_gzip,
            expires_at=now if plan.bill == "expired_token" else now + FILE_LIFETIME,
        )
    hashed = content + b" " if plan.bill == "wrong_hash" else content
    return {
        "hash_type": "SHA1",
        "hash_value": hashlib.sha1(hashed, usedforsecurity=False).hexdigest(),
        "download_url": f"{environment.current().base_url}/v3/billdownload/file?token={token}",
    }


def _read_file(ask: Ask, path: Mapping[str, str]) -> str:  # noqa: ARG001
    checks.allow_query(ask, "token")
    return ask.query.get("token", "")


def _file(ask: Ask, wish: str, plan: CallPlan) -> Reply:  # noqa: ARG001
    found = BillFile.objects.filter(token=wish, channel=WECHATPAY, mchid=ask.merchant.mchid).first()
    if found is None:
        raise param_error("token无效", pointer="token", location="query")
    if found.expires_at <= clock.now():
        raise invalid_request("token已过期，请重新获取账单下载链接")
    content = bytes(found.content)
    return Reply(status=200, file=gzip.compress(content, mtime=0) if found.is_gzip else content)


def _by_day(_: Ask, wish: BillWish) -> tuple[str, int]:
    return wish.name, 0


TRADE_BILL = Operation(name="bill", method="GET", read=_read_trade, execute=_make, subject=_by_day)
FUND_FLOW_BILL = Operation(name="bill", method="GET", read=_read_fund_flow, execute=_make, subject=_by_day)
FILE = Operation(name="bill_file", method="GET", read=_read_file, execute=_file, subject=lambda *_: ("", 0))

trade_bill, fund_flow_bill, bill_file = view(TRADE_BILL), view(FUND_FLOW_BILL), view(FILE)
