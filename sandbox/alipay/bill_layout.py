"""The layout of Alipay's bills (reference B.11): two CSV files in GBK inside one zip, whose names are GBK too."""

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sandbox.bills import BOMB_LINES, Entry, local, yuan
from sandbox.clock import BEIJING

_DETAIL_LINE = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,"
    "卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
DETAIL = _DETAIL_LINE.split(",")
_SUMMARY_LINE = (
    "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,卡消费金额（元）,"
    "服务费（元）,分润（元）,实收净额（元）"
)
SUMMARY = _SUMMARY_LINE.split(",")
_MOVEMENTS_LINE = (
    "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,"
    "交易渠道,业务类型,备注"
)
MOVEMENTS = _MOVEMENTS_LINE.split(",")
_MOVEMENT_SUMMARY_LINE = "类型,收入笔数,收入金额（+元）,支出笔数,支出金额（-元）,合计金额（元）"
MOVEMENT_SUMMARY = _MOVEMENT_SUMMARY_LINE.split(",")
OPENING_BALANCE_FEN = 1_000_000
PAYER_ACCOUNT = "*沙箱(sdb***@sandbox.test)"
_DAY = "%Y年%m月%d日 00:00:00"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What both files of a bill are made of."""

    seller_id: str
    first: date
    days: int
    entries: Sequence[Entry]
    now: datetime

    @property
    def account(self) -> str:
        return f"{self.seller_id}0156"

    @property
    def head(self) -> list[str]:
        last = self.first + timedelta(days=self.days)
        return [
            f"#账号：[{self.account}]",
            f"#起始日期：[{self.first:{_DAY}}]   终止日期：[{last:{_DAY}}]",
        ]

    @property
    def exported(self) -> str:
        return f"#导出时间：[{self.now.astimezone(BEIJING):%Y年%m月%d日 %H:%M:%S}]"


def packed(sheet: Sheet, *, kind: str, trick: str = "") -> bytes:
    """The zip, spoilt as `trick` says."""
    stamp = f"{sheet.first:%Y%m%d}" if sheet.days == 1 else f"{sheet.first:%Y%m}"
    charset = "utf-8" if trick == "utf8" else "gbk"
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for suffix, make in LAYOUTS[kind].items():
            text = "".join(f"{line}\r\n" for line in _spoilt(make(sheet), trick))
            archive.writestr(_GbkName(f"{sheet.account}_{stamp}_{suffix}.csv"), text.encode(charset, errors="replace"))
    content = whole.getvalue()
    return content[: len(content) * 2 // 3] if trick == "truncated_zip" else content


class _GbkName(zipfile.ZipInfo):
    """An entry whose name is GBK without the flag that says UTF-8, as the real archives have it."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename, date_time=(2026, 1, 1, 0, 0, 0))
        self.compress_type = zipfile.ZIP_DEFLATED

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile's own name for it
        return self.filename.encode("gbk"), self.flag_bits


def _spoilt(lines: Iterable[str], trick: str) -> list[str]:
    if trick == "bomb":
        return [*lines, *[""] * BOMB_LINES]
    return [line for line in lines if trick != "no_end_marker" or "结束----" not in line]


def _cell(text: str) -> str:
    """Cells end with a TAB, so that a spreadsheet leaves long numbers alone."""
    plain = text.replace(",", " ").replace("\r", " ").replace("\n", " ")
    return f"{plain}\t"


def _row(cells: Iterable[str]) -> str:
    return ",".join(map(_cell, cells))


def _is_back(entry: Entry) -> bool:
    return entry.refund is not None or entry.is_reversal


def _detail(sheet: Sheet) -> list[str]:
    paid = [entry for entry in sheet.entries if not _is_back(entry)]
    back = [entry for entry in sheet.entries if _is_back(entry)]
    return [
        "#支付宝业务明细查询",
        *sheet.head,
        "#-----------------------------------------业务明细列表----------------------------------------",
        ",".join(DETAIL),
        *(_row(_detail_cells(entry)) for entry in sheet.entries),
        "#-----------------------------------------业务明细列表结束------------------------------------",
        f"#交易合计：{len(paid)}笔，商家实收共{_sum(paid)}元，商家优惠共0.00元",
        f"#退款合计：{len(back)}笔，商家实收退款共{_sum(back, sign=-1)}元，商家优惠退款共0.00元",
        sheet.exported,
    ]


def _detail_cells(entry: Entry) -> list[str]:
    back = _is_back(entry)
    sign = -1 if back else 1
    amount, zero = yuan(entry.amount_fen, sign=sign), yuan(0)
    return [
        entry.trade_no,
        entry.out_trade_no,
        "退款" if back else "交易",
        entry.order.description,
        local(entry.order.created_at),
        local(entry.at),
        str(entry.order.facts.get("store_id", "")),
        *("", "", ""),
        PAYER_ACCOUNT,
        amount,
        amount,
        *(zero, zero, zero, zero, zero),
        "",
        *(zero, zero),
        _request_no(entry),
        yuan(entry.fee_fen, sign=-sign),
        zero,
        entry.refund.reason if entry.refund else "",
    ]


