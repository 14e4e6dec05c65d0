"""Alipay's bills: a zip of GBK files, made of the sandbox's own trades, and everything that can be wrong in them."""

import io
import zipfile
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
import requests

from tests.sandbox.alipay_callers import BEIJING, AlipayCaller
from tests.sandbox.callers import new_number

METHOD = "alipay.data.dataservice.bill.downloadurl.query"


def today(caller: AlipayCaller) -> str:
    now = datetime.fromisoformat(caller.sandbox.control.get("clock")["now"]).astimezone(BEIJING)
    return f"{now:%Y-%m-%d}"


def tomorrow_at_ten(caller: AlipayCaller) -> None:
    now = datetime.fromisoformat(caller.sandbox.control.get("clock")["now"]).astimezone(BEIJING)
    at = (now + timedelta(days=1)).replace(hour=10, minute=0, second=0, microsecond=0)
    caller.sandbox.control.post("clock", {"to": at.isoformat()})


def asked(caller: AlipayCaller, day: str, kind: str = "trade") -> dict[str, str]:
    return caller.call(METHOD, {"bill_type": kind, "bill_date": day})


def downloaded(caller: AlipayCaller, day: str, kind: str = "trade") -> dict[str, str]:
    """Every file of the bill by the end of its name, as text."""
    url = asked(caller, day, kind)["bill_download_url"]
    with zipfile.ZipFile(io.BytesIO(requests.get(url, timeout=10).content)) as archive:
        assert all(info.flag_bits & 0x800 == 0 for info in archive.infolist())
        names = {info.filename.encode("cp437").decode("gbk"): info for info in archive.infolist()}
        return {name.split("_")[-1]: archive.read(info).decode("gbk") for name, info in names.items()}


def rows(text: str) -> list[dict[str, str]]:
    lines = text.split("\r\n")
    start = next(index for index, line in enumerate(lines) if line.startswith("#---") and "结束" not in line)
    header = lines[start + 1].split(",")
    found = []
    for line in lines[start + 2 :]:
        if line.startswith("#"):
            break
        cells = [cell.strip() for cell in line.split(",")]
        assert len(cells) == len(header)
        found.append(dict(zip(header, cells, strict=True)))
    return found


def test_the_bill_of_a_day_lists_payments_and_refunds(alipay: AlipayCaller) -> None:
    day, number = today(alipay), alipay.paid_order()["out_trade_no"]
    alipay.refund(number, "10.00", "R1")
    tomorrow_at_ten(alipay)
    files = downloaded(alipay, day)
    assert set(files) == {"业务明细.csv", "业务明细(汇总).csv"}
    payment, refund = rows(files["业务明细.csv"])
    assert (payment["业务类型"], payment["商户订单号"], payment["订单金额（元）"]) == ("交易", number, "40.30")
    assert (payment["服务费（元）"], payment["退款批次号/请求号"]) == ("-0.24", "")
    assert (refund["业务类型"], refund["退款批次号/请求号"], refund["订单金额（元）"]) == ("退款", "R1", "-10.00")
    lines = files["业务明细.csv"].split("\r\n")
    assert lines[0] == "#支付宝业务明细查询"
    assert lines[1] == f"#账号：[{alipay.identity['seller_id']}0156]"
    assert lines[-4] == "#交易合计：1笔，商家实收共40.30元，商家优惠共0.00元"
    total = rows(files["业务明细(汇总).csv"])[-1]
    assert (total["门店编号"], total["交易订单总笔数"], total["订单金额（元）"]) == ("合计", "1", "30.30")


def test_the_account_bill_moves_the_balance_by_money_and_fees(alipay: AlipayCaller) -> None:
    day, number = today(alipay), alipay.paid_order()["out_trade_no"]
    alipay.refund(number, "10.00", "R1")
    tomorrow_at_ten(alipay)
    found = rows(downloaded(alipay, day, "signcustomer")["账务明细.csv"])
    moved = [(row["业务类型"], row["收入金额（+元）"], row["支出金额（-元）"]) for row in found]
    assert moved == [
        ("在线支付", "40.30", "0.00"),
        ("收费", "0.00", "-0.24"),
        ("退款", "0.00", "-10.00"),
        ("收费退回", "0.06", "0.00"),
    ]
    balances = [Decimal(row["账户余额（元）"]) for row in found]
    assert balances[-1] - balances[0] == Decimal("-10.18")


