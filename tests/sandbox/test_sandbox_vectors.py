"""The published vectors through the very functions that the sandbox uses."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from sandbox import crypto
from sandbox.alipay import certs, messages

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


def test_a_sensitive_field_is_decrypted_as_the_official_library_encrypts_it() -> None:
    vector = VECTORS["wx-java-oaep"]
    assert crypto.oaep_decrypt(vector["ciphertext"], key=private_key(vector)) == vector["expected_plaintext"]
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the library says of a text that is not ours
        crypto.oaep_decrypt("AAAA" * 64, key=private_key(vector))


def test_a_real_alipay_notification_verifies_without_sign_type_and_a_changed_one_does_not() -> None:
    vector = VECTORS["ali-notify-rsa2"]
    key = crypto.public_key(vector["alipay_public_key_pem"])
    message = messages.notice_message(vector["params"])
    assert message == vector["message"].encode()
    assert crypto.verify(message, vector["params"]["sign"], key=key)
    changed = messages.notice_message(vector["params"] | {"total_amount": "0.01"})
    assert not crypto.verify(changed, vector["params"]["sign"], key=key)


def test_the_notification_that_keeps_sign_type_is_signed_as_requests_are() -> None:
    vector = VECTORS["ali-notify-keep-signtype"]
    message = messages.request_message(vector["params"])
    assert message == vector["message"].encode()
    assert crypto.verify(message, vector["params"]["sign"], key=crypto.public_key(vector["alipay_public_key_pem"]))


def test_a_real_alipay_answer_is_signed_over_the_nodes_exact_text() -> None:
    vector = VECTORS["ali-response-verify"]
    signature = json.loads(vector["raw_response"])["sign"]
    key = crypto.public_key(vector["alipay_public_key_pem"])
    assert crypto.verify(vector["signed_substring"].encode(), signature, key=key)
    assert messages.node_text(json.loads(vector["signed_substring"])) == vector["signed_substring"]


def test_content_is_encrypted_as_alipays_library_does_it() -> None:
    vector = VECTORS["ali-aes"]
    assert messages.encrypt(vector["plaintext"], key=vector["key_b64"]) == vector["expected_ciphertext"]
    assert messages.decrypt(vector["expected_ciphertext"], key=vector["key_b64"]) == vector["plaintext"]


@pytest.mark.parametrize("whose", ["app", "alipay"])
def test_the_serial_of_an_alipay_certificate_is_the_published_one(whose: str) -> None:
    vector = VECTORS["ali-cert-sn"]
    pem = vector[f"{whose}_cert_pem"]
    assert certs.md5_input(crypto.certificate(pem)) == vector[f"{whose}_md5_input"]
    assert certs.serial(pem) == vector[f"expected_{whose}_cert_sn"]


def test_the_serial_of_a_root_file_joins_those_that_rsa_has_signed() -> None:
    """The published file itself is not among the vectors; two of its kind and one that is none stand in for it."""
    vector = VECTORS["ali-cert-sn"]
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    file = "\n".join([vector["app_cert_pem"], broken, vector["alipay_cert_pem"]])
    assert certs.root_serial(file) == f"{vector['expected_app_cert_sn']}_{vector['expected_alipay_cert_sn']}"
