"""What Alipay says, read without kindness: states, money, times, and answers that only look like answers."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from requests.structures import CaseInsensitiveDict

from openplatform import transport
from payments.channels.alipay import signing
from payments.channels.alipay.channel import AlipayChannel
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

NOW = datetime(2026, 1, 2, 4, 0, tzinfo=UTC)
NO = 250428769968324730


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key):
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


OURS, THEIRS = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


def by_them(text):
    return base64.b64encode(THEIRS.sign(text.encode(), PKCS1v15(), hashes.SHA256())).decode()


class Peer:
    """What the transport is told to answer, and what it was asked: the wire itself is the sandbox's test."""

    def __init__(self, monkeypatch):
        self.asked = []
        self.answer = b""
        self.status = 200
        monkeypatch.setattr(transport, "send", self.send)

    def send(self, **request):
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return transport.Reply(status=self.status, headers=CaseInsensitiveDict(), body=self.answer)

    def says(self, node, fields, *, sign=True, **more):
        text = json.dumps(fields)
        document = f'{{"{node}":{text},"sign":"{by_them(text)}"}}' if sign else f'{{"{node}":{text}}}'
        self.answer = document.encode()
        if more:
            self.answer = json.dumps(json.loads(document) | more).encode()


@pytest.fixture
def peer(monkeypatch):
    return Peer(monkeypatch)


@pytest.fixture
def channel():
    config = AccountConfig(
        account_id=1, deadline_s=1, connect_s=1,
        settings={
            "app_id": "2026000000000001", "seller_id": "2088000000000001", "gateway": "http://127.0.0.1:9/gateway.do",
            "alipay_keys": {"": public_pem(THEIRS)}, "oauth_authorize_url": "https://openauth.example/o",
        },
        secrets={"private_key_pem": pem(OURS)},
    )  # fmt: skip
    return AlipayChannel(config)


def request(method="jsapi", **changes):
    values = {
        "payment_no": NO, "method": method, "amount_fen": 4030, "subject": "two /coffees=&", "payer_id": "0openid",
        "begun_at": NOW, "expires_at": NOW, "notify_url": "https://pay.example/c", "auth_code": "",
        "page_url": "https://pay.example/cashier/x",
    }  # fmt: skip
    return PayRequest(**(values | changes))


def test_the_token_of_a_merchant_that_lets_us_act_is_a_secret_and_is_sent(channel, peer):
    """Settings are shown in the console."""
    config = replace(channel.config, secrets=dict(channel.config.secrets) | {"app_auth_token": "2026BBtoken"})
    AlipayChannel(config).query(payment_no=NO, now=NOW)
    channel.query(payment_no=NO, now=NOW)
    assert ["app_auth_token=2026BBtoken" in asked["url"] for asked in peer.asked] == [True, False]
    assert "2026BBtoken" not in repr(config)


QUERY = "alipay_trade_query_response"
PAID = {
    "code": "10000", "msg": "Success", "out_trade_no": str(NO), "trade_no": "2026010222001400000500000001",
    "total_amount": "40.30", "send_pay_date": "2026-01-02 12:00:05", "trade_status": "TRADE_SUCCESS",
}  # fmt: skip


