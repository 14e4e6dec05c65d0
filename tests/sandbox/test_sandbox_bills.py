"""WeChat Pay's bills: their bytes, their hash, their columns, when they are there, and everything wrong with them."""

import gzip
import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.sandbox.alipay_callers import BEIJING
from tests.sandbox.callers import Caller

VECTOR = next(
    vector
    for vector in json.loads((Path(__file__).parents[1] / "vectors.json").read_text(encoding="utf-8"))["vectors"]
    if vector["id"] == "wx-bill-sha1"
)


def now(caller: Caller) -> datetime:
    return datetime.fromisoformat(caller.sandbox.control.get("clock")["now"]).astimezone(BEIJING)


def tomorrow_at(caller: Caller, hour: int) -> None:
    at = (now(caller) + timedelta(days=1)).replace(hour=hour, minute=0, second=0, microsecond=0)
    caller.sandbox.control.post("clock", {"to": at.isoformat()})


def asked(caller: Caller, day: str, query: str = "", kind: str = "tradebill") -> Any:
    return caller.send("GET", f"/v3/bill/{kind}?bill_date={day}{query}")


def downloaded(caller: Caller, told: dict[str, str]) -> bytes:
    parts = urlsplit(told["download_url"])
    answer = caller.send("GET", f"{parts.path}?{parts.query}")
    assert answer.status_code == 200, answer.text
    assert "Wechatpay-Signature" not in answer.headers
    return bytes(answer.content)


def lines(content: bytes) -> list[str]:
    assert content.startswith(b"\xef\xbb\xbf")
    text = content.decode("utf-8-sig")
    assert text.endswith("\r\n")
    return text.split("\r\n")[:-1]


def table(content: bytes) -> list[dict[str, str]]:
    found = lines(content)
    header = found[0].split(",")
    rows = [line.split(",") for line in found[1:] if line.startswith("`")][:-1]
    assert all(len(row) == len(header) for row in rows)
    return [{name: cell.removeprefix("`") for name, cell in zip(header, row, strict=True)} for row in rows]


@pytest.fixture
def day(caller: Caller) -> str:
    return f"{now(caller):%Y-%m-%d}"


def test_the_trade_bill_lists_all_and_its_hash_is_of_the_plain_file(caller: Caller, day: str) -> None:
    order = caller.paid_order()
    refund = caller.refund(order, 1030).json()
    tomorrow_at(caller, 10)
    told = asked(caller, day, "&bill_type=ALL&tar_type=GZIP").json()
    content = gzip.decompress(downloaded(caller, told))
    assert (told["hash_type"], told["hash_value"]) == ("SHA1", hashlib.sha1(content).hexdigest())
    assert lines(content)[0] == VECTOR["bill_text_lf"].splitlines()[0]
    payment, back = table(content)
    assert (payment["商户订单号"], payment["订单金额"], payment["手续费"]) == (
        order["out_trade_no"],
        "40.30",
        "0.24000",
    )
    assert (payment["微信退款单号"], payment["交易状态"]) == ("0", "SUCCESS")
    assert (back["商户退款单号"], back["申请退款金额"], back["订单金额"]) == (refund["out_refund_no"], "10.30", "0.00")
    assert (back["交易状态"], back["手续费"]) == ("REFUND", "-0.06000")
    summary = lines(content)[-2:]
    assert summary[0] == VECTOR["bill_text_lf"].splitlines()[-2]
    assert summary[1] == "`2,`40.30,`10.30,`0.00,`0.18000,`40.30,`10.30"


def test_the_real_recorded_bill_has_the_very_layout_that_we_write() -> None:
    text = "".join(f"{line}\r\n" for line in VECTOR["bill_text_lf"].splitlines())
    assert hashlib.sha1(b"\xef\xbb\xbf" + text.encode()).hexdigest() == VECTOR["expected_hash_value"]
    assert len(table(b"\xef\xbb\xbf" + text.encode())) == 3


@pytest.mark.parametrize(("kind", "columns", "count"), [("ALL", 27, 2), ("SUCCESS", 20, 1), ("REFUND", 29, 1)])
def test_each_type_has_its_columns_and_rows(caller: Caller, day: str, kind: str, columns: int, count: int) -> None:
    caller.refund(caller.paid_order(), 1030)
    tomorrow_at(caller, 10)
    content = downloaded(caller, asked(caller, day, f"&bill_type={kind}").json())
    assert (len(lines(content)[0].split(",")), len(table(content))) == (columns, count)


def test_a_reversal_is_a_row_of_its_own(caller: Caller, day: str) -> None:
    order = caller.code_order()
    caller.pay_by_code(order)
    caller.reverse(order["out_trade_no"])
    tomorrow_at(caller, 10)
    states = [row["交易状态"] for row in table(downloaded(caller, asked(caller, day).json()))]
    assert states == ["SUCCESS", "REVOKED"]


def test_the_fund_flow_moves_the_balance_by_money_and_fees(caller: Caller, day: str) -> None:
    caller.refund(caller.paid_order(), 1030)
    tomorrow_at(caller, 10)
    content = downloaded(caller, asked(caller, day, "&account_type=BASIC", kind="fundflowbill").json())
    moved = [(row["业务名称"], row["收支类型"], row["收支金额(元)"]) for row in table(content)]
    assert moved == [
        ("交易", "收入", "40.30"),
        ("扣除交易手续费", "支出", "0.24"),
        ("退款", "支出", "10.24"),
    ]
    assert lines(content)[-1] == "`3,`1,`40.30,`2,`10.48"


