"""Where a bill's file is fetched from: at the channel and nowhere else, and our signature goes to no other host."""

import base64
import gzip
import hashlib
import io
import json
from datetime import UTC, date, datetime

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from requests.structures import CaseInsensitiveDict

from openplatform import transport
from payments.channels.alipay.channel import AlipayChannel
from payments.channels.base import Accepted, AccountConfig, Empty, NotReady, Rejected, Unknown
from payments.channels.bills import BillWish
from payments.channels.wechatpay import signing
from payments.channels.wechatpay.channel import WechatpayChannel
from payments.states import BillKind

NOW = datetime(2026, 3, 3, 4, 0, tzinfo=UTC)
WISH = BillWish(kind=BillKind.TRADE, day=date(2026, 3, 2))
TEXT = b"\xef\xbb\xbfa bill\r\n"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = (
    KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)


def sign(text):
    return base64.b64encode(KEY.sign(text.encode(), PKCS1v15(), hashes.SHA256())).decode()


class Peer:
    """What the transport is told to answer to the question and to the file; the wire itself is the sandbox's test."""

    def __init__(self, monkeypatch):
        self.asked = []
        self.answers = []
        monkeypatch.setattr(transport, "send", self.send)

    def send(self, **request):
        self.asked.append(request)
        reply = self.answers.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if request.get("into") is not None and reply.status == 200:
            request["into"].write(reply.body)
        return reply


def reply(status, body, headers=()):
    return transport.Reply(status=status, headers=CaseInsensitiveDict(headers), body=body)


def wechatpay_says(fields, status=200):
    body = json.dumps(fields).encode()
    if status != 200:
        return reply(status, body)
    stamp = str(int(NOW.timestamp()))
    signed = sign(signing.lines(stamp, "nonce", body).decode())
    headers = {
        "Wechatpay-Timestamp": stamp, "Wechatpay-Nonce": "nonce", "Wechatpay-Serial": "K",
        "Wechatpay-Signature": signed,
    }  # fmt: skip
    return reply(status, body, headers)


def alipay_says(fields):
    text = json.dumps(fields)
    node = "alipay_data_dataservice_bill_downloadurl_query_response"
    return reply(200, f'{{"{node}":{text},"sign":"{sign(text)}"}}'.encode())


@pytest.fixture
def peer(monkeypatch):
    return Peer(monkeypatch)


def wechatpay(private=(), **settings):
    return WechatpayChannel(
        AccountConfig(
            account_id=1, deadline_s=1, connect_s=1, private_hosts=frozenset(private),
            settings={
                "mchid": "1900000001", "appid": "wx1", "merchant_serial_no": "A" * 40, "platform_keys": {"K": PUBLIC},
                "api_base": "https://api.mch.weixin.qq.com", "backup_api_base": "https://api2.wechatpay.cn",
            } | settings,
            secrets={"private_key_pem": PEM, "apiv3_key": "k" * 32},
        )
    )  # fmt: skip


def alipay(private=(), **settings):
    return AlipayChannel(
        AccountConfig(
            account_id=1, deadline_s=1, connect_s=1, private_hosts=frozenset(private),
            settings={
                "app_id": "2021", "seller_id": "2088000000000001", "alipay_keys": {"": PUBLIC},
                "gateway": "https://openapi.alipay.com/gateway.do",
            } | settings,
            secrets={"private_key_pem": PEM},
        )
    )  # fmt: skip


def offered(url, text=TEXT, **changes):
    said = {"hash_type": "SHA1", "hash_value": hashlib.sha1(text).hexdigest(), "download_url": url}
    return wechatpay_says(said | changes)


@pytest.mark.parametrize("host", ["https://api.mch.weixin.qq.com", "https://api2.wechatpay.cn"])
def test_wechat_pays_file_is_asked_for_where_they_said_signed_over_what_they_said(peer, host):
    target = "/v3/billdownload/file?token=b%2Fa&tartype=gzip"
    peer.answers = [offered(host + target), reply(200, gzip.compress(TEXT))]
    into = io.BytesIO()
    answer = wechatpay().download_bill(WISH, into=into, now=NOW)
    assert isinstance(answer, Accepted), answer
    assert answer.facts.told_hash == f"SHA1:{hashlib.sha1(TEXT).hexdigest()}"
    question, file = peer.asked
    assert question["url"].endswith("/v3/bill/tradebill?bill_date=2026-03-02&bill_type=ALL&tar_type=GZIP")
    assert file["url"] == host + target
    values = dict(part.split("=", 1) for part in file["headers"]["Authorization"].split(" ", 1)[1].split(","))
    values = {name: value.strip('"') for name, value in values.items()}
    message = signing.lines("GET", target, values["timestamp"], values["nonce_str"], b"")
    KEY.public_key().verify(base64.b64decode(values["signature"]), message, PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v3/billdownload/file?token=a",
        "https://api.mch.weixin.qq.com.evil.example/v3/billdownload/file?token=a",
        "https://api.mch.weixin.qq.com@evil.example/v3/billdownload/file",
        "https://user@api.mch.weixin.qq.com/v3/billdownload/file",
        "http://api.mch.weixin.qq.com/v3/billdownload/file?token=a",
        "https://api.mch.weixin.qq.com:8443/v3/billdownload/file",
        "https://api.mch.weixin.qq.com",
        "//api.mch.weixin.qq.com/v3/billdownload/file",
        "/v3/billdownload/file",
        "https://openapi.alipay.com/gateway.do",
        "",
    ],
)
def test_wechat_pays_file_at_any_other_place_is_not_asked_for_at_all(peer, url):
    peer.answers = [offered(url)]
    answer = wechatpay().download_bill(WISH, into=io.BytesIO(), now=NOW)
    assert answer == Unknown(reason="download address of another host", sent=False)
    assert len(peer.asked) == 1


