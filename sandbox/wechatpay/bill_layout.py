"""The columns of WeChat Pay's bills and the bytes of the file (reference A.11, vector wx-bill-sha1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.bills import BOMB_LINES, Entry, local, yuan
from sandbox.models import Refund
from sandbox.wechatpay.bodies import TRADE_TYPES

BOM = b"\xef\xbb\xbf"
OPENING_BALANCE_FEN = 1_000_000
_ALL_LINE = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
_ALL = _ALL_LINE.split(",")
_OF_REFUNDS = ["微信退款单号", "商户退款单号", "退款金额", "充值券退款金额", "退款类型", "退款状态", "申请退款金额"]
_TIMES = ["退款申请时间", "退款成功时间"]
_VOUCHER = _ALL.index("代金券金额") + 1
COLUMNS: Mapping[str, Sequence[str]] = {
    "ALL": _ALL,
    "SUCCESS": [name for name in _ALL if name not in _OF_REFUNDS],
    "REFUND": [*_ALL[:_VOUCHER], *_TIMES, *_ALL[_VOUCHER:]],
}
_SUMMARY = [
    "总交易单数",
    "应结订单总金额",
    "退款总金额",
    "充值券退款总金额",
    "手续费总金额",
    "订单总金额",
    "申请退款总金额",
]
_SUMMARY_OF_SUCCESS = ["总交易单数", "应结订单总金额", "手续费总金额", "订单总金额"]
_FUND_FLOW_LINE = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
FUND_FLOW = _FUND_FLOW_LINE.split(",")
_FUND_SUMMARY = ["资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额"]
_REFUND_WORDS = {Refund.SUCCESS: "SUCCESS", Refund.PROCESSING: "PROCESSING", Refund.ABNORMAL: "CHANGE"}


@dataclass(frozen=True, kw_only=True)
class Lines:
    """A bill as cells: header, rows, and the one row of sums under its own header."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    summary_header: Sequence[str]
    summary: Sequence[str]


def trade(found: Sequence[Entry], *, kind: str) -> Lines | None:
    """The trade bill ALL, SUCCESS or REFUND; None without a row."""
    wanted = [entry for entry in found if kind == "ALL" or _is_back(entry) == (kind == "REFUND")]
    if not wanted:
        return None
    rows = [[_cells(entry)[name] for name in COLUMNS[kind]] for entry in wanted]
    sums = _sums(wanted)
    header = _SUMMARY_OF_SUCCESS if kind == "SUCCESS" else _SUMMARY
    return Lines(header=COLUMNS[kind], rows=rows, summary_header=header, summary=[sums[name] for name in header])


def fund_flow(found: Sequence[Entry]) -> Lines | None:
    """Every movement of the account, the fee of a payment as one of its own; a refund goes out without its fee."""
    if not found:
        return None
    rows: list[list[str]] = []
    balance, sums = OPENING_BALANCE_FEN, {"收入": [0, 0], "支出": [0, 0]}
    for entry in found:
        for name, kind, direction, fen in _movements(entry):
            balance += fen if direction == "收入" else -fen
            sums[direction] = [sums[direction][0] + 1, sums[direction][1] + fen]
            rows.append(_flow_cells(entry, name, kind, direction, yuan(fen), yuan(balance)))
    income, outgo = sums["收入"], sums["支出"]
    summary = [str(len(rows)), str(income[0]), yuan(income[1]), str(outgo[0]), yuan(outgo[1])]
    return Lines(header=FUND_FLOW, rows=rows, summary_header=_FUND_SUMMARY, summary=summary)


def encoded(lines: Lines, *, trick: str = "") -> bytes:
    """The bytes of the file, spoilt in the layout as `trick` says."""
    header, rows, summary = list(lines.header), [list(row) for row in lines.rows], list(lines.summary)
    if trick == "extra_column":
        header.insert(1, "新增列")
        rows = [[row[0], "", *row[1:]] for row in rows]
    if trick == "float_count":
        summary[0] = f"{summary[0]}.0"
    text = [",".join(header), *map(_ticked, rows), ",".join(lines.summary_header), _ticked(summary)]
    if trick == "bomb":
        text[1:1] = [""] * BOMB_LINES
    return BOM + "".join(f"{line}\r\n" for line in text).encode()


