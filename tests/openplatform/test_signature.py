"""Our strings and signatures against published values."""

import base64
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from openplatform.authorization import parse_authorization
from openplatform.signature import RsaPublicKey, answer_message, request_message, sign_rsa
from tests.certificates import private_key
from tests.openplatform.harness import a_key, public_pem

VECTORS = {
    vector["id"]: vector
    for vector in json.loads((Path(__file__).parent.parent / "vectors.json").read_text(encoding="utf-8"))["vectors"]
}


def key_of(vector):
    if "private_key_ref" in vector:
        vector = VECTORS[vector["private_key_ref"].split(".")[0]]
    return private_key(vector["private_key_pem"])


def public_key(vector):
    if "certificate_pem" in vector:
        key = x509.load_pem_x509_certificate(vector["certificate_pem"].encode()).public_key()
        return RsaPublicKey.load(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
    return RsaPublicKey.load(vector["public_key_pem"])


def test_the_five_line_string_is_the_published_one():
    vector = VECTORS["wx-req-sign-body"]
    message = request_message(
        method=vector["method"], target=vector["url"], timestamp=vector["timestamp"], nonce=vector["nonce_str"],
        body=vector["body"].encode(),
    )  # fmt: skip
    assert message == vector["message"].encode()
    assert sign_rsa(key_of(vector), message) == vector["expected_signature"]


def test_the_string_of_a_get_ends_with_an_empty_line():
    vector = VECTORS["wx-req-sign-get-empty-body"]
    _get, target, timestamp, nonce, *_ = vector["message"].split("\n")
    message = request_message(method="GET", target=target, timestamp=timestamp, nonce=nonce, body=b"")
    assert message == vector["message"].encode()
    assert sign_rsa(key_of(vector), message) == vector["expected_signature"]


@pytest.mark.parametrize("name", ["wx-jsapi-paysign", "wx-req-sign-upload-meta", "wx-go-sign", "wx-java-sign"])
def test_other_published_signatures_are_ours_too(name):
    vector = VECTORS[name]
    assert sign_rsa(key_of(vector), vector["message"].encode()) == vector["expected_signature"]


@pytest.mark.parametrize("name", ["wx-resp-verify", "wx-go-notify"])
def test_the_three_line_string_of_a_published_answer_is_proven(name):
    vector = VECTORS[name]
    headers = {key.lower(): value for key, value in vector["headers"].items()}
    body = vector["body"] if isinstance(vector["body"], str) else json.dumps(vector["body"])
    message = answer_message(
        timestamp=headers["wechatpay-timestamp"], nonce=headers["wechatpay-nonce"], body=body.encode()
    )
    assert message == vector["message"].encode()
    signature = base64.b64decode(headers["wechatpay-signature"])
    assert public_key(vector).verifies(message=message, signature=signature)
    assert not public_key(vector).verifies(message=message + b" ", signature=signature)


def test_a_signature_of_another_length_is_refused_before_any_arithmetic():
    key = a_key()
    public = RsaPublicKey.load(public_pem(key))
    signature = base64.b64decode(sign_rsa(key, b"x"))
    assert public.verifies(message=b"x", signature=signature)
    for wrong in (signature[:-1], signature + b"\x00", b"\x00" + signature, b""):
        assert not public.verifies(message=b"x", signature=wrong)


def test_a_key_of_an_odd_length_has_signatures_of_whole_bytes():
    key = a_key(2052)
    public = RsaPublicKey.load(public_pem(key))
    assert public.verifies(message=b"x", signature=base64.b64decode(sign_rsa(key, b"x")))


def test_the_published_header_parses_but_for_its_short_merchant_number():
    vector = VECTORS["wx-req-sign-body"]
    header = vector["expected_authorization"].replace('mchid="1900007291"', 'mchid="1900007291000000"')
    assert base64.b64encode(parse_authorization(header).signature).decode() == vector["expected_signature"]