def test_over_plain_http_only_inside_our_own_network_where_that_was_allowed(peer):
    url = "http://10.0.0.1:8001/v3/billdownload/file?token=a"
    here = {"api_base": "http://10.0.0.1:8001", "backup_api_base": ""}
    peer.answers = [offered(url), offered(url), reply(200, gzip.compress(TEXT))]
    refused = wechatpay(**here).download_bill(WISH, into=io.BytesIO(), now=NOW)
    assert refused == Unknown(reason="download address of another host", sent=False)
    allowed = wechatpay(private=["10.0.0.1:8001"], **here).download_bill(WISH, into=io.BytesIO(), now=NOW)
    assert isinstance(allowed, Accepted)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([offered("https://api.mch.weixin.qq.com/f", hash_type="SM3")], "answer without an address"),
        ([offered("https://api.mch.weixin.qq.com/f", hash_value=None)], "answer without an address"),
        ([offered("https://api.mch.weixin.qq.com/f", download_url=7)], "answer without an address"),
        ([offered("https://api.mch.weixin.qq.com/f"), reply(200, TEXT)], "file: not a whole gzip file"),
        ([offered("https://api.mch.weixin.qq.com/f"), reply(200, gzip.compress(TEXT + b" "))], "file: not the one"),
        ([offered("https://api.mch.weixin.qq.com/f"), reply(302, b"")], "file: HTTP 302"),
        ([offered("https://api.mch.weixin.qq.com/f"), transport.NoAnswer("deadline")], "file: deadline"),
        ([offered("https://api.mch.weixin.qq.com/f"), ValueError("not normal")], "file: address malformed"),
    ],
)
def test_whatever_is_wrong_with_wechat_pays_file_is_unknown_and_no_word_on_the_channels_health(peer, answers, reason):
    peer.answers = list(answers)
    answer = wechatpay().download_bill(WISH, into=io.BytesIO(), now=NOW)
    assert isinstance(answer, Unknown)
    assert answer.reason.startswith(reason)
    assert not answer.unwell


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NO_STATEMENT_EXIST", 400, Empty(is_certain=True)),
        ("NOSTATEMENTEXIST", 400, Empty(is_certain=True)),
        ("STATEMENT_CREATING", 400, NotReady()),
        ("NO_AUTH", 403, Rejected(code="NO_AUTH", message="m", account_refused=True)),
        ("INVALID_REQUEST", 400, Unknown(reason="HTTP 400 INVALID_REQUEST")),
        ("SIGN_ERROR", 401, Unknown(reason="HTTP 401 SIGN_ERROR")),
        ("SYSTEM_ERROR", 500, Unknown(reason="HTTP 500 SYSTEM_ERROR", unwell=True)),
    ],
)
def test_wechat_pays_words_for_no_bill(peer, code, status, expected):
    peer.answers = [wechatpay_says({"code": code, "message": "m"}, status=status)]
    assert wechatpay().download_bill(WISH, into=io.BytesIO(), now=NOW) == expected


@pytest.mark.parametrize(
    ("kind", "settings", "query"),
    [
        (BillKind.TRADE, {"sub_mchid": "1900000109"}, "bill_type=ALL&sub_mchid=1900000109&tar_type=GZIP"),
        (BillKind.FUND_FLOW, {}, "account_type=BASIC&tar_type=GZIP"),
        (BillKind.FUND_FLOW_OPERATION, {}, "account_type=OPERATION&tar_type=GZIP"),
        (BillKind.FUND_FLOW_FEES, {}, "account_type=FEES&tar_type=GZIP"),
    ],
)
def test_wechat_pay_is_asked_for_each_kind_by_its_own_words(peer, kind, settings, query):
    peer.answers = [wechatpay_says({"code": "NO_STATEMENT_EXIST"}, status=400)]
    wechatpay(**settings).download_bill(BillWish(kind=kind, day=WISH.day), into=io.BytesIO(), now=NOW)
    path = "tradebill" if kind is BillKind.TRADE else "fundflowbill"
    assert peer.asked[0]["url"].endswith(f"/v3/bill/{path}?bill_date=2026-03-02&{query}")


