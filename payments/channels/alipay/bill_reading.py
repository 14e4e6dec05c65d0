"""Reads the CSV files of Alipay's bills: GBK, a head of lines that begin with #, then a marker, the columns, the rows,
another marker, and the bill's own sums. Pure: lines in, rows out.

Source: opendocs.alipay.com/open/028wob and the layout of downloaded files. Cells may end with a TAB.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from payments.channels.answers import printable
from payments.channels.bill_cells import (
    FEN_PLACES,
    Header,
    Row,
    RowReader,
    Unreadable,
    decoded,
    not_negative,
    ours_or_foreign,
    units,
)
from payments.channels.bills import BillEnd, BillItems, BillLine, BillSpoiled, BillWish, FlowRow, TradeRow
from payments.states import BillKind, RowKind, RowState

ROW_KINDS = {"交易": RowKind.PAYMENT, "退款": RowKind.REFUND}
INCOME, OUTGO = "收入金额(+元)", "支出金额(-元)"
EXPORTED = "#导出时间"  # the one line that differs from one download to the next
_ACCOUNT = re.compile(r"#账号：\[([0-9]+)\]")
_FIRST_DAY = re.compile(r"#起始日期：\[([0-9]{4})年([0-9]{2})月([0-9]{2})日")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """`sums` maps the beginning of a line, whose count and amount follow, to our words for the two."""

    marker: str
    needs: frozenset[str]
    read_row: Callable[[int, Row], BillLine]
    sums: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    """One file of the archive; `told` takes its sums."""

    lines: Iterator[tuple[int, str]]
    layout: Layout
    told: dict[str, int]

    def is_wanted(self, *, wish: BillWish, seller_id: str) -> bool:
        """Read on to the marker; False when this file has another one. Raises BillSpoiled for somebody else's file."""
        for _, line in self.lines:
            if not line.startswith("#"):
                return False
            if (account := _ACCOUNT.match(line)) and not account[1].startswith(seller_id):
                raise BillSpoiled("the bill of another account")
            if (first := _FIRST_DAY.match(line)) and "-".join(first.groups()) != wish.day.isoformat():
                raise BillSpoiled("the bill of another day")
            if self.layout.marker in line:
                return True
        return False

    def rows(self) -> Iterator[BillLine]:
        """Behind the marker. Raises BillSpoiled when the rows do not end with one."""
        _, headings = next(self.lines, (0, ""))
        header = Header.read(headings.split(","), needed=self.layout.needs)
        reader = RowReader(header=header, cells=lambda line: _cells(line, len(header.names)), read=self.layout.read_row)
        for line_no, line in self.lines:
            if line.startswith("#"):
                if f"{self.layout.marker}结束" not in line:
                    break
                self._read_sums()
                return
            if line.strip():
                yield reader.row(line_no, line)
        raise BillSpoiled("the bill ends without its marker")

    def _read_sums(self) -> None:
        """Refunds and outgo are told as negative numbers; which way they go is in our words for them."""
        for _, line in self.lines:
            for begins, (count_word, sum_word) in self.layout.sums.items():
                if match := re.match(rf"{begins}：([0-9.]+)笔，[^0-9-]*(-?[0-9.]+)元", line):
                    self._add(count_word, units(match[1], places=0))
                    self._add(sum_word, units(match[2], places=FEN_PLACES))

    def _add(self, word: str, value: int | None) -> None:
        if value is not None:
            self.told[word] = self.told.get(word, 0) + abs(value)


def read(files: Iterable[Iterator[bytes]], *, wish: BillWish, settings: Mapping[str, Any]) -> BillItems:
    """The items of a bill, whose files may come in any order and under any name. Raises BillSpoiled."""
    numbers, seen, told = count(1), hashlib.sha256(), dict[str, int]()
    is_there = False
    for lines in files:
        sheet = _Sheet(lines=_texts(lines, numbers, seen), layout=LAYOUTS[wish.kind], told=told)
        if sheet.is_wanted(wish=wish, seller_id=settings["seller_id"]):
            is_there = True
            yield from sheet.rows()
    if not is_there:
        raise BillSpoiled("none of the files is the one with the details")
    yield BillEnd(told=told, digest=seen.hexdigest())


