"""Bills as others write them: any order of columns, unknown columns, odd lines; every fen exact, no row lost."""

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.channels.alipay import bill_reading as alipay
from payments.channels.bill_cells import UNREADABLE_MAX, ours_or_foreign, units
from payments.channels.bills import BillEnd, BillSpoiled, BillWish, FlowRow, Tally, TradeRow, UnreadableRow
from payments.channels.days import BEIJING, day_bounds, day_of
from payments.channels.wechatpay import bill_reading as wechatpay
from payments.states import BillKind

DAY = date(2026, 3, 2)
MCHID, SELLER = "1900000001", "2088000000000001"
VECTOR = next(
    vector
    for vector in json.loads((Path(__file__).parents[2] / "vectors.json").read_text(encoding="utf-8"))["vectors"]
    if vector["id"] == "wx-bill-sha1"
)
WECHATPAY_HEADER = VECTOR["bill_text_lf"].splitlines()[0].split(",")
WECHATPAY_SUMS = VECTOR["bill_text_lf"].splitlines()[-2].split(",")
_ALIPAY_LINE = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,"
    "卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
ALIPAY_HEADER = _ALIPAY_LINE.split(",")


def read_wechatpay(content, *, kind=BillKind.TRADE, mchid=MCHID):
    return list(wechatpay.read(content.splitlines(keepends=True), kind=kind, settings={"mchid": mchid}))


def read_alipay(*files, kind=BillKind.TRADE, day=DAY, seller_id=SELLER):
    lines = [iter(content.splitlines(keepends=True)) for content in files]
    return list(alipay.read(lines, wish=BillWish(kind=kind, day=day), settings={"seller_id": seller_id}))


def wechatpay_file(header, rows, *, sums=None):
    """Bytes as they write them; each row and the sums are cells by the name of their column."""
    if sums is None:
        paid = sum(Decimal(row["订单金额"]) for row in rows)
        back = sum(Decimal(row["申请退款金额"]) for row in rows)
        fees = sum(Decimal(row["手续费"]) for row in rows)
        sums = [len(rows), paid, back, "0.00", fees, paid, back]
    lines = [",".join(header), *(",".join(f"`{row.get(name, '')}" for name in header) for row in rows)]
    lines += [",".join(WECHATPAY_SUMS), ",".join(f"`{value}" for value in sums)]
    return b"\xef\xbb\xbf" + "".join(f"{line}\r\n" for line in lines).encode()


def wechatpay_row(**changes):
    return {
        "交易时间": "2026-03-02 23:59:59", "公众账号ID": "wx1", "商户号": MCHID, "特约商户号": "0",
        "微信订单号": "4200000001", "商户订单号": "250428769968324730", "用户标识": "o1", "交易类型": "JSAPI",
        "交易状态": "SUCCESS", "货币种类": "CNY", "应结订单金额": "40.30", "代金券金额": "0.00", "微信退款单号": "0",
        "商户退款单号": "0", "退款金额": "0.00", "充值券退款金额": "0.00", "商品名称": "two coffees",
        "手续费": "0.24180", "费率": "0.60%", "订单金额": "40.30", "申请退款金额": "0.00",
    } | changes  # fmt: skip


def refund_row(**changes):
    return wechatpay_row(
        **{
            "交易状态": "REFUND", "应结订单金额": "0.00", "订单金额": "0.00", "微信退款单号": "5030001",
            "商户退款单号": "250428769968324731", "退款金额": "10.30", "申请退款金额": "10.30", "退款类型": "ORIGINAL",
            "退款状态": "SUCCESS", "手续费": "-0.06180",
        }
        | changes
    )  # fmt: skip