def test_a_request_is_signed_over_its_sorted_parameters_and_the_money_is_text(channel, peer):
    peer.says("alipay_trade_create_response", {"code": "10000", "out_trade_no": str(NO), "trade_no": "T1"})
    answer = channel.create(request(), now=NOW)
    assert answer == Accepted(facts=Prepay(values={"tradeNO": "T1"}, valid_for=answer.facts.valid_for))
    asked = peer.asked[0]
    from urllib.parse import parse_qsl

    params = dict(parse_qsl(asked["url"].partition("?")[2])) | dict(parse_qsl(asked["body"].decode()))
    content = json.loads(params["biz_content"])
    assert content["total_amount"] == "40.30"
    assert content["subject"] == "two coffees"
    assert content["time_expire"] == "2026-01-02 12:00:00", "their times are Beijing's"
    assert params["timestamp"] == "2026-01-02 12:00:00"
    text = signing.sorted_text(params, without=frozenset({"sign"}))
    signing.verify(text, signature=params["sign"], pem=public_pem(OURS))
    assert "sign_type=RSA2" in text


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, TradeState.PAID),
        ({"trade_status": "TRADE_FINISHED"}, TradeState.PAID),
        ({"trade_status": "WAIT_BUYER_PAY"}, TradeState.NOT_PAID),
        ({"trade_status": "TRADE_CLOSED", "send_pay_date": ""}, TradeState.CLOSED),
        ({"trade_status": "TRADE_CLOSED"}, TradeState.RETURNED),
    ],
)
def test_each_state_has_its_meaning(channel, peer, changes, state):
    peer.says(QUERY, PAID | changes)
    answer = channel.query(payment_no=NO, now=NOW)
    assert answer.facts.state is state
    if state is TradeState.PAID:
        assert (answer.facts.amount_fen, answer.facts.channel_trade_no) == (4030, PAID["trade_no"])
        assert answer.facts.paid_at == datetime(2026, 1, 2, 4, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"total_amount": "40.305"}, {"total_amount": "-40.30"}, {"total_amount": 40.3}, {"total_amount": "4e1"},
        {"total_amount": ""}, {"trade_no": ""}, {"send_pay_date": "yesterday"}, {"trade_status": "PAID"},
        {"out_trade_no": "17"}, {"out_trade_no": "２"},
    ],
)  # fmt: skip
def test_a_paid_trade_that_is_not_all_there_is_no_answer(channel, peer, changes):
    peer.says(QUERY, PAID | changes)
    assert isinstance(channel.query(payment_no=NO, now=NOW), Unknown)


def test_an_answer_without_a_signature_is_no_success(channel, peer):
    peer.says(QUERY, PAID, sign=False)
    assert isinstance(channel.query(payment_no=NO, now=NOW), Unknown)


def test_of_two_nodes_the_one_that_was_signed_is_read_and_never_the_other(channel, peer):
    signed = json.dumps(PAID | {"trade_status": "WAIT_BUYER_PAY"})
    forged = json.dumps(PAID)
    for first, second in ((signed, forged), (forged, signed)):
        peer.answer = f'{{"{QUERY}":{first},"{QUERY}":{second},"sign":"{by_them(signed)}"}}'.encode()
        answer = channel.query(payment_no=NO, now=NOW)
        assert isinstance(answer, Unknown) or answer.facts.state is TradeState.NOT_PAID


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b'{"sign":"x"}', b"[]", b"\xff\xfe", b'{"alipay_trade_query_response":' + b"[" * 50_000],
)
def test_garbage_is_unknown(channel, peer, body):
    peer.answer = body
    assert isinstance(channel.query(payment_no=NO, now=NOW), Unknown)


def refused(peer, node, **fields):
    peer.says(node, {"code": "40004", "msg": "Business Failed"} | fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"sub_code": "ACQ.INVALID_PARAMETER"}, Rejected(code="ACQ.INVALID_PARAMETER")),
        ({"sub_code": "ACQ.ACCESS_FORBIDDEN"}, Rejected(code="ACQ.ACCESS_FORBIDDEN", account_refused=True)),
        ({"code": "40006", "sub_code": "isv.no-product"}, Rejected(code="NO-PRODUCT", account_refused=True)),
        ({"sub_code": "AQC.SYSTEM_ERROR"}, Unknown(reason="40004 ACQ.SYSTEM_ERROR", unwell=True)),
        ({"sub_code": "ACQ.TRADE_HAS_SUCCESS"}, Unknown(reason="40004 ACQ.TRADE_HAS_SUCCESS")),
        ({"code": "20000", "sub_code": "isp.unknow-error"}, Unknown(reason="20000 UNKNOW-ERROR", unwell=True)),
        ({"code": "40005", "sub_code": "isv.app-call-limited"}, Unknown(reason="40005 APP-CALL-LIMITED")),
        ({"sub_code": "ACQ.NEVER_HEARD_OF"}, Unknown(reason="40004 ACQ.NEVER_HEARD_OF")),
    ],
)
def test_only_named_codes_end_anything(channel, peer, fields, expected):
    refused(peer, "alipay_trade_create_response", **fields)
    assert channel.create(request(), now=NOW) == expected


