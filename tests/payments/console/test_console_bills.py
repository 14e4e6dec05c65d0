"""Bills in the console: what is waited for, what came, what is in it, and the file for whoever may take it."""

import gzip
import io

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User

from payments.channels.base import Accepted
from payments.channels.bills import BillFacts, BillWish, Tally
from payments.models import Bill, BillFile, BillFlowRow, BillRow, ChannelAccount
from payments.operations import bills, payments, schedules
from payments.operations.accounts import open_account
from payments.states import BillKind, BillStatus
from tests import factories
from tests.factories import again, the_payment
from tests.payments.bills.conftest import DAY, at
from tests.payments.channels.test_bill_parsers import WECHATPAY_HEADER, refund_row, wechatpay_file, wechatpay_row
from tests.payments.console.conftest import list_url, page_url, shown

pytestmark = pytest.mark.django_db(transaction=True)
FLOW = "\ufeff" + "\r\n".join(
    [
        "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号",
        "`2026-03-02 12:00:00,`4200000001,`F1,`交易,`交易,`收入,`40.30,`140.30,`system,`,`250428769968324730",
        "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额",
        "`1,`1,`40.30,`0,`0.00",
        "",
    ]
)


def a_bill(rows=None, *, kind="trade", content=None):
    """A bill of an account that has one paid and one closed order of DAY; `rows` of a trade bill, or bytes."""
    order = factories.a_paying_order(now=at(12))
    told = Accepted(facts=factories.paid(order, paid_at=at(12)))
    payments.record_query(claimed=the_payment(order), answer=told, now=at(12))
    account = the_payment(order).account
    ChannelAccount.objects.filter(pk=account.pk).update(created_at=at(0))
    bills.plan_bills(now=at(10, days=1))
    claimed = Bill.claim(Bill.objects.get(account=account, kind=kind).pk, now=at(10, days=1), lease=schedules.lease())
    if content is None:
        mine = {"商户号": account.settings["mchid"]}
        content = wechatpay_file(WECHATPAY_HEADER, [row | mine for row in rows or [wechatpay_row(), refund_row()]])
    packed, channel = io.BytesIO(gzip.compress(content)), open_account(account)
    tally = Tally.of(channel.read_bill(packed, BillWish(kind=BillKind(kind), day=DAY)))
    bills.record_file(
        claimed=claimed, content=packed, facts=BillFacts(suffix="csv.gz"), tally=tally, channel=channel,
        now=at(10, days=1),
    )  # fmt: skip
    return Bill.objects.get(pk=claimed.pk)


def test_the_list_says_which_bills_are_here_and_which_are_waited_for(auditor):
    bill = a_bill()
    page = shown(auditor.get(list_url("payments_bill")))
    for text in (str(bill.pk), "2026-03-02", "payments and refunds", "fund flow", "fetched", "waited for"):
        assert text in page, text
    waiting = auditor.get(list_url("payments_bill"), {"status": "WAITED_FOR"})
    assert {row.kind for row in waiting.context["cl"].result_list} == {"fund_flow"}
    for query, count in (
        ({"kind": "trade"}, 1), ({"channel": "alipay"}, 0), ({"bill_date_from": "2026-03-03"}, 0),
        ({"bill_date_to": "2026-03-02"}, 2), ({"bill_date_to": "soon"}, 0),
    ):  # fmt: skip
        assert len(auditor.get(list_url("payments_bill"), query).context["cl"].result_list) == count, query


def test_the_page_of_a_file_compares_its_own_sums_with_its_rows_and_with_our_books(auditor):
    bill = a_bill([wechatpay_row(), wechatpay_row(交易状态="MAYBE")])
    page = shown(auditor.get(page_url(bill)))
    assert f'href="{page_url(bill.newest_file)}">v1</a>' in page
    page = shown(auditor.get(page_url(bill.newest_file)))
    for text in ("does not add up", "differs", "80.60", "40.30", "paid here, not in the bill", "unknown 交易状态"):
        assert text in page, text