def test_the_bill_of_a_sub_merchant_is_asked_for_by_its_number(caller: Caller, day: str) -> None:
    caller.paid_order()
    tomorrow_at(caller, 10)
    sub_mchid = caller.identity["sub_merchants"][0]["sub_mchid"]
    assert asked(caller, day, f"&sub_mchid={sub_mchid}").json()["code"] == "NO_STATEMENT_EXIST"
    assert asked(caller, day, "&sub_mchid=1600999999").json()["code"] == "NO_AUTH"


def test_a_bill_is_there_from_nine_of_the_next_day(caller: Caller, day: str) -> None:
    caller.paid_order()
    assert asked(caller, day).json()["code"] == "INVALID_REQUEST"
    tomorrow_at(caller, 8)
    assert (asked(caller, day).status_code, asked(caller, day).json()["code"]) == (400, "STATEMENT_CREATING")
    caller.sandbox.control.advance(3_600)
    assert asked(caller, day).status_code == 200


def test_a_day_without_trades_has_no_bill(caller: Caller, day: str) -> None:
    tomorrow_at(caller, 10)
    assert (asked(caller, day).status_code, asked(caller, day).json()["code"]) == (400, "NO_STATEMENT_EXIST")


@pytest.mark.parametrize("query", ["&bill_type=NONE", "&tar_type=ZIP", "&more=1"])
def test_wrong_arguments_are_refused(caller: Caller, day: str, query: str) -> None:
    tomorrow_at(caller, 10)
    assert asked(caller, day, query).json()["code"] == "PARAM_ERROR"
    assert asked(caller, "2020-01-01").json()["code"] == "INVALID_REQUEST"
    assert asked(caller, "yesterday").json()["code"] == "PARAM_ERROR"


def test_the_address_is_good_for_five_minutes(caller: Caller, day: str) -> None:
    caller.paid_order()
    tomorrow_at(caller, 10)
    told = asked(caller, day).json()
    downloaded(caller, told)
    caller.sandbox.control.advance(301)
    parts = urlsplit(told["download_url"])
    assert caller.send("GET", f"{parts.path}?{parts.query}").status_code == 400
    assert caller.send("GET", f"{parts.path}?token=x").status_code == 400
    assert caller.send("GET", f"{parts.path}?{parts.query}", signature="AAAA").status_code == 401


def test_a_wrong_hash_is_not_that_of_the_file(caller: Caller, day: str) -> None:
    caller.paid_order()
    tomorrow_at(caller, 10)
    caller.sandbox.control.add_fault("bill", "bill_wrong_hash")
    told = asked(caller, day).json()
    assert hashlib.sha1(downloaded(caller, told)).hexdigest() != told["hash_value"]


def test_a_bill_may_not_be_ready_a_few_times(caller: Caller, day: str) -> None:
    caller.paid_order()
    tomorrow_at(caller, 10)
    caller.sandbox.control.add_fault("bill", "bill_not_ready", times=2)
    assert [asked(caller, day).status_code for _ in range(3)] == [400, 400, 200]
    caller.sandbox.control.add_fault("bill", "bill_missing", times=1)
    assert asked(caller, day).json()["code"] == "NO_STATEMENT_EXIST"
    caller.sandbox.control.add_fault("bill", "bill_expired_token", times=1)
    parts = urlsplit(asked(caller, day).json()["download_url"])
    assert caller.send("GET", f"{parts.path}?{parts.query}").status_code == 400


@pytest.mark.parametrize(
    ("fault", "count", "total"),
    [("bill_missing_row", 1, 4030), ("bill_extra_row", 3, 12_090), ("bill_amount_differs", 2, 8061)],
)
def test_a_row_can_be_wrong(caller: Caller, day: str, fault: str, count: int, total: int) -> None:
    for _ in range(2):
        caller.paid_order()
    tomorrow_at(caller, 10)
    caller.sandbox.control.add_fault("bill", fault)
    found = table(downloaded(caller, asked(caller, day).json()))
    assert len(found) == count
    assert sum(int(row["订单金额"].replace(".", "")) for row in found) == total


def test_the_layout_can_change(caller: Caller, day: str) -> None:
    caller.paid_order()
    tomorrow_at(caller, 10)
    caller.sandbox.control.add_fault("bill", "bill_extra_column", times=1)
    found = table(downloaded(caller, asked(caller, day).json()))
    assert (len(found[0]), found[0]["新增列"], found[0]["订单金额"]) == (28, "", "40.30")
    caller.sandbox.control.call("DELETE", "faults")
    caller.sandbox.control.add_fault("bill", "bill_float_count", times=1)
    assert lines(downloaded(caller, asked(caller, day).json()))[-1].startswith("`1.0,")


def test_13_14_and_15_are_wrong_in_the_bill(caller: Caller, day: str) -> None:
    numbers = {}
    for value in (13, 14, 15, 30):
        order = caller.order(4000 + value)
        caller.create(order)
        caller.sandbox.control.pay(order["out_trade_no"])
        numbers[order["out_trade_no"]] = value
    tomorrow_at(caller, 10)
    found = table(downloaded(caller, asked(caller, day).json()))
    told = [(numbers.get(row["商户订单号"], 0), row["手续费"]) for row in found]
    assert sorted(told) == [(0, "0.24000"), (14, "0.24000"), (15, "0.25000"), (30, "0.24000")]
