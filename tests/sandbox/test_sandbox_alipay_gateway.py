"""The door of Alipay's gateway: what it checks before any business, how it signs, both key modes, encrypted content."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509 import load_pem_x509_certificates

from sandbox.alipay import messages
from tests.sandbox.alipay_callers import AlipayCaller
from tests.sandbox.callers import new_number

QUERY = "alipay.trade.query"
BIZ = {"out_trade_no": "A404404"}


@pytest.mark.parametrize(
    ("changes", "code", "sub_code"),
    [
        ({"app_id": None}, "40001", "isv.missing-app-id"),
        ({"app_id": "2021000000000000"}, "40002", "isv.invalid-app-id"),
        ({"sign_type": None}, "40001", "isv.missing-signature-type"),
        ({"sign_type": "RSA"}, "40002", "isv.invalid-signature-type"),
        ({"sign": ""}, "40001", "isv.missing-signature"),
        ({"sign": "AAAA"}, "40002", "isv.invalid-signature"),
        ({"version": None}, "40001", "isv.missing-version"),
        ({"charset": "gbk"}, "40002", "isv.invalid-charset"),
        ({"format": "XML"}, "40002", "isv.invalid-format"),
        ({"timestamp": None}, "40001", "isv.missing-timestamp"),
        ({"timestamp": "2020-01-01 00:00:00"}, "40002", "isv.invalid-timestamp"),
        ({"timestamp": "2020-1-1 0:0:0"}, "40002", "isv.invalid-timestamp"),
        ({"biz_content": "{"}, "40002", "isv.invalid-parameter"),
        ({"biz_content": "[]"}, "40002", "isv.invalid-parameter"),
        ({"method": "alipay.trade.nothing"}, "40002", "isv.invalid-method"),
    ],
)
def test_a_bad_request_is_refused_with_its_own_sub_code(
    alipay: AlipayCaller, changes: dict[str, Any], code: str, sub_code: str
) -> None:
    changes = {"method": QUERY} | changes
    method = changes.pop("method")
    answer = alipay.send(method, None if "biz_content" in changes else BIZ, **changes)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html;charset=utf-8")
    told = alipay.read(answer.text)
    assert (told["code"], told["sub_code"]) == (code, sub_code)


@pytest.mark.parametrize(
    ("changes", "sub_code"),
    [
        ({"app_cert_sn": None}, "isv.missing-app-cert-sn"),
        ({"alipay_root_cert_sn": None}, "isv.missing-root-cert-sn"),
        ({"app_cert_sn": "0" * 32}, "isv.invalid-app-cert-sn"),
        ({"alipay_root_cert_sn": "0"}, "isv.invalid-root-cert-sn"),
    ],
)
def test_certificate_mode_wants_both_serials_and_the_right_ones(
    alipay_by_certificate: AlipayCaller, changes: dict[str, Any], sub_code: str
) -> None:
    params = alipay_by_certificate.params(QUERY, BIZ, **changes)
    url = alipay_by_certificate.identity["gateway_url"]
    answer = json.loads(alipay_by_certificate.session.post(url, data=params, timeout=5).text)
    assert answer["alipay_trade_query_response"]["sub_code"] == sub_code


def test_an_unknown_app_is_answered_without_a_sign_and_a_bad_signature_with_one(alipay: AlipayCaller) -> None:
    unknown = json.loads(alipay.send(QUERY, BIZ, app_id="2021000000000000").text)
    assert list(unknown) == ["alipay_trade_query_response"]
    refused = alipay.send(QUERY, BIZ, sign="AAAA").text
    assert "sign" in json.loads(refused)
    assert alipay.genuine(refused)


def test_a_refused_signature_stands_in_the_log_with_what_should_have_been_signed(alipay: AlipayCaller) -> None:
    params = alipay.params(QUERY, BIZ, sign="AAAA")
    alipay.session.post(alipay.identity["gateway_url"], data=params, timeout=5)
    logged = alipay.sandbox.control.calls(code="isv.invalid-signature")[-1]
    expected = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "sign")
    assert logged["canonical"] == expected
    assert (logged["channel"], logged["executed"]) == ("alipay", False)


@pytest.mark.parametrize("way", ["query", "form", "multipart", "mixed"])
def test_parameters_may_travel_in_the_query_or_in_a_form(alipay: AlipayCaller, way: str) -> None:
    params, url = alipay.params(QUERY, BIZ), alipay.identity["gateway_url"]
    sent = {
        "query": lambda: alipay.session.get(url, params=params, timeout=5),
        "form": lambda: alipay.session.post(url, data=params, timeout=5),
        "multipart": lambda: alipay.session.post(
            url, files={name: (None, value) for name, value in params.items()}, timeout=5
        ),
        "mixed": lambda: alipay.send(QUERY, BIZ),
    }[way]()
    assert alipay.read(sent.text)["sub_code"] == "ACQ.TRADE_NOT_EXIST"


def test_the_sign_covers_the_exact_text_with_its_escapes(alipay: AlipayCaller) -> None:
    biz = {**alipay.order(buyer_open_id=None), "product_code": "QR_CODE_OFFLINE"}
    text = alipay.send("alipay.trade.precreate", biz).text
    assert r"https:\/\/qr.alipay.com\/" in text
    assert alipay.genuine(text)
    assert not alipay.genuine(text.replace("\\/", "/"))


def test_in_certificate_mode_the_answer_names_the_certificate(alipay_by_certificate: AlipayCaller) -> None:
    caller = alipay_by_certificate
    text = caller.send(QUERY, BIZ).text
    assert json.loads(text)["alipay_cert_sn"] == caller.identity["alipay_cert_sn"]
    assert caller.genuine(text)
    plain = AlipayCaller(caller.sandbox, notify_url="")
    assert not plain.genuine(text)


def test_a_rotation_shows_in_the_named_certificate_which_can_be_downloaded(alipay_by_certificate: AlipayCaller) -> None:
    caller = alipay_by_certificate
    caller.sandbox.control.options(alipay_next_percent=50.0)
    seen = {json.loads(caller.send(QUERY, BIZ).text)["alipay_cert_sn"] for _ in range(24)}
    assert len(seen) == 2
    caller.sandbox.control.options(alipay_next_percent=0.0)
    for cert_sn in seen:
        told = caller.call("alipay.open.app.alipaycert.download", {"alipay_cert_sn": cert_sn})
        leaf, between = load_pem_x509_certificates(base64.b64decode(told["alipay_cert_content"]))
        root = load_pem_x509_certificates(caller.identity["alipay_root_certificates_pem"].encode())[0]
        leaf.verify_directly_issued_by(between)
        between.verify_directly_issued_by(root)
    unknown = caller.call("alipay.open.app.alipaycert.download", {"alipay_cert_sn": "0" * 32})
    assert unknown["sub_code"] == "isv.invalid-alipay-cert-sn"


def aes(caller: AlipayCaller) -> Any:
    return Cipher(algorithms.AES(base64.b64decode(caller.identity["aes_key"])), modes.CBC(bytes(16)))


def test_content_may_be_encrypted_both_ways_and_the_sign_includes_the_quotes(alipay: AlipayCaller) -> None:
    biz = alipay.order()
    padder = padding.PKCS7(128).padder()
    padded = padder.update(json.dumps(biz).encode()) + padder.finalize()
    encryptor = aes(alipay).encryptor()
    sealed = base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()
    text = alipay.send("alipay.trade.create", sealed, encrypt_type="AES").text
    value = json.loads(text)["alipay_trade_create_response"]
    assert isinstance(value, str)
    assert alipay.genuine(text)
    decryptor = aes(alipay).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    plain = unpadder.update(decryptor.update(base64.b64decode(value)) + decryptor.finalize()) + unpadder.finalize()
    assert json.loads(plain)["out_trade_no"] == biz["out_trade_no"]
    assert messages.decrypt(value, key=alipay.identity["aes_key"]) == plain.decode()


def test_content_that_is_not_encrypted_as_it_says_is_refused(alipay: AlipayCaller) -> None:
    assert alipay.call(QUERY, BIZ, encrypt_type="AES")["sub_code"] == "isv.decryption-error-unknown"


def test_a_clock_that_is_wrong_refuses_every_timestamp(alipay: AlipayCaller) -> None:
    alipay.sandbox.control.options(clock_skew_s=600.0)
    assert alipay.query(new_number())["sub_code"] == "isv.invalid-timestamp"


def test_unknown_members_of_biz_content_are_refused(alipay: AlipayCaller) -> None:
    answer = alipay.call(QUERY, {"out_trade_no": "A1", "out_trade_no ": "A1"})
    assert (answer["code"], answer["sub_code"]) == ("40004", "ACQ.INVALID_PARAMETER")
