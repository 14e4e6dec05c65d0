"""What the UnionPay model says, read without kindness: states, money, times, codes, and what is no answer."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from requests.structures import CaseInsensitiveDict

from openplatform import transport
from payments.channels.base import (
    Accepted,
    AccountConfig,
    CallbackRefused,
    PayRequest,
    Prepay,
    RefundRequest,
    RefundState,
    Rejected,
    TradeState,
    Unknown,
)
from payments.channels.unionpay import signing
from payments.channels.unionpay.channel import UnionpayChannel
from tests.openplatform import harness

NOW = datetime(2026, 1, 2, 4, 0, 5, tzinfo=UTC)
NO = 250428769968324730
OURS, THEIRS = harness.a_key(), harness.a_key()
SETTINGS = {
    "serv_prov_id": "P0001", "mer_id": "898000000000001", "api_base": "https://up.example",
    "platform_keys": {"": harness.public_pem(THEIRS)}, "user_auth_url": "https://qr.example/userAuth",
}  # fmt: skip


def text_of(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def by_them(fields):
    """A second reading of the signature, so that a slip of ours cannot hide in both."""
    joined = "&".join(f"{name}={text_of(fields[name])}" for name in sorted(fields) if name != "signature")
    digest = hashlib.sha256(joined.encode()).hexdigest().encode()
    return fields | {"signature": base64.b64encode(THEIRS.sign(digest, PKCS1v15(), hashes.SHA256())).decode()}


class Peer:
    """What the transport is told to answer, and what it was asked: the wire itself is the sandbox's test."""

    def __init__(self, monkeypatch):
        self.asked = []
        self.answer = b""
        self.status = 200
        self.unreachable = set()
        monkeypatch.setattr(transport, "send", self.send)

    def send(self, **request):
        self.asked.append(request)
        if urlsplit(request["url"]).netloc in self.unreachable:
            raise transport.NotSent("refused")
        return transport.Reply(status=self.status, headers=CaseInsensitiveDict(), body=self.answer)

    def says(self, **fields):
        self.answer = json.dumps(by_them({"respCode": "00", "respMsg": "成功"} | fields)).encode()

    @property
    def sent(self):
        return json.loads(self.asked[-1]["body"])


@pytest.fixture
def peer(monkeypatch):
    return Peer(monkeypatch)


@pytest.fixture
def channel():
    secrets = {"private_key_pem": harness.private_pem(OURS)}
    return UnionpayChannel(AccountConfig(account_id=1, deadline_s=1, connect_s=1, settings=SETTINGS, secrets=secrets))


def request(method="jsapi", **changes):
    values = {
        "payment_no": NO, "method": method, "amount_fen": 4030, "subject": "两杯咖啡", "payer_id": "UPuser1",
        "begun_at": NOW, "expires_at": NOW + timedelta(hours=2), "notify_url": "https://pay.example/c",
        "page_url": "https://pay.example/cashier/x", "client_ip": "203.0.113.9",
    }  # fmt: skip
    return PayRequest(**(values | changes))


PAY_DATA = "https://qr.example/desk/1"


def test_a_request_is_signed_and_says_the_money_in_whole_fen_and_the_time_of_beijing(channel, peer):
    peer.says(orderNo=str(NO), payData=PAY_DATA)
    answer = channel.create(request(), now=NOW)
    assert answer == Accepted(facts=Prepay(values={"pay_url": PAY_DATA}, valid_for=timedelta(hours=2)))
    assert peer.asked[0]["url"] == "https://up.example/gateway/api/pay/unifiedorder"
    sent = peer.sent
    signing.verify(sent, pems=[harness.public_pem(OURS)])
    assert {name: value for name, value in sent.items() if name != "signature"} == {
        "serProvId": "P0001", "merId": "898000000000001", "orderNo": str(NO), "orderTime": "20260102120005",
        "txnAmt": "4030", "currencyCode": "156", "orderInfo": "两杯咖啡", "orderType": "upJs",
        "backUrl": "https://pay.example/c", "frontUrl": "https://pay.example/cashier/x", "userId": "UPuser1",
        "customerIp": "203.0.113.9", "termInfo": '{"ip":"203.0.113.9"}',
    }  # fmt: skip


def test_a_retry_says_the_same_at_another_time(channel, peer):
    peer.says(orderNo=str(NO), payData=PAY_DATA)
    for later in (timedelta(), timedelta(minutes=5)):
        channel.create(request(), now=NOW + later)
    assert peer.asked[0]["body"] == peer.asked[1]["body"]