def _ticked(cells: Sequence[str]) -> str:
    return ",".join(f"`{cell}" for cell in cells)


def _plain(text: str) -> str:
    """Free text has no commas and no line ends in a bill."""
    return text.replace(",", "\\ ").replace("\r", " ").replace("\n", " ")


def _is_back(entry: Entry) -> bool:
    return entry.refund is not None or entry.is_reversal


def _cells(entry: Entry) -> dict[str, str]:
    """Every column by its name."""
    order, back = entry.order, _is_back(entry)
    amount, nothing = yuan(entry.amount_fen), yuan(0)
    return {
        "交易时间": local(entry.at),
        "公众账号ID": order.appid,
        "商户号": order.mchid,
        "特约商户号": order.sub_mchid or "0",
        "设备号": "",
        "微信订单号": entry.trade_no,
        "商户订单号": entry.out_trade_no,
        "用户标识": order.openid,
        "交易类型": TRADE_TYPES[order.product],
        "交易状态": "REVOKED" if entry.is_reversal else "REFUND" if back else "SUCCESS",
        "付款银行": "OTHERS",
        "货币种类": "CNY",
        "应结订单金额": nothing if back else amount,
        "代金券金额": nothing,
        "充值券退款金额": nothing,
        "商品名称": _plain(order.description),
        "商户数据包": _plain(order.attach),
        "手续费": f"{'-' if back and entry.fee_fen else ''}{yuan(entry.fee_fen)}000",
        "费率": "0.60%",
        "订单金额": nothing if back else amount,
        "费率备注": "",
        "退款金额": amount if back else nothing,
        "申请退款金额": amount if back else nothing,
    } | _refund_cells(entry)


def _refund_cells(entry: Entry) -> dict[str, str]:
    refund = entry.refund
    if refund is None:
        empty = {"微信退款单号": "0", "商户退款单号": "0"}
        return empty | dict.fromkeys((*_TIMES, "退款类型", "退款状态"), "")
    return {
        "微信退款单号": str(refund.refund_id),
        "商户退款单号": refund.out_refund_no,
        "退款类型": "ORIGINAL",
        "退款状态": _REFUND_WORDS.get(refund.status, "FAIL"),
        "退款申请时间": local(refund.created_at),
        "退款成功时间": local(refund.success_time),
    }


def _sums(found: Sequence[Entry]) -> dict[str, str]:
    paid = sum(entry.amount_fen for entry in found if not _is_back(entry))
    back = sum(entry.amount_fen for entry in found if _is_back(entry))
    fees = sum(-entry.fee_fen if _is_back(entry) else entry.fee_fen for entry in found)
    return {
        "总交易单数": str(len(found)),
        "应结订单总金额": yuan(paid),
        "退款总金额": yuan(back),
        "充值券退款总金额": yuan(0),
        "手续费总金额": f"{yuan(fees)}000",
        "订单总金额": yuan(paid),
        "申请退款总金额": yuan(back),
    }


def _movements(entry: Entry) -> list[tuple[str, str, str, int]]:
    """(业务名称, 业务类型, 收支类型, fen)"""
    if _is_back(entry):
        return [("退款", "退款", "支出", entry.amount_fen - entry.fee_fen)]
    paid = ("交易", "交易", "收入", entry.amount_fen)
    return [paid, ("扣除交易手续费", "扣除交易手续费", "支出", entry.fee_fen)] if entry.fee_fen else [paid]


def _flow_cells(entry: Entry, name: str, kind: str, direction: str, amount: str, balance: str) -> list[str]:
    business = str(entry.refund.refund_id) if entry.refund else entry.trade_no
    voucher = entry.refund.out_refund_no if entry.refund else entry.out_trade_no
    remark = f"退款总金额{yuan(entry.amount_fen)}元;含手续费{yuan(entry.fee_fen)}元" if _is_back(entry) else ""
    moved = f"{business}{0 if kind != '扣除交易手续费' else 1}"
    return [local(entry.at), entry.trade_no, moved, name, kind, direction, amount, balance, "system", remark, voucher]