def _texts(lines: Iterator[bytes], numbers: Iterator[int], seen: Any) -> Iterator[tuple[int, str]]:
    """Each line with its number, which goes on from one file to the next."""
    charset = ""
    for line in lines:
        charset = charset or _charset_of(line)
        text = decoded(line, charset)
        if not text.startswith(EXPORTED):
            seen.update(text.encode(errors="surrogateescape"))
        yield next(numbers), text


def _charset_of(line: bytes) -> str:
    """GBK, as they say; or UTF-8, as they have sent: a first line in Chinese is never both."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8-sig"


def _cells(line: str, number: int) -> list[str]:
    """A comma in free text is told from one between cells where each cell ends with a TAB."""
    cells = line.split(",")
    return cells if len(cells) == number else line.split("\t,")


def _trade(line_no: int, row: Row) -> TradeRow:
    number, request_no = row.number("商户订单号"), row.number("退款批次号/请求号")
    kind = ROW_KINDS.get(row.text("业务类型"))
    if kind is None:
        raise Unreadable("unknown 业务类型")
    if kind is RowKind.REFUND and request_no in {"", number}:
        kind = RowKind.REVERSAL  # each of our refunds has a number of its own
    amount, settled = row.fen("订单金额(元)"), row.fen("商家实收(元)")
    if kind is RowKind.PAYMENT:
        not_negative(min(amount, settled), "订单金额")
    payment_no, foreign_no = ours_or_foreign(number)
    refund_no, foreign_refund_no = ours_or_foreign(request_no if kind is RowKind.REFUND else "")
    return TradeRow(
        line_no=line_no, kind=kind, state=RowState.PAID if kind is RowKind.PAYMENT else RowState.SUCCEEDED,
        at=row.at("完成时间"), channel_trade_no=row.number("支付宝交易号"),
        payment_no=payment_no, foreign_no=foreign_no,
        refund_no=refund_no, foreign_refund_no=foreign_refund_no, amount_fen=abs(amount), settled_fen=abs(settled),
        fee_millifen=-row.millifen("服务费(元)"),  # theirs is what it does to the merchant's balance
    )  # fmt: skip


def _flow(line_no: int, row: Row) -> FlowRow:
    income, outgo = (row.fen(name) if row.text(name) else 0 for name in (INCOME, OUTGO))
    return FlowRow(
        line_no=line_no, flow_no=row.number("账务流水号"), channel_trade_no=row.number("业务流水号"),
        what=printable(row.text("业务类型"))[:64], amount_fen=income - abs(outgo), balance_fen=row.fen("账户余额(元)"),
        voucher_no=printable(row.text("商户订单号"))[:64], at=row.at("发生时间"),
    )  # fmt: skip


LAYOUTS: Mapping[BillKind, Layout] = {
    BillKind.TRADE: Layout(
        marker="业务明细列表",
        needs=frozenset(
            {
                "支付宝交易号", "商户订单号", "业务类型", "完成时间", "订单金额(元)", "商家实收(元)",
                "退款批次号/请求号", "服务费(元)",
            }
        ),
        read_row=_trade,
        sums={"#交易合计": ("paid_count", "settled_paid_fen"), "#退款合计": ("refunded_count", "settled_refunded_fen")},
    ),
    BillKind.FUND_FLOW: Layout(
        marker="账务明细列表",
        needs=frozenset(
            {"账务流水号", "业务流水号", "商户订单号", "发生时间", INCOME, OUTGO, "账户余额(元)", "业务类型"}
        ),
        read_row=_flow,
        sums={"#支出合计": ("out_count", "out_fen"), "#收入合计": ("in_count", "in_fen")},
    ),
}  # fmt: skip