@pytest.mark.parametrize(
    "fields",
    [
        {"orderNo": "17", "payData": PAY_DATA}, {"payData": PAY_DATA}, {"orderNo": str(NO)},
        {"orderNo": str(NO), "payData": "javascript:alert(1)"}, {"orderNo": str(NO), "payData": {"a": "b"}},
        {"orderNo": str(NO), "payData": "https://a b"},
    ],
)  # fmt: skip
def test_success_without_an_address_for_this_order_is_no_success(channel, peer, fields):
    peer.says(**fields)
    assert isinstance(channel.create(request(), now=NOW), Unknown)


PAID = {
    "orderNo": str(NO), "origRespCode": "00", "txnAmt": "4030", "transIndex": "2026010288000001", "userId": "UPuser1",
    "payTime": "20260102120005",
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("00", TradeState.PAID), ("01", TradeState.PAID), ("02", TradeState.NOT_PAID), ("03", TradeState.CLOSED),
        ("04", TradeState.CLOSED), ("05", TradeState.NOT_PAID), ("06", TradeState.FAILED),
    ],
)  # fmt: skip
def test_each_state_has_its_meaning(channel, peer, code, state):
    peer.says(**PAID | {"origRespCode": code})
    facts = channel.query(payment_no=NO, now=NOW).facts
    assert facts.state is state
    if state is TradeState.PAID:
        assert (facts.amount_fen, facts.channel_trade_no, facts.currency) == (4030, PAID["transIndex"], "CNY")
        assert facts.paid_at == NOW


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"txnAmt": 4030}, {"amount_fen": 4030}),
        ({"payTime": ""}, {"paid_at": None}),
        ({"currencyCode": "156", "merId": "898000000000001", "serProvId": "P0001"}, {"currency": "CNY"}),
        ({"currencyCode": "840"}, {"currency": "840"}),
    ],
)
def test_what_an_answer_may_leave_out_or_say_otherwise(channel, peer, changes, facts):
    peer.says(**PAID | changes)
    found = channel.query(payment_no=NO, now=NOW).facts
    assert {name: getattr(found, name) for name in facts} == facts


@pytest.mark.parametrize(
    "changes",
    [
        {"txnAmt": "40.30"}, {"txnAmt": "-4030"}, {"txnAmt": 4030.0}, {"txnAmt": True}, {"txnAmt": "04030"},
        {"txnAmt": ""}, {"txnAmt": "４０３０"}, {"txnAmt": "0"}, {"transIndex": ""}, {"transIndex": 7},
        {"payTime": "2026-01-02"}, {"payTime": "2026010212000"}, {"payTime": "20261302120005"},
        {"origRespCode": "07"}, {"origRespCode": None}, {"orderNo": "17"}, {"orderNo": "２"},
        {"merId": "898000000000002"}, {"serProvId": "P0002"},
    ],
)  # fmt: skip
def test_a_paid_order_that_is_not_all_there_is_no_answer(channel, peer, changes):
    peer.says(**PAID | changes)
    assert isinstance(channel.query(payment_no=NO, now=NOW), Unknown)


def test_an_answer_that_they_did_not_sign_is_no_answer_not_even_a_refusal(channel, peer):
    for fields in (PAID | {"respCode": "00"}, {"respCode": "61"}):
        forged = fields | {"signature": by_them(fields | {"orderNo": "1"})["signature"]}
        for body in (fields, forged):
            peer.answer = json.dumps(body).encode()
            assert isinstance(channel.query(payment_no=NO, now=NOW), Unknown)
            assert isinstance(channel.create(request(), now=NOW), Unknown)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900],
    ids=["empty", "html", "nothing", "a list", "a text", "no text", "an abyss", "deep"],
)
def test_garbage_is_unknown_and_no_callback(channel, peer, body):
    peer.answer = body
    assert isinstance(channel.query(payment_no=NO, now=NOW), Unknown)
    with pytest.raises(CallbackRefused):
        channel.read_callback(headers={}, body=body, now=NOW)


@pytest.mark.parametrize(("status", "unwell"), [(500, True), (502, True), (429, False), (302, False), (404, False)])
def test_any_other_status_decides_nothing_whatever_the_body_says(channel, peer, status, unwell):
    peer.says(respCode="61")
    peer.status = status
    answer = channel.create(request(), now=NOW)
    assert (type(answer), answer.unwell) == (Unknown, unwell)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("02", Unknown(reason="respCode 02")),
        ("12", Unknown(reason="respCode 12")),
        ("99", Unknown(reason="respCode 99", unwell=True)),
        ("03", Rejected(code="03", message="m", account_refused=True)),
        ("11", Rejected(code="11", message="m", account_refused=True)),
        ("61", Rejected(code="61", message="m")),
        ("A7", Rejected(code="A7", message="m")),
        ("", Unknown(reason="no respCode")),
        (None, Unknown(reason="no respCode")),
        ("0 0", Unknown(reason="no respCode")),
    ],
)
def test_three_codes_decide_nothing_and_any_other_refuses(channel, peer, code, expected):
    peer.says(respCode=code, respMsg="m")
    assert channel.create(request(), now=NOW) == expected


