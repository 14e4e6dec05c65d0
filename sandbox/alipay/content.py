"""Strict checking of biz_content: known names, texts of the right length and form, amounts with two decimals."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.alipay.errors import Refused, invalid

AMOUNT_FEN_MAX = 10_000_000_000
_AMOUNT = re.compile(r"(0|[1-9]\d{0,8})(?:\.(\d{1,2}))?")


@dataclass(frozen=True, kw_only=True)
class Text:
    max_length: int
    label: str
    required: bool = False
    pattern: str = ""


@dataclass(frozen=True, kw_only=True)
class Amount:
    label: str
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Anything:
    """A member that is taken as it is: an object or a list whose inside changes nothing here."""

    kinds: tuple[type, ...]
    label: str
    required: bool = False


Member = Text | Amount | Anything
OUT_TRADE_NO = Text(max_length=64, label="out_trade_no", pattern=r"[0-9A-Za-z_]+")
TRADE_NO = Text(max_length=64, label="trade_no")
BY_NUMBER: Mapping[str, Member] = {"out_trade_no": OUT_TRADE_NO, "trade_no": TRADE_NO}


def check(biz: Mapping[str, Any], members: Mapping[str, Member]) -> None:
    """Raises Refused. Unknown names are refused: a misspelt one would be ignored live, and silently wrong."""
    for name in biz:
        if name not in members:
            raise invalid(f"{name}不是该接口的参数")
    for name, member in members.items():
        if biz.get(name) not in (None, ""):
            _check_one(biz[name], member)
        elif member.required:
            raise invalid(f"{member.label}不能为空")


def number_wanted(biz: Mapping[str, Any]) -> dict[str, str]:
    """trade_no, which goes first, or out_trade_no. Raises Refused without either."""
    for name in ("trade_no", "out_trade_no"):
        if biz.get(name):
            return {"transaction_id" if name == "trade_no" else name: str(biz[name])}
    raise invalid("out_trade_no和trade_no不能同时为空")


def fen(text: Any) -> int:
    """An amount in yuan, as text or number of JSON, as fen. Raises Refused."""
    match = _AMOUNT.fullmatch(str(text))
    if match is None:
        raise invalid("金额格式错误")
    amount = int(match.group(1)) * 100 + int((match.group(2) or "").ljust(2, "0"))
    if not 1 <= amount <= AMOUNT_FEN_MAX:
        raise Refused("40004", "ACQ.TOTAL_FEE_EXCEED", "订单总金额不在允许范围内")
    return amount


def _check_one(value: Any, member: Member) -> None:
    match member:
        case Text():
            _check_text(value, member)
        case Amount():
            # The real gateway reads numbers too, and clients send them.
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise invalid(f"{member.label}格式错误")
            fen(value)
        case Anything():
            if not isinstance(value, member.kinds):
                raise invalid(f"{member.label}格式错误")


def _check_text(value: Any, member: Text) -> None:
    if not isinstance(value, str):
        raise invalid(f"{member.label}格式错误")
    if len(value) > member.max_length:
        raise invalid(f"{member.label}长度超过{member.max_length}")
    if member.pattern and not re.fullmatch(member.pattern, value):
        raise invalid(f"{member.label}格式错误")
