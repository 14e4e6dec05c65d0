"""The published WeChat Pay vectors through the very functions that the sandbox uses."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from sandbox import crypto

VECTORS: dict[str, dict[str, Any]] = {
    vector["id"]: vector
    for vector in json.loads((Path(__file__).parents[1] / "vectors.json").read_text(encoding="utf-8"))["vectors"]
}


def private_key(vector: dict[str, Any]) -> Any:
    if "private_key_ref" in vector:
        name, field = vector["private_key_ref"].split(".")
        return crypto.private_key(VECTORS[name][field])
    return crypto.private_key(vector["private_key_pem"])


def request_parts(message: str) -> dict[str, Any]:
    method, target, timestamp, nonce, body = message.split("\n", 4)
    return {"method": method, "target": target, "timestamp": timestamp, "nonce": nonce, "body": body[:-1].encode()}


@pytest.mark.parametrize("name", ["wx-req-sign-body", "wx-req-sign-get-empty-body", "wx-req-sign-upload-meta"])
def test_a_request_is_signed_as_the_documentation_shows(name: str) -> None:
    vector = VECTORS[name]
    built = crypto.request_message(**request_parts(vector["message"]))
    assert built == vector["message"].encode()
    assert crypto.sign(built, key=private_key(vector)) == vector["expected_signature"]
    assert crypto.verify(built, vector["expected_signature"], key=private_key(vector).public_key())


def test_the_page_parameters_are_signed_as_the_documentation_shows() -> None:
    vector = VECTORS["wx-jsapi-paysign"]
    app_id, timestamp, nonce, package = vector["message"].splitlines()
    built = crypto.page_message(app_id=app_id, timestamp=timestamp, nonce=nonce, package=package)
    assert built == vector["message"].encode()
    assert crypto.sign(built, key=private_key(vector)) == vector["expected_signature"]


def test_a_real_answer_of_the_platform_verifies_and_a_changed_one_does_not() -> None:
    vector = VECTORS["wx-resp-verify"]
    key = crypto.public_key(vector["public_key_pem"])
    headers = vector["headers"]
    parts = {"timestamp": headers["Wechatpay-Timestamp"], "nonce": headers["Wechatpay-Nonce"]}
    message = crypto.answer_message(**parts, body=vector["body"].encode())
    assert message == vector["message"].encode()
    assert crypto.verify(message, headers["Wechatpay-Signature"], key=key)
    changed = crypto.answer_message(**parts, body=vector["body"].replace("weixin", "Weixin").encode())
    assert not crypto.verify(changed, headers["Wechatpay-Signature"], key=key)


def test_plain_signatures_of_the_official_libraries_come_out_the_same() -> None:
    vector = VECTORS["wx-go-sign"]
    assert crypto.sign(b"source", key=private_key(vector)) == vector["expected_signature"]
    vector = VECTORS["wx-java-sign"]
    signature = crypto.sign(b"message", key=private_key(vector))
    assert crypto.verify(b"message", signature, key=crypto.certificate_key(vector["certificate_pem"]))
    assert signature == vector["expected_signature"]


def test_a_whole_notification_verifies_with_a_certificate_and_decrypts() -> None:
    vector = VECTORS["wx-go-notify"]
    headers = vector["headers"]
    message = crypto.answer_message(
        timestamp=headers["Wechatpay-Timestamp"], nonce=headers["Wechatpay-Nonce"], body=vector["body"].encode()
    )
    assert crypto.verify(message, headers["Wechatpay-Signature"], key=crypto.certificate_key(vector["certificate_pem"]))
    resource = json.loads(vector["body"])["resource"]
    plain = crypto.unseal(
        resource["ciphertext"],
        key=vector["apiv3_key"].encode(),
        nonce=resource["nonce"],
        associated_data=resource["associated_data"],
    )
    assert json.loads(plain) == json.loads(vector["expected_plaintext"])


def test_a_text_is_sealed_as_the_official_library_seals_it() -> None:
    vector = VECTORS["wx-java-aesgcm"]
    parts = {
        "key": vector["apiv3_key"].encode(),
        "nonce": vector["nonce"],
        "associated_data": vector["associated_data"],
    }
    sealed = crypto.seal(vector["plaintext"].encode(), **parts)
    assert sealed == vector["expected_ciphertext"]
    assert crypto.unseal(sealed, **parts) == vector["plaintext"].encode()
    with pytest.raises(InvalidTag):
        crypto.unseal(sealed, **(parts | {"associated_data": "another"}))


def test_a_downloaded_platform_certificate_decrypts_and_has_the_serial_that_is_told() -> None:
    vector = VECTORS["wx-java-platform-cert-download"]
    entry = vector["response_body"]["data"][0]
    sealed = entry["encrypt_certificate"]
    pem = crypto.unseal(
        sealed["ciphertext"],
        key=vector["apiv3_key"].encode(),
        nonce=sealed["nonce"],
        associated_data=sealed["associated_data"],
    ).decode()
    assert crypto.serial_no(crypto.certificate(pem)) == entry["serial_no"]
