"""Reads WeChat Pay's bills: UTF-8 with a byte order mark, a header, rows whose every cell begins with a backtick, and
the bill's own sums under a header of their own. Pure: lines in, rows out.

Source: pay.weixin.qq.com/doc/v3/merchant/4013071227 and 4013071235; a recorded file is in the tests.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from payments.channels.answers import printable
from payments.channels.bill_cells import (
    FEN_PLACES,
    MILLIFEN_PLACES,
    Header,
    Row,
    RowReader,
    Unreadable,
    decoded,
    not_negative,
    ours_or_foreign,
    units,
)
from payments.channels.bills import BillEnd, BillItems, BillLine, BillSpoiled, FlowRow, TradeRow
from payments.states import BillKind, RowKind, RowState

TICK = "`"
ROW_KINDS = {"SUCCESS": RowKind.PAYMENT, "REFUND": RowKind.REFUND, "REVOKED": RowKind.REVERSAL}
REFUND_STATES = {
    "SUCCESS": RowState.SUCCEEDED,
    "PROCESSING": RowState.PROCESSING,
    "FAIL": RowState.NOT_DONE,
    "CHANGE": RowState.ABNORMAL,
    "": RowState.SUCCEEDED,  # of a reversal, which is over when it is listed
}
TRADE_NEEDS = frozenset({"交易时间", "微信订单号", "商户订单号", "交易状态", "订单金额", "应结订单金额", "手续费"})
FLOW_NEEDS = frozenset({"记账时间", "微信支付业务单号", "资金流水单号", "收支类型", "收支金额(元)", "账户结余(元)"})
# What a bill says of itself: our word for it, and whether it is a count, an amount or a fee.
TRADE_SUMS = {
    "总交易单数": ("count", 0),
    "订单总金额": ("paid_fen", FEN_PLACES),
    "应结订单总金额": ("settled_paid_fen", FEN_PLACES),
    "申请退款总金额": ("refunded_fen", FEN_PLACES),
    "退款总金额": ("settled_refunded_fen", FEN_PLACES),
    "手续费总金额": ("fee_millifen", MILLIFEN_PLACES),
}
FLOW_SUMS = {
    "资金流水总笔数": ("count", 0),
    "收入笔数": ("in_count", 0),
    "收入金额": ("in_fen", FEN_PLACES),
    "支出笔数": ("out_count", 0),
    "支出金额": ("out_fen", FEN_PLACES),
}


def read(lines: Iterable[bytes], *, kind: BillKind, settings: Mapping[str, Any]) -> BillItems:
    """The items of a bill. Raises BillSpoiled for a layout that we do not know, and for one that ends too early."""
    if kind is BillKind.TRADE:
        return _read(lines, needed=TRADE_NEEDS, sums=TRADE_SUMS, read_row=lambda no, row: _trade(no, row, settings))
    return _read(lines, needed=FLOW_NEEDS, sums=FLOW_SUMS, read_row=_flow)


def _read(
    lines: Iterable[bytes], *, needed: frozenset[str], sums: Mapping[str, tuple[str, int]],
    read_row: Callable[[int, Row], BillLine],
) -> BillItems:  # fmt: skip
    seen = hashlib.sha256()
    rest = enumerate(_texts(lines, seen), start=1)
    reader = RowReader(header=Header.read(_headings(rest), needed=needed), cells=_cells, read=read_row)
    for line_no, line in rest:
        if not line.strip():
            continue
        if not line.startswith(TICK):
            told = _told(line, rest, sums=sums)
            yield BillEnd(told=told, digest=seen.hexdigest())
            return
        yield reader.row(line_no, line)
    raise BillSpoiled("the bill ends without its sums")


def _texts(lines: Iterable[bytes], seen: Any) -> Iterator[str]:
    for line in lines:
        seen.update(line)
        yield decoded(line, "utf-8-sig")


def _headings(rest: Iterator[tuple[int, str]]) -> list[str]:
    return next(rest, (0, ""))[1].split(",")


def _cells(line: str) -> list[str]:
    """Commas in free text are replaced by them, mostly; only one before a backtick ends a cell."""
    return line.strip("\r\n").removeprefix(TICK).split(f",{TICK}")


def _told(headings: str, rest: Iterator[tuple[int, str]], *, sums: Mapping[str, tuple[str, int]]) -> dict[str, int]:
    """The bill's own sums. Those that it does not have, or that are no numbers, cannot be compared with anything."""
    try:
        header = Header.read(headings.split(","), needed=frozenset({next(iter(sums))}))
        row = header.row(_cells(next(rest, (0, ""))[1]))
    except Unreadable as error:
        raise BillSpoiled("the bill ends without its sums") from error
    found = {word: units(row.text(name), places=places) for name, (word, places) in sums.items()}
    return {word: value for word, value in found.items() if value is not None}


def _trade(line_no: int, row: Row, settings: Mapping[str, Any]) -> TradeRow:
    if row.text("商户号") not in {"", settings["mchid"]}:
        raise Unreadable("other 商户号")
    kind = ROW_KINDS.get(row.text("交易状态"))
    state = RowState.PAID if kind is RowKind.PAYMENT else REFUND_STATES.get(row.text("退款状态"))
    if kind is None or state is None:
        raise Unreadable("unknown 交易状态 or 退款状态")
    amount, settled = ("订单金额", "应结订单金额") if kind is RowKind.PAYMENT else ("申请退款金额", "退款金额")
    payment_no, foreign_no = ours_or_foreign(row.number("商户订单号"))
    refund_no, foreign_refund_no = ours_or_foreign(row.number("商户退款单号"))
    return TradeRow(
        line_no=line_no, kind=kind, state=state, at=row.at("交易时间"), payment_no=payment_no, foreign_no=foreign_no,
        channel_trade_no=row.number("微信订单号"), refund_no=refund_no, foreign_refund_no=foreign_refund_no,
        channel_refund_no=row.number("微信退款单号"), amount_fen=not_negative(row.fen(amount), amount),
        settled_fen=not_negative(row.fen(settled), settled), fee_millifen=row.millifen("手续费"),
    )  # fmt: skip


def _flow(line_no: int, row: Row) -> FlowRow:
    sign = {"收入": 1, "支出": -1}.get(row.text("收支类型"))
    if sign is None:
        raise Unreadable("unknown 收支类型")
    return FlowRow(
        line_no=line_no, flow_no=row.number("资金流水单号"), channel_trade_no=row.number("微信支付业务单号"),
        what=printable(row.text("业务名称"))[:64], amount_fen=sign * not_negative(row.fen("收支金额(元)"), "收支金额"),
        balance_fen=row.fen("账户结余(元)"), voucher_no=printable(row.text("业务凭证号"))[:64], at=row.at("记账时间"),
    )  # fmt: skip