REFUND = RefundRequest(refund_no=17, payment_no=NO, amount_fen=1000, paid_fen=4030, reason="", notify_url="")


@pytest.mark.parametrize("code", ["02", "12", "99", "03", "11", "51"])
def test_a_refund_stays_open_on_trouble_that_may_pass(channel, peer, code):
    peer.says(respCode=code)
    assert isinstance(channel.refund(REFUND, now=NOW), Unknown)


def test_a_refund_that_was_taken_is_under_way_whatever_else_the_answer_says(channel, peer):
    peer.says(orderNo="17", origRespCode="00")
    facts = channel.refund(REFUND, now=NOW).facts
    assert (facts.state, facts.refund_no, facts.payment_no) == (RefundState.PROCESSING, 17, NO)
    assert (peer.sent["orderNo"], peer.sent["origOrderNo"], peer.sent["txnAmt"]) == ("17", str(NO), "1000")
    peer.says(orderNo="18", origRespCode="00")
    assert isinstance(channel.refund(REFUND, now=NOW), Unknown)
    peer.says(respCode="35", respMsg="m")
    assert channel.refund(REFUND, now=NOW) == Rejected(code="35", message="m")


@pytest.mark.parametrize(
    ("code", "state"), [("00", RefundState.SUCCEEDED), ("01", RefundState.NOT_DONE), ("02", RefundState.PROCESSING)]
)
def test_a_refunds_state_is_told_by_its_own_number(channel, peer, code, state):
    told = {"orderNo": "17", "origOrderNo": str(NO), "origRespCode": code, "txnAmt": "1000"}
    peer.says(**told)
    facts = channel.query_refund(refund_no=17, payment_no=NO, now=NOW).facts
    assert (facts.state, facts.amount_fen, facts.payment_no) == (state, 1000, NO)
    for wrong in ({"orderNo": "18", "origOrderNo": "18"}, {"origRespCode": "03"}, {"txnAmt": ""}, {"merId": "x"}):
        peer.says(**told | wrong)
        assert isinstance(channel.query_refund(refund_no=17, payment_no=NO, now=NOW), Unknown)


def test_what_they_do_not_know_is_not_found_and_a_refused_question_says_nothing(channel, peer):
    peer.says(respCode="25")
    assert channel.query(payment_no=NO, now=NOW).facts.state is TradeState.NOT_FOUND
    assert channel.query_refund(refund_no=17, payment_no=NO, now=NOW).facts.state is RefundState.NOT_FOUND
    assert isinstance(channel.create(request(), now=NOW), Rejected), "of a create it is a refusal like any other"
    peer.says(respCode="11")
    assert isinstance(channel.query(payment_no=NO, now=NOW), Rejected)


def test_a_bar_code_is_paid_at_once_or_waits_for_the_payer(channel, peer):
    code = "6200000000000000001"
    peer.says(**PAID)
    answer = channel.create(request("barcode", payer_id="", client_ip="", auth_code=code), now=NOW)
    assert (answer.facts.state, answer.facts.amount_fen) == (TradeState.PAID, 4030)
    assert (peer.sent["authCode"], peer.sent["orderType"]) == (code, "unionpay")
    assert not {"userId", "customerIp", "termId"} & peer.sent.keys()
    peer.says(respCode="02", orderNo=str(NO))
    assert channel.create(request("barcode", auth_code=code), now=NOW).facts.state is TradeState.NOT_PAID
    at_the_till = UnionpayChannel(replace(channel.config, settings=SETTINGS | {"term_id": "T1"}))
    at_the_till.create(request("barcode", auth_code=code), now=NOW)
    assert peer.sent["termId"] == "T1"


def test_a_close_is_theirs_to_confirm(channel, peer):
    for code, expected in (("00", Accepted), ("12", Unknown), ("35", Rejected)):
        peer.says(respCode=code, orderNo=str(NO))
        assert isinstance(channel.close(payment_no=NO, method="jsapi", now=NOW), expected)


def test_the_second_host_is_asked_when_certainly_nothing_reached_the_first(channel, peer):
    backed = UnionpayChannel(replace(channel.config, settings=SETTINGS | {"backup_api_base": "https://up2.example"}))
    peer.says(**PAID)
    peer.unreachable = {"up.example"}
    assert backed.query(payment_no=NO, now=NOW).facts.state is TradeState.PAID
    assert [urlsplit(asked["url"]).netloc for asked in peer.asked] == ["up.example", "up2.example"]
    peer.unreachable = {"up.example", "up2.example"}
    assert backed.query(payment_no=NO, now=NOW) == Unknown(reason="refused", sent=False, unwell=True)