def test_an_unsigned_refusal_counts_only_before_any_business(channel, peer):
    error = {"msg": "Invalid Arguments", "sub_code": "isv.invalid-app-id"}
    peer.says("error_response", {"code": "40002"} | error, sign=False)
    answer = channel.create(request(), now=NOW)
    assert answer == Rejected(code="isv.invalid-app-id", account_refused=True)
    peer.says("error_response", {"code": "40004", "sub_code": "ACQ.INVALID_PARAMETER"}, sign=False)
    assert isinstance(channel.create(request(), now=NOW), Unknown)


def test_a_bar_code_is_paid_at_once_or_waits_for_the_payer(channel, peer):
    node = "alipay_trade_pay_response"
    peer.says(node, {k: v for k, v in PAID.items() if k != "trade_status"} | {"gmt_payment": "2026-01-02 12:00:05"})
    answer = channel.create(request("barcode", payer_id="", auth_code="280000000000000001"), now=NOW)
    assert answer.facts.state is TradeState.PAID
    peer.says(node, {"code": "10003", "msg": "order success pay inprocess", "out_trade_no": str(NO)})
    assert channel.create(request("barcode", auth_code="28"), now=NOW).facts.state is TradeState.NOT_PAID
    assert "280000000000000001" not in repr(request("barcode", auth_code="280000000000000001"))


def test_a_page_is_closed_and_a_code_is_cancelled(channel, peer):
    for method, operation in (("jsapi", "close"), ("native", "cancel"), ("barcode", "cancel")):
        peer.says(f"alipay_trade_{operation}_response", {"code": "10000", "retry_flag": "N"})
        assert channel.close(payment_no=NO, method=method, now=NOW) == Accepted(facts=None)
        assert f"alipay.trade.{operation}" in peer.asked[-1]["url"]
    peer.says("alipay_trade_cancel_response", {"code": "10000", "retry_flag": "Y"})
    assert isinstance(channel.close(payment_no=NO, method="native", now=NOW), Unknown)


REFUND = RefundRequest(refund_no=17, payment_no=NO, amount_fen=1000, paid_fen=4030, reason="", notify_url="")


def test_a_refund_is_believed_by_its_own_number_and_never_by_the_sum_of_all(channel, peer):
    node = "alipay_trade_refund_response"
    peer.says(node, {"code": "10000", "fund_change": "Y", "refund_fee": "30.00", "out_trade_no": str(NO)})
    assert channel.refund(REFUND, now=NOW).facts.state is RefundState.PROCESSING
    peer.says(node, {"code": "10000", "fund_change": "N", "refund_fee": "10.00", "out_trade_no": str(NO)})
    assert isinstance(channel.refund(REFUND, now=NOW), Unknown)
    node = "alipay_trade_fastpay_refund_query_response"
    done = {
        "code": "10000", "refund_status": "REFUND_SUCCESS", "out_request_no": "17", "out_trade_no": str(NO),
        "refund_amount": "10.00", "trade_no": "T1",
    }  # fmt: skip
    peer.says(node, done)
    facts = channel.query_refund(refund_no=17, payment_no=NO, now=NOW).facts
    assert (facts.state, facts.amount_fen) == (RefundState.SUCCEEDED, 1000)
    peer.says(node, {"code": "10000", "msg": "Success"})
    assert channel.query_refund(refund_no=17, payment_no=NO, now=NOW).facts.state is RefundState.NOT_FOUND
    peer.says(node, done | {"out_request_no": "18"})
    assert isinstance(channel.query_refund(refund_no=17, payment_no=NO + 1, now=NOW), Unknown)