def test_rows_of_a_file_come_by_their_lines_and_each_has_a_page(auditor):
    bill = a_bill()
    response = auditor.get(list_url("payments_billrow"), {"file": bill.newest_file_id})
    page = shown(response)
    assert [row.line_no for row in response.context["cl"].result_list] == [2, 3]
    for text in ("0.2418", "-0.0618", "10.30", "refund", "250428769968324730"):
        assert text in page, text
    row = BillRow.objects.first()
    assert "4200000001" in shown(auditor.get(page_url(row)))


def test_a_row_is_found_by_our_number_and_by_the_channels(auditor):
    a_bill()
    for typed in ("250428769968324730", "250428769968324731", "4200000001"):
        assert len(auditor.get(list_url("payments_billrow"), {"q": typed}).context["cl"].result_list) >= 1, typed
    assert len(auditor.get(list_url("payments_billrow"), {"q": "1"}).context["cl"].result_list) == 0


def test_the_fund_flow_has_its_list(auditor):
    bill = a_bill(kind="fund_flow", content=FLOW.encode())
    row = BillFlowRow.objects.get()
    page = shown(auditor.get(list_url("payments_billflowrow"), {"file": bill.newest_file_id}))
    assert "140.30" in page
    assert "F1" in shown(auditor.get(page_url(row)))


def test_the_file_comes_as_it_came_to_whoever_may_take_it_and_the_log_remembers(operator):
    bill = a_bill()
    file = bill.newest_file
    url = f"{page_url(file).removesuffix('change/')}download/"
    assert f'href="{url}"' in shown(operator.get(page_url(file)))
    response = operator.get(url)
    assert response.status_code == 200
    content = b"".join(response.streaming_content)
    assert content == b"".join(file.content())
    assert gzip.decompress(content).startswith(b"\xef\xbb\xbf")
    name = f"wechatpay_{bill.account_id}_trade_2026-03-02_v1.csv.gz"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert LogEntry.objects.get().change_message == "downloaded"


@pytest.mark.parametrize("role", ["auditor", "nobody"])
def test_who_may_not_take_the_file_away_does_not_get_it(as_role, role):
    file, client = a_bill().newest_file, as_role(role)
    url = f"{page_url(file).removesuffix('change/')}download/"
    assert client.get(url).status_code == 403
    assert url not in client.get(page_url(file)).content.decode()
    assert not LogEntry.objects.exists()


def test_the_rights_to_take_and_to_fetch_are_two(as_role):
    bill = a_bill()
    client = as_role("auditor")
    User.objects.get(username="auditor").user_permissions.add(Permission.objects.get(codename="fetch_bill"))
    assert "Fetch again" in shown(client.get(page_url(bill)))
    assert client.get(f"{page_url(bill.newest_file).removesuffix('change/')}download/").status_code == 403


def test_a_bill_is_fetched_again_after_a_question(operator):
    bill = a_bill()
    url = f"{page_url(bill).removesuffix('change/')}fetch/"
    assert "Fetch this bill again?" in shown(operator.get(url))
    assert again(bill).next_check_at is None
    assert operator.post(url, {"answer": "fetch"}).status_code == 302
    assert (again(bill).status, again(bill).next_check_at is not None) == (BillStatus.FETCHED, True)


def test_an_auditor_cannot_have_a_bill_fetched(auditor):
    bill = a_bill()
    assert auditor.post(f"{page_url(bill).removesuffix('change/')}fetch/", {"answer": "fetch"}).status_code == 403
    assert again(bill).next_check_at is None


def test_a_long_bill_is_listed_with_as_many_questions_as_a_short_one(auditor, django_assert_max_num_queries):
    bill = a_bill([wechatpay_row()] * 120)
    for name, query in (
        ("payments_bill", {}), ("payments_billfile", {}), ("payments_billrow", {"file": bill.newest_file_id}),
        ("payments_billrow", {}),
    ):  # fmt: skip
        with django_assert_max_num_queries(9):
            shown(auditor.get(list_url(name), query))


def test_nothing_of_a_bill_is_added_changed_or_deleted_here(root):
    bill = a_bill()
    for row in (bill, bill.newest_file, BillRow.objects.first()):
        assert root.post(page_url(row), {"_save": "1"}).status_code == 403
        assert root.post(page_url(row).replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403
    assert BillFile.objects.count() == 1