CALLBACK = PAID | {"merId": "898000000000001", "currencyCode": "156", "respCode": "00"}


def callback(**changes):
    return json.dumps(by_them({**CALLBACK, **changes})).encode()


def told(channel, **changes):
    return channel.read_callback(headers={}, body=callback(**changes), now=NOW)


def test_a_callback_is_read_and_acknowledged_in_their_seven_bytes(channel):
    assert (told(channel).facts.state, told(channel).facts.amount_fen) == (TradeState.PAID, 4030)
    assert (told(channel).facts.payment_no, told(channel).facts.paid_at) == (NO, NOW)
    assert channel.callback_answer() == (200, b"success")
    assert channel.callback_answer(problem="no")[1] != b"success"


def test_a_resent_callback_has_the_same_id_and_one_that_says_otherwise_another(channel):
    again = channel.read_callback(headers={}, body=b" " + callback(), now=NOW + timedelta(days=1))
    assert again.callback_id == told(channel).callback_id
    assert told(channel, txnAmt="4031").callback_id != told(channel).callback_id
    assert len(told(channel).callback_id) == 64


@pytest.mark.parametrize(
    ("changes", "mismatch"),
    [
        ({"merId": "898000000000002"}, "other merId"),
        ({"serProvId": "P0002"}, "other serProvId"),
        ({"respCode": "01"}, "unknown respCode"),
        ({"txnAmt": "x"}, "bad txnAmt"),
        ({"origRespCode": "77"}, "unknown origRespCode"),
    ],
)
def test_a_callback_of_theirs_that_is_not_for_us_or_not_all_there_is_a_mismatch_and_not_money(
    channel, changes, mismatch
):
    found = told(channel, **changes)
    assert (found.mismatch, found.facts.state, found.facts.payment_no) == (mismatch, TradeState.NOT_PAID, NO)


@pytest.mark.parametrize("name", ["merId", "currencyCode", "respCode", "txnAmt", "transIndex", "origRespCode"])
def test_a_callback_names_everything_that_is_compared(channel, name):
    fields = {key: value for key, value in CALLBACK.items() if key != name}
    found = channel.read_callback(headers={}, body=json.dumps(by_them(fields)).encode(), now=NOW)
    assert found.mismatch
    assert found.facts.state is TradeState.NOT_PAID


@pytest.mark.parametrize(
    "body",
    [
        callback().replace(b"4030", b"4031"), callback().replace(b'"signature"', b'"signatur"'),
        json.dumps(CALLBACK).encode(), callback()[:-1] + b',"txnAmt":"1"}', callback()[:-1] + b',"added":""}',
    ],
    ids=["changed", "unsigned", "no signature", "twice", "added"],
)  # fmt: skip
def test_what_is_not_shown_to_be_theirs_is_refused(channel, body):
    with pytest.raises(CallbackRefused):
        channel.read_callback(headers={}, body=body, now=NOW)


def test_who_pays_is_asked_by_way_of_their_page_which_brings_our_state_back(channel):
    where = urlsplit(channel.authorize_url(redirect_uri="https://pay.example/pay/oauth", state="ab12"))
    asked = parse_qs(where.query)
    assert f"{where.scheme}://{where.netloc}{where.path}" == "https://qr.example/userAuth"
    assert asked == {"version": ["1.0.0"], "redirectUrl": ["https://pay.example/pay/oauth?state=ab12"]}
    assert channel.code_parameter == "userAuthCode"


@pytest.mark.parametrize(
    ("agent", "app"),
    [
        ("Mozilla/5.0 (Linux) Chrome/120.0 Mobile UnionPay/1.0 ICBCeLife", "UnionPay/1.0 ICBCeLife"),
        ("Mozilla/5.0 (UnionPay/1.0 CloudPay) Safari", "UnionPay/1.0 CloudPay"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "UnionPay/1.0 CloudPay"),
        ("UnionPay/1.0 \r\nX: y", "UnionPay/1.0 CloudPay"),
    ],
)
def test_the_code_is_changed_for_the_payer_by_the_name_of_the_app(channel, peer, agent, app):
    peer.says(userId="UPuser1")
    assert channel.payer_id(code="c1", user_agent=agent) == Accepted(facts="UPuser1")
    assert (peer.sent["userAuthCode"], peer.sent["appUpIdentifier"]) == ("c1", app)


def test_a_code_that_they_refuse_names_nobody(channel, peer):
    peer.says(respCode="36")
    assert isinstance(channel.payer_id(code="c1", user_agent=""), Rejected)
    for fields in ({}, {"userId": ""}, {"userId": 7}):
        peer.says(**fields)
        assert isinstance(channel.payer_id(code="c1", user_agent=""), Unknown)