def alipay_file(header, rows, *, encoding="gbk", end=True, sums=True, head=(), tab="\t"):
    lines = [
        "#支付宝业务明细查询",
        *(
            head
            or (f"#账号：[{SELLER}0156]", "#起始日期：[2026年03月02日 00:00:00]   终止日期：[2026年03月03日 00:00:00]")
        ),
        "#-----------------------------------------业务明细列表----------------------------------------",
        ",".join(header),
        *(",".join(f"{row.get(name, '')}{tab}" for name in header) for row in rows),
    ]
    if end:
        lines.append("#-----------------------------------------业务明细列表结束------------------------------------")
    if sums:
        paid = [Decimal(row["商家实收（元）"]) for row in rows if row["业务类型"] == "交易"]
        back = [Decimal(row["商家实收（元）"]) for row in rows if row["业务类型"] == "退款"]
        lines += [
            f"#交易合计：{len(paid)}笔，商家实收共{sum(paid, Decimal('0.00'))}元，商家优惠共0.00元",
            f"#退款合计：{len(back)}笔，商家实收退款共{sum(back, Decimal('0.00'))}元，商家优惠退款共0.00元",
        ]
    lines.append("#导出时间：[2026年03月03日 09:10:00]")
    return "".join(f"{line}\r\n" for line in lines).encode(encoding)


def alipay_row(**changes):
    return {
        "支付宝交易号": "2026030222001400000500000001", "商户订单号": "250428769968324730", "业务类型": "交易",
        "商品名称": "两杯咖啡", "创建时间": "2026-03-02 12:00:00", "完成时间": "2026-03-02 12:00:09",
        "订单金额（元）": "40.30", "商家实收（元）": "40.30", "退款批次号/请求号": "", "服务费（元）": "-0.24",
    } | changes  # fmt: skip


def test_the_recorded_bill_of_a_live_merchant_is_read_and_adds_up():
    content = b"\xef\xbb\xbf" + VECTOR["bill_text_lf"].replace("\n", "\r\n").encode()
    assert hashlib.sha1(content).hexdigest() == VECTOR["expected_hash_value"]
    *rows, end = read_wechatpay(content, mchid="1601959334")
    assert [(row.kind, row.amount_fen, row.fee_millifen, row.foreign_no) for row in rows] == [
        ("payment", 1, 0, "S20210128170702357723"),
        ("payment", 1, 0, "S20210128153505214586"),
        ("payment", 1, 0, "S20210128165824499930"),
    ]
    assert rows[0].at == datetime(2021, 1, 28, 9, 7, 11, tzinfo=UTC)
    assert end.told == {
        "count": 3, "paid_fen": 3, "settled_paid_fen": 3, "refunded_fen": 0, "settled_refunded_fen": 0,
        "fee_millifen": 0,
    }  # fmt: skip
    assert Tally.of(iter([*rows, end])).is_sound


NUMBERS = st.integers(1, 2**63 - 1)
AMOUNTS = st.integers(0, 10**10)


@st.composite
def payments_and_refunds(draw):
    """Our words for some rows of one bill, to be written in a channel's."""
    count = draw(st.integers(1, 6))
    return [
        {
            "payment_no": draw(NUMBERS), "refund_no": draw(NUMBERS) if draw(st.booleans()) else 0,
            "amount_fen": draw(AMOUNTS), "settled_fen": draw(AMOUNTS), "fee": draw(st.integers(0, 10**8)),
        }
        for _ in range(count)
    ]  # fmt: skip


def yuan(units_count, places=2):
    return f"{Decimal(units_count).scaleb(-places):.{places}f}"


@given(
    facts=payments_and_refunds(), order=st.permutations(WECHATPAY_HEADER),
    more=st.lists(st.sampled_from(["新增列", "x", "备用", "订单金额2"]), max_size=3, unique=True),
)  # fmt: skip
def test_wechat_pays_columns_may_stand_in_any_order_and_between_others(facts, order, more):
    header = [*order[:5], *more, *order[5:]]
    rows = [_as_wechatpay(one) for one in facts]
    sums = [
        f"{len(rows)}.0",
        *(sum(Decimal(row[name]) for row in rows) for name in ("应结订单金额", "退款金额")), "0.00",
        *(sum(Decimal(row[name]) for row in rows) for name in ("手续费", "订单金额", "申请退款金额")),
    ]  # fmt: skip
    *read, end = read_wechatpay(wechatpay_file(header, rows, sums=sums))
    _same(read, facts)
    assert Tally.of(iter([*read, end])).is_sound