THEIR_FILE = "dwbillcenter.alipay.com/downloadBillFile.resource?bizType=trade&fileId=%2Ftrade%2F1.csv.zip&token=abc"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_alipays_file_is_asked_for_over_tls_and_nothing_of_ours_goes_there(peer, scheme):
    peer.answers = [alipay_says({"code": "10000", "bill_download_url": f"{scheme}://{THEIR_FILE}"}), reply(200, b"PK")]
    into = io.BytesIO()
    answer = alipay().download_bill(WISH, into=into, now=NOW)
    assert isinstance(answer, Accepted), answer
    assert into.getvalue() == b"PK"
    file = peer.asked[1]
    assert (file["url"], file["method"], dict(file["headers"])) == (f"https://{THEIR_FILE}", "GET", {})
    assert "body" not in file


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/a.zip",
        "https://dwbillcenter.alipay.com.evil.example/a.zip",
        "https://dwbillcenter.alipay.com@evil.example/a.zip",
        "https://evil.example\\@dwbillcenter.alipay.com/a.zip",
        "https://dwbillcenter.alipay.com:8443/a.zip",
        "https://openapi.alipay.com/a.zip",
        "http://127.0.0.1/a.zip",
        "ftp://dwbillcenter.alipay.com/a.zip",
        "file:///etc/passwd",
        "dwbillcenter.alipay.com/a.zip",
        "https://[::1/a.zip",
        "",
    ],
)
def test_alipays_file_at_any_other_place_is_not_asked_for(peer, url):
    peer.answers = [alipay_says({"code": "10000", "bill_download_url": url})]
    answer = alipay().download_bill(WISH, into=io.BytesIO(), now=NOW)
    assert answer == Unknown(reason="download address of another host", sent=False)
    assert len(peer.asked) == 1


def test_which_hosts_keep_alipays_files_is_the_accounts_setting(peer):
    url = "http://10.0.0.1:8001/bill/a.zip"
    peer.answers = [alipay_says({"code": "10000", "bill_download_url": url}), reply(200, b"PK")]
    account = alipay(private=["10.0.0.1:8001"], bill_hosts=["10.0.0.1:8001"])
    assert isinstance(account.download_bill(WISH, into=io.BytesIO(), now=NOW), Accepted)
    assert peer.asked[1]["url"] == url, "a private host that was allowed may speak plainly"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"code": "40004", "sub_code": "BILL_NOT_EXIST"}, Empty(is_certain=False)),
        ({"code": "40004", "sub_code": "isp.bill_not_exist"}, Empty(is_certain=False)),
        ({"code": "40004", "sub_code": "UNKNOW_ERROR"}, Unknown(reason="40004 UNKNOW_ERROR")),
        ({"code": "10000"}, Unknown(reason="download address of another host", sent=False)),
    ],
)
def test_alipays_words_for_no_bill(peer, fields, expected):
    peer.answers = [alipay_says(fields)]
    assert alipay().download_bill(WISH, into=io.BytesIO(), now=NOW) == expected


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(403, b""), "file: HTTP 403"),
        (reply(302, b""), "file: HTTP 302"),
        (transport.NotSent("dns_failed"), "file: dns_failed"),
    ],
)
def test_trouble_at_the_host_of_alipays_files_is_not_the_gateways(peer, answer, reason):
    peer.answers = [alipay_says({"code": "10000", "bill_download_url": f"https://{THEIR_FILE}"}), answer]
    assert alipay().download_bill(WISH, into=io.BytesIO(), now=NOW) == Unknown(reason=reason)


@pytest.mark.parametrize(
    ("settings", "issue"),
    [
        ({"bill_kinds": ["trade"]}, None),
        ({"bill_kinds": []}, None),
        ({"bill_hosts": ["a.example"]}, None),
        ({"bill_kinds": "trade"}, "settings: bill_kinds must be a list of fund_flow, trade"),
        ({"bill_kinds": ["all"]}, "settings: bill_kinds must be a list of fund_flow, trade"),
        ({"bill_hosts": "a.example"}, "settings: bill_hosts must be a list of texts"),
        ({"bill_hosts": [1]}, "settings: bill_hosts must be a list of texts"),
    ],
)
def test_an_accounts_lists_are_looked_at(settings, issue):
    given = dict(alipay().config.settings) | settings
    found = AlipayChannel.account_shape.issues(settings=given, secrets={"private_key_pem": "x"})
    assert found == ([issue] if issue else [])