def _request_no(entry: Entry) -> str:
    """The merchant's number of the refund; a cancelled payment has none of its own."""
    if entry.refund is not None:
        return entry.refund.out_refund_no
    return entry.out_trade_no if entry.is_reversal else ""


def _summary(sheet: Sheet) -> list[str]:
    stores = sorted({str(entry.order.facts.get("store_id", "")) for entry in sheet.entries})
    by_store = {
        store: [entry for entry in sheet.entries if str(entry.order.facts.get("store_id", "")) == store]
        for store in stores
    }
    return [
        "#支付宝业务汇总查询",
        *sheet.head,
        "#-----------------------------------------业务汇总列表----------------------------------------",
        ",".join(SUMMARY),
        *(_row(_summary_cells(store, found)) for store, found in by_store.items()),
        _row(_summary_cells("合计", sheet.entries)),
        "#----------------------------------------业务汇总列表结束-------------------------------------",
        sheet.exported,
    ]


def _summary_cells(store: str, found: Sequence[Entry]) -> list[str]:
    paid = sum(entry.amount_fen for entry in found if not _is_back(entry))
    back = sum(entry.amount_fen for entry in found if _is_back(entry))
    fees = sum(entry.fee_fen if _is_back(entry) else -entry.fee_fen for entry in found)
    net, zero = paid - back, yuan(0)
    counts = [sum(not _is_back(entry) for entry in found), sum(_is_back(entry) for entry in found)]
    return [store, "", *map(str, counts), yuan(net), yuan(net), zero, zero, zero, yuan(fees), zero, yuan(net + fees)]


def _sum(found: Sequence[Entry], *, sign: int = 1) -> str:
    return yuan(sum(entry.amount_fen for entry in found), sign=sign)


def _movement_rows(sheet: Sheet) -> list[tuple[Entry, str, int]]:
    """(entry, 业务类型, fen with its sign): the money, and its fee as a movement of its own."""
    rows = []
    for entry in sheet.entries:
        sign = -1 if _is_back(entry) else 1
        rows.append((entry, "退款" if sign < 0 else "在线支付", sign * entry.amount_fen))
        if entry.fee_fen:
            rows.append((entry, "收费退回" if sign < 0 else "收费", -sign * entry.fee_fen))
    return rows


def _movements(sheet: Sheet) -> list[str]:
    balance, lines = OPENING_BALANCE_FEN, []
    rows = _movement_rows(sheet)
    for index, (entry, kind, fen) in enumerate(rows):
        balance += fen
        lines.append(_row(_movement_cells(entry, kind, fen, number=index, balance=balance)))
    paid, back = [fen for _, _, fen in rows if fen > 0], [fen for _, _, fen in rows if fen < 0]
    return [
        "#支付宝账务明细查询",
        *sheet.head,
        "#-----------------------------------------账务明细列表----------------------------------------",
        ",".join(MOVEMENTS),
        *lines,
        "#-----------------------------------------账务明细列表结束------------------------------------",
        f"#支出合计：{len(back)}笔，共{yuan(sum(back))}元",
        f"#收入合计：{len(paid)}笔，共{yuan(sum(paid))}元",
        sheet.exported,
    ]


def _movement_cells(entry: Entry, kind: str, fen: int, *, number: int, balance: int) -> list[str]:
    """Income and outgo have a column each; the outgo is negative."""
    return [
        f"{entry.trade_no}{number:03d}",
        entry.trade_no,
        entry.out_trade_no,
        entry.order.description,
        local(entry.at),
        PAYER_ACCOUNT,
        yuan(max(fen, 0)),
        yuan(min(fen, 0)),
        yuan(balance),
        "支付宝",
        kind,
        entry.refund.reason if entry.refund else "",
    ]


def _movement_summary(sheet: Sheet) -> list[str]:
    rows = _movement_rows(sheet)
    lines = []
    for kind in sorted({kind for _, kind, _ in rows}):
        mine = [fen for _, found, fen in rows if found == kind]
        paid, back = [fen for fen in mine if fen > 0], [fen for fen in mine if fen < 0]
        lines.append(_row([kind, str(len(paid)), yuan(sum(paid)), str(len(back)), yuan(sum(back)), yuan(sum(mine))]))
    return [
        "#支付宝账务汇总查询",
        *sheet.head,
        "#-----------------------------------------账务汇总列表----------------------------------------",
        ",".join(MOVEMENT_SUMMARY),
        *lines,
        "#-----------------------------------------账务汇总列表结束------------------------------------",
        sheet.exported,
    ]


LAYOUTS: Mapping[str, Mapping[str, Callable[[Sheet], list[str]]]] = {
    "trade": {"业务明细": _detail, "业务明细(汇总)": _summary},
    "signcustomer": {"账务明细": _movements, "账务明细(汇总)": _movement_summary},
}