def _as_wechatpay(one):
    amount, settled, fee = yuan(one["amount_fen"]), yuan(one["settled_fen"]), yuan(one["fee"], 5)
    number = one["payment_no"]
    if one["refund_no"]:
        return refund_row(
            商户订单号=number, 商户退款单号=one["refund_no"], 申请退款金额=amount, 退款金额=settled, 手续费=f"-{fee}"
        )
    return wechatpay_row(商户订单号=number, 订单金额=amount, 应结订单金额=settled, 手续费=fee)


@given(
    facts=payments_and_refunds(), order=st.permutations(ALIPAY_HEADER), tab=st.sampled_from(["\t", ""]),
    more=st.lists(st.sampled_from(["新增列", "x", "备用"]), max_size=2, unique=True),
    encoding=st.sampled_from(["gbk", "utf-8", "utf-8-sig"]),
)  # fmt: skip
def test_alipays_columns_may_stand_in_any_order_and_in_either_encoding(facts, order, tab, more, encoding):
    header = [*order[:5], *more, *order[5:]]
    rows = [_as_alipay(one) for one in facts]
    *read, end = read_alipay(alipay_file(header, rows, encoding=encoding, tab=tab))
    _same(read, facts)
    assert Tally.of(iter([*read, end])).is_sound


def _as_alipay(one):
    sign, fee = "-" if one["refund_no"] else "", yuan(one["fee"], 5)
    return alipay_row(
        **{
            "商户订单号": one["payment_no"],
            "业务类型": "退款" if one["refund_no"] else "交易",
            "退款批次号/请求号": one["refund_no"] or "",
            "订单金额（元）": sign + yuan(one["amount_fen"]),
            "商家实收（元）": sign + yuan(one["settled_fen"]),
            "服务费（元）": fee if sign else f"-{fee}",
        }
    )


def _same(read, facts):
    assert [type(row) for row in read] == [TradeRow] * len(facts)
    for row, one in zip(read, facts, strict=True):
        is_back = bool(one["refund_no"]) and one["refund_no"] != one["payment_no"]
        assert row.payment_no == one["payment_no"]
        assert row.refund_no == (one["refund_no"] if is_back else 0) or not row.foreign_refund_no
        assert (row.amount_fen, row.settled_fen) == (one["amount_fen"], one["settled_fen"])
        assert row.fee_millifen == (-one["fee"] if one["refund_no"] else one["fee"])


@given(st.integers(-(10**12), 10**12), st.sampled_from([0, 2, 5]))
def test_an_amount_is_exactly_what_is_written(value, places):
    assert units(yuan(value, places) if places else str(value), places=places) == value


@pytest.mark.parametrize(
    "text", ["", "1,00", "１.00", "1e3", "NaN", "0.001", ".5", "5.", "--1", "1 2", "9" * 14, "٣", "0x1", "1_0"]
)
def test_what_is_no_amount_in_fen_is_none(text):
    assert units(text, places=2) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250428769968324730", (250428769968324730, "")),
        (str(2**63 - 1), (2**63 - 1, "")),
        (str(2**63), (0, str(2**63))),
        ("0250428769968324730", (0, "0250428769968324730")),
        ("S20210128", (0, "S20210128")),
        ("", (0, "")),
    ],
)
def test_a_number_is_ours_only_as_we_write_it(text, expected):
    assert ours_or_foreign(text) == expected


ODD_ROWS = {
    "no amount": {"订单金额": "four"},
    "a part of a fen": {"订单金额": "40.301"},
    "negative": {"订单金额": "-40.30"},
    "no time": {"交易时间": "yesterday"},
    "unknown state": {"交易状态": "MAYBE"},
    "somebody else's": {"商户号": "1900000002"},
    "a number that is none": {"商户订单号": "两杯"},
    "a comma and a backtick in free text": {"商品名称": "a,`b"},
    "a fee below a thousandth of a fen": {"手续费": "0.000001"},
}


