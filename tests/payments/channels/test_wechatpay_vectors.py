"""The published test vectors of WeChat Pay APIv3 (tests/vectors.json), through our own signing."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from payments.channels import rsa
from payments.channels.rsa import NotAuthentic
from payments.channels.wechatpay import signing

VECTORS = {
    vector["id"]: vector
    for vector in json.loads((Path(__file__).parents[2] / "vectors.json").read_text(encoding="utf-8"))["vectors"]
}


def private_pem(vector: dict) -> str:
    if "private_key_pem" in vector:
        return vector["private_key_pem"]
    return VECTORS[vector["private_key_ref"].split(".")[0]]["private_key_pem"]


def public_pem(vector: dict) -> str:
    if "public_key_pem" in vector:
        return vector["public_key_pem"]
    pem = next(value for name, value in vector.items() if name.endswith("certificate_pem"))
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("name", ["wx-req-sign-body", "wx-req-sign-get-empty-body", "wx-jsapi-paysign"])
def test_our_signature_is_the_published_one(name):
    vector = VECTORS[name]
    assert rsa.sign(vector["message"].encode(), pem=private_pem(vector)) == vector["expected_signature"]


def test_the_request_message_and_header_are_the_published_ones():
    vector = VECTORS["wx-req-sign-body"]
    method, target, timestamp, nonce, body = vector["message"].split("\n")[:5]
    header = signing.authorization(
        method=method, target=target, body=body.encode(), timestamp=int(timestamp), nonce=nonce,
        mchid=vector["mchid"], serial_no=vector["serial_no"], pem=private_pem(vector),
    )  # fmt: skip
    assert f'signature="{vector["expected_signature"]}"' in header
    assert header.startswith(f'WECHATPAY2-SHA256-RSA2048 mchid="{vector["mchid"]}",')


def test_the_page_signature_is_the_published_one():
    vector = VECTORS["wx-jsapi-paysign"]
    app_id, timestamp, nonce, package = vector["message"].split("\n")[:4]
    signed = signing.page_signature(
        app_id=app_id, timestamp=timestamp, nonce=nonce, package=package, pem=private_pem(vector)
    )
    assert signed == vector["expected_signature"]


def verify(vector: dict, *, body: bytes, headers: dict, at: int) -> None:
    serial_no = headers.get("Wechatpay-Serial", "the-key")
    signing.verify(
        headers={**headers, "Wechatpay-Serial": serial_no}, body=body, keys={serial_no: public_pem(vector)},
        now=datetime.fromtimestamp(at, UTC),
    )  # fmt: skip


def test_a_real_answer_verifies_and_a_changed_one_does_not():
    vector = VECTORS["wx-resp-verify"]
    at = int(vector["headers"]["Wechatpay-Timestamp"])
    verify(vector, body=vector["body"].encode(), headers=vector["headers"], at=at)
    changed = vector["body"] + " "
    for body, moment in ((changed, at), (vector["body"], at + 300), (vector["body"], at - 300)):
        with pytest.raises(NotAuthentic):
            verify(vector, body=body.encode(), headers=vector["headers"], at=moment)


@pytest.mark.parametrize(
    "signature", ["WECHATPAY/SIGNTEST/abc", "", "not base64!", base64.b64encode(b"x" * 256).decode()]
)
def test_a_probe_or_a_forged_signature_fails(signature):
    vector = VECTORS["wx-resp-verify"]
    headers = {**vector["headers"], "Wechatpay-Signature": signature}
    with pytest.raises(NotAuthentic):
        verify(vector, body=vector["body"].encode(), headers=headers, at=int(headers["Wechatpay-Timestamp"]))


def test_a_whole_notification_verifies_and_decrypts():
    vector = VECTORS["wx-go-notify"]
    verify(
        vector, body=vector["body"].encode(), headers=vector["headers"],
        at=int(vector["headers"]["Wechatpay-Timestamp"]),
    )  # fmt: skip
    resource = json.loads(vector["body"])["resource"]
    plain = signing.open_resource(resource, api_key=vector["apiv3_key"])
    expected = vector["expected_plaintext"]
    assert json.loads(plain) == (json.loads(expected) if isinstance(expected, str) else expected)
    for name, value in (("ciphertext", "A" + resource["ciphertext"][1:]), ("associated_data", "other")):
        with pytest.raises(NotAuthentic):
            signing.open_resource({**resource, name: value}, api_key=vector["apiv3_key"])


def test_the_published_gcm_message_decrypts():
    vector = VECTORS["wx-java-aesgcm"]
    resource = {
        "algorithm": "AEAD_AES_256_GCM", "nonce": vector["nonce"], "associated_data": vector["associated_data"],
        "ciphertext": vector["expected_ciphertext"],
    }  # fmt: skip
    assert signing.open_resource(resource, api_key=vector["apiv3_key"]) == b"message"


def test_a_platform_certificate_download_decrypts_to_its_serial():
    vector = VECTORS["wx-java-platform-cert-download"]
    entry = vector["response_body"]["data"][0]
    pem = signing.open_resource(entry["encrypt_certificate"], api_key=vector["apiv3_key"])
    assert f"{x509.load_pem_x509_certificate(pem).serial_number:X}" == entry["serial_no"].lstrip("0")