CALLBACK = {
    "notify_id": "2026010200222120005000500001", "notify_type": "trade_status_sync", "app_id": "2026000000000001",
    "seller_id": "2088000000000001", "out_trade_no": str(NO), "trade_no": "T1", "trade_status": "TRADE_SUCCESS",
    "total_amount": "40.30", "gmt_payment": "2026-01-02 12:00:05", "subject": "两杯咖啡 + & =", "sign_type": "RSA2",
}  # fmt: skip


def form(**changes):
    params = CALLBACK | changes
    text = signing.sorted_text(params, without=frozenset({"sign", "sign_type"}))
    return urlencode(params | {"sign": by_them(text)}).encode()


def test_a_callback_is_read_and_acknowledged_in_their_seven_bytes(channel):
    told = channel.read_callback(headers={}, body=form(), now=NOW)
    assert (told.facts.state, told.facts.amount_fen, told.facts.payment_no) == (TradeState.PAID, 4030, NO)
    assert told.callback_id == CALLBACK["notify_id"]
    assert channel.callback_answer() == (200, b"success")
    assert channel.callback_answer(problem="no")[1] != b"success"


@pytest.mark.parametrize("changes", [{"app_id": "2026000000000002"}, {"seller_id": "2088000000000002"}])
def test_a_callback_for_another_account_is_a_mismatch_and_not_money(channel, changes):
    told = channel.read_callback(headers={}, body=form(**changes), now=NOW)
    assert told.mismatch.startswith("other")
    assert told.facts.state is not TradeState.PAID


@pytest.mark.parametrize(
    "body",
    [
        b"", b"a=%ff", b"a", form().replace(b"40.30", b"04.30"), form() + b"&total_amount=1.00",
        form() + b"&sign_type=RSA", "退=1".encode(), form().replace(b"sign=", b"sing="),
    ],
    ids=["empty", "not utf-8", "no pairs", "changed", "twice", "signed twice", "not ascii", "unsigned"],
)  # fmt: skip
def test_what_is_not_shown_to_be_theirs_is_refused(channel, body):
    with pytest.raises(CallbackRefused):
        channel.read_callback(headers={}, body=body, now=NOW)


def test_in_certificate_mode_the_answer_names_its_key_and_an_unknown_one_is_no_answer(peer, channel):
    channel.client.settings = dict(channel.client.settings) | {
        "alipay_keys": {"SN1": public_pem(THEIRS)}, "app_cert_sn": "APP", "alipay_root_cert_sn": "ROOT",
    }  # fmt: skip
    text = json.dumps(PAID)
    for sn, is_answer in (("SN1", True), ("SN2", False), ("", False)):
        peer.answer = f'{{"{QUERY}":{text},"alipay_cert_sn":"{sn}","sign":"{by_them(text)}"}}'.encode()
        assert isinstance(channel.query(payment_no=NO, now=NOW), Accepted) is is_answer
    assert "app_cert_sn=APP" in peer.asked[0]["url"]


def test_encrypted_content_goes_out_and_comes_back(peer, channel):
    key = base64.b64encode(bytes(range(16))).decode()
    config = AccountConfig(
        account_id=1, deadline_s=1, connect_s=1, settings=channel.config.settings,
        secrets=dict(channel.config.secrets) | {"aes_key": key},
    )  # fmt: skip
    hidden = AlipayChannel(config)
    text = '"' + signing.encrypt(json.dumps(PAID), key=key) + '"'  # what is signed includes the two quotes
    peer.answer = f'{{"{QUERY}":{text},"sign":"{by_them(text)}"}}'.encode()
    assert hidden.query(payment_no=NO, now=NOW).facts.state is TradeState.PAID
    assert str(NO) not in peer.asked[0]["body"].decode()
    assert "encrypt_type=AES" in peer.asked[0]["url"]