@pytest.mark.parametrize("changes", ODD_ROWS.values(), ids=ODD_ROWS)
def test_a_row_that_cannot_be_read_is_kept_as_it_stands_and_costs_no_other_row(changes):
    rows = [wechatpay_row(), wechatpay_row(**changes), refund_row()]
    sums = ["3", "80.60", "10.30", "0.00", "0.42180", "80.60", "10.30"]
    first, odd, last, end = read_wechatpay(wechatpay_file(WECHATPAY_HEADER, rows, sums=sums))
    assert (first.kind, last.kind) == ("payment", "refund")
    assert isinstance(odd, UnreadableRow)
    assert odd.line_no == 3
    assert next(iter(changes.values())).split(",`")[0] in odd.text
    assert not Tally.of(iter([first, odd, last, end])).is_sound


def test_a_bad_byte_makes_one_row_unreadable_and_not_the_file():
    content = wechatpay_file(WECHATPAY_HEADER, [wechatpay_row(), wechatpay_row(商品名称="XX")])
    first, odd, _ = read_wechatpay(content.replace(b"XX", b"\xff\0"))
    assert isinstance(first, TradeRow)
    assert (odd.reason, "\0" in odd.text, "\ufffd" in odd.text) == ("a character that is none", False, True)


def test_a_comma_in_free_text_and_blank_lines_do_no_harm():
    content = wechatpay_file(WECHATPAY_HEADER, [wechatpay_row(商品名称="two, coffees")])
    assert isinstance(read_wechatpay(content.replace(b"\r\n", b"\r\n\r\n", 2))[0], TradeRow)
    row = read_alipay(alipay_file(ALIPAY_HEADER, [alipay_row(商品名称="two, coffees")]))[0]
    assert (row.amount_fen, row.payment_no) == (4030, 250428769968324730)


def test_a_bill_full_of_rows_that_cannot_be_read_has_a_layout_that_we_do_not_know():
    rows = [wechatpay_row(订单金额="x", 申请退款金额="0.00")] * (UNREADABLE_MAX + 1)
    with pytest.raises(BillSpoiled, match="too many lines"):
        read_wechatpay(wechatpay_file(WECHATPAY_HEADER, rows, sums=["1"] * 7))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xef\xbb\xbf", b"<html>502</html>\r\n", b"\x00\x01\x02",
        wechatpay_file(WECHATPAY_HEADER[1:], [wechatpay_row()]),
        b"\r\n".join(wechatpay_file(WECHATPAY_HEADER, [wechatpay_row()]).split(b"\r\n")[:2]),
        b"\r\n".join(wechatpay_file(WECHATPAY_HEADER, [wechatpay_row()]).split(b"\r\n")[:3]),
    ],
    ids=["nothing", "only a mark", "a page", "bytes", "no column for the time", "no sums", "no values of the sums"],
)  # fmt: skip
def test_what_is_no_whole_bill_of_wechat_pay_is_spoiled(content):
    with pytest.raises(BillSpoiled):
        read_wechatpay(content)


ALIPAY_SPOILED = {
    "nothing": ((), "none of the files"),
    "an empty file": ((b"",), "none of the files"),
    "only the summary": (("#支付宝业务汇总查询\r\n#----业务汇总列表----\r\n".encode("gbk"),), "none of the files"),
    "no end": ((alipay_file(ALIPAY_HEADER, [alipay_row()], end=False),), "without its marker"),
    "cut off": ((alipay_file(ALIPAY_HEADER, [alipay_row()], end=False, sums=False)[:-40],), "without its marker"),
    "another account's": (
        (alipay_file(ALIPAY_HEADER, [alipay_row()], head=["#账号：[20880000000000990156]"]),),
        "another account",
    ),
    "another day's": (
        (alipay_file(ALIPAY_HEADER, [alipay_row()], head=["#起始日期：[2026年03月01日 00:00:00]"]),),
        "another day",
    ),
    "a column is gone": ((alipay_file(ALIPAY_HEADER[1:], [alipay_row()]),), "no column"),
}


@pytest.mark.parametrize(("files", "why"), ALIPAY_SPOILED.values(), ids=ALIPAY_SPOILED)
def test_what_is_no_whole_bill_of_alipay_is_spoiled(files, why):
    with pytest.raises(BillSpoiled, match=why):
        read_alipay(*files)