def test_a_month_can_be_asked_for_after_the_third(alipay: AlipayCaller) -> None:
    month, number = today(alipay)[:7], alipay.paid_order()["out_trade_no"]
    assert asked(alipay, month)["sub_code"] == "isp.bill_not_exist"
    alipay.sandbox.control.advance(35 * 86_400)
    assert rows(downloaded(alipay, month)["业务明细.csv"])[0]["商户订单号"] == number


@pytest.mark.parametrize(("day", "kind"), [("2015-12-31", "trade"), ("x", "trade"), ("2026-01-01", "nothing")])
def test_nonsense_is_refused(alipay: AlipayCaller, day: str, kind: str) -> None:
    assert asked(alipay, day, kind)["sub_code"] == "isv.invaild_arguments"


def test_a_day_without_trades_and_one_that_is_not_ready_look_the_same(alipay: AlipayCaller) -> None:
    alipay.paid_order()
    assert asked(alipay, "2026-01-01")["sub_code"] == "isp.bill_not_exist"
    assert asked(alipay, today(alipay))["sub_code"] == "isp.bill_not_exist"


def test_the_address_is_good_for_thirty_seconds(alipay: AlipayCaller) -> None:
    day, _ = today(alipay), alipay.paid_order()
    tomorrow_at_ten(alipay)
    url = asked(alipay, day)["bill_download_url"]
    assert requests.get(url, timeout=5).status_code == 200
    alipay.sandbox.control.advance(31)
    assert requests.get(url, timeout=5).status_code == 403


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [("bill_truncated_zip", zipfile.BadZipFile), ("bill_utf8", UnicodeDecodeError), ("bill_no_end_marker", None)],
)
def test_the_file_can_be_broken(alipay: AlipayCaller, fault: str, complaint: type[Exception] | None) -> None:
    day, _ = today(alipay), alipay.paid_order()
    tomorrow_at_ten(alipay)
    alipay.sandbox.control.add_fault("bill", fault, channel="alipay")
    if complaint is None:
        assert "业务明细列表结束" not in downloaded(alipay, day)["业务明细.csv"]
        return
    with pytest.raises(complaint):
        downloaded(alipay, day)


@pytest.mark.parametrize(
    ("fault", "count", "total"),
    [
        ("bill_missing_row", 1, "40.30"),
        ("bill_extra_row", 3, "120.90"),
        ("bill_amount_differs", 2, "80.61"),
    ],
)
def test_a_row_can_be_wrong(alipay: AlipayCaller, fault: str, count: int, total: str) -> None:
    day, numbers = today(alipay), {alipay.paid_order()["out_trade_no"] for _ in range(2)}
    tomorrow_at_ten(alipay)
    alipay.sandbox.control.add_fault("bill", fault, channel="alipay")
    found = rows(downloaded(alipay, day)["业务明细.csv"])
    assert len(found) == count
    assert sum(Decimal(row["订单金额（元）"]) for row in found) == Decimal(total)
    assert ({row["商户订单号"] for row in found} <= numbers) is (fault != "bill_extra_row")


def test_13_14_and_15_are_wrong_in_the_bill(alipay: AlipayCaller) -> None:
    day, numbers = today(alipay), {}
    for value in ("13", "14", "15", "30"):
        biz = alipay.order(f"40.{value}", out_trade_no=new_number("A"))
        alipay.create(biz)
        alipay.sandbox.control.pay(biz["out_trade_no"])
        numbers[biz["out_trade_no"]] = value
    tomorrow_at_ten(alipay)
    found = rows(downloaded(alipay, day)["业务明细.csv"])
    told = [(numbers.get(row["商户订单号"], "stranger"), row["服务费（元）"]) for row in found]
    assert sorted(told) == [("14", "-0.24"), ("15", "-0.25"), ("30", "-0.24"), ("stranger", "-0.24")]