def test_alipays_refund_without_a_number_of_its_own_is_a_payment_that_was_taken_back():
    for number in ("", "250428769968324730"):
        taken_back = {
            "业务类型": "退款",
            "订单金额（元）": "-40.30",
            "商家实收（元）": "-40.30",
            "服务费（元）": "0.24",
        }
        row = alipay_row(**taken_back, **{"退款批次号/请求号": number})
        paid, back, end = read_alipay(alipay_file(ALIPAY_HEADER, [alipay_row(), row]))
        assert (back.kind, back.amount_fen, back.fee_millifen, back.refund_no) == ("reversal", 4030, -24_000, 0)
        assert Tally.of(iter([paid, back, end])).is_sound


def test_what_differs_from_one_download_to_the_next_does_not_make_another_bill():
    once = alipay_file(ALIPAY_HEADER, [alipay_row()])
    again = once.replace(b"09:10:00", b"11:45:10")
    other = once.replace(b"40.30", b"40.31")
    digests = [read_alipay(content)[-1].digest for content in (once, again, other)]
    assert digests[0] == digests[1] != digests[2]
    assert read_alipay(alipay_file(ALIPAY_HEADER, [alipay_row()], encoding="utf-8"))[-1].digest == digests[0]


def test_alipays_details_may_come_in_several_files_and_each_line_has_a_number_of_its_own():
    one, other = (alipay_file(ALIPAY_HEADER, [alipay_row(商户订单号=number)]) for number in ("1", "2"))
    first, second, end = read_alipay(one, "#支付宝业务汇总查询\r\n#---业务汇总列表---\r\n".encode("gbk"), other)
    assert (first.payment_no, second.payment_no, end.told["paid_count"]) == (1, 2, 2)
    assert first.line_no < second.line_no


@pytest.mark.parametrize(
    ("sums", "name"),
    [
        (["2", "40.30", "0.00", "0.00", "0.24180", "40.30", "0.00"], "count"),
        (["1", "40.30", "0.00", "0.00", "0.24180", "40.31", "0.00"], "paid_fen"),
        (["1", "40.30", "0.00", "0.00", "0.24181", "40.30", "0.00"], "fee_millifen"),
    ],
)
def test_sums_that_the_rows_do_not_have_are_noticed(sums, name):
    tally = Tally.of(iter(read_wechatpay(wechatpay_file(WECHATPAY_HEADER, [wechatpay_row()], sums=sums))))
    assert (tally.is_sound, list(tally.differences())) == (False, [name])


def test_the_fund_flows_rows_are_signed():
    header = [
        "记账时间", "微信支付业务单号", "资金流水单号", "业务名称", "业务类型", "收支类型", "收支金额(元)",
        "账户结余(元)", "资金变更提交申请人", "备注", "业务凭证号",
    ]  # fmt: skip
    lines = [
        ",".join(header),
        "`2026-03-02 00:00:00,`4200,`F1,`交易,`交易,`收入,`40.30,`140.30,`system,`a,`250428769968324730",
        "`2026-03-02 00:00:01,`4200,`F2,`提现,`提现,`支出,`50.00,`-9.70,`system,`,`",
        "`2026-03-02 00:00:02,`4200,`F3,`x,`x,`其他,`50.00,`-9.70,`system,`,`",
        "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额",
        "`3,`1,`40.30,`1,`50.00",
    ]
    content = b"\xef\xbb\xbf" + "".join(f"{line}\r\n" for line in lines).encode()
    income, outgo, odd, end = read_wechatpay(content, kind=BillKind.FUND_FLOW)
    assert isinstance(income, FlowRow)
    assert (income.amount_fen, income.balance_fen, income.voucher_no) == (4030, 14_030, "250428769968324730")
    assert (outgo.amount_fen, outgo.balance_fen, odd.reason) == (-5000, -970, "unknown 收支类型")
    assert isinstance(end, BillEnd)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001 - made aware below
def test_a_moment_is_on_the_day_that_beijings_clocks_show(naive):
    moment = naive.replace(tzinfo=BEIJING)
    start, after = day_bounds(naive.date())
    assert day_of(moment.astimezone(UTC)) == naive.date()
    assert start <= moment < after
    assert after - start == timedelta(days=1)
