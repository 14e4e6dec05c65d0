"""The signature of the UnionPay model, computed by openssl and by nobody of ours: digest, signing and verifying."""

import json
import subprocess

import pytest

from payments.channels.rsa import NotAuthentic
from payments.channels.unionpay import signing
from tests.openplatform import openssl

# What is sent, and the very text that is to be hashed: empty values are in it, the signature is not, names are sorted
# by their bytes (upper case before lower), nothing is escaped.
MESSAGES = [
    (
        {"txnAmt": "4030", "orderNo": "250428769968324730", "backUrl": "https://p.example/c?a=1&b=2", "signature": "x"},
        "backUrl=https://p.example/c?a=1&b=2&orderNo=250428769968324730&txnAmt=4030",
    ),
    (
        {"orderInfo": "两杯咖啡 + & = %", "frontUrl": "", "merId": "898000000000001", "Zone": "x"},
        "Zone=x&frontUrl=&merId=898000000000001&orderInfo=两杯咖啡 + & = %",
    ),
    (
        {"termInfo": {"ip": "203.0.113.9", "a": [1, "b"]}, "txnAmt": 4030, "ok": True, "none": None},
        'none=null&ok=true&termInfo={"ip":"203.0.113.9","a":[1,"b"]}&txnAmt=4030',
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return openssl.Pair(tmp_path_factory.mktemp("pair"), algorithm="RSA")


def hex_sha256(text):
    return subprocess.run(
        ["openssl", "dgst", "-sha256", "-hex"], input=text.encode(), capture_output=True, check=True
    ).stdout.split()[-1]


@pytest.mark.parametrize(("params", "text"), MESSAGES)
def test_what_is_signed_is_the_lower_hex_of_the_sorted_pairs(params, text):
    assert signing.sorted_text(params) == text
    assert signing.digest(params).encode() == hex_sha256(text)
    assert signing.digest(params) == signing.digest(params).lower()


@pytest.mark.parametrize(("params", "text"), MESSAGES)
def test_openssl_takes_our_signature_for_one_over_that_hex(params, text, pair, tmp_path):
    signature = signing.sign(params, pem=pair.private.read_text())
    assert openssl.verifies(tmp_path, pem=pair.public_pem, message=hex_sha256(text), signature=signature)
    assert signature == pair.sign(hex_sha256(text)), "and makes the same"


@pytest.mark.parametrize(("params", "text"), MESSAGES)
def test_we_take_openssls_signature_and_no_other(params, text, pair):
    signed = params | {"signature": pair.sign(hex_sha256(text))}
    over_the_wire = json.loads(json.dumps(signed))
    signing.verify(over_the_wire, pems=[pair.public_pem])
    for name in params.keys() - {"signature"}:
        with pytest.raises(NotAuthentic):
            signing.verify(signed | {name: "changed"}, pems=[pair.public_pem])
        with pytest.raises(NotAuthentic):
            signing.verify({key: value for key, value in signed.items() if key != name}, pems=[pair.public_pem])
    with pytest.raises(NotAuthentic):
        signing.verify(signed | {"added": ""}, pems=[pair.public_pem])
    with pytest.raises(NotAuthentic):
        signing.verify(params | {"signature": pair.sign(text.encode())}, pems=[pair.public_pem])


@pytest.mark.parametrize("signature", [None, "", 7, [], "not base64!", "AAAA"])
def test_what_is_no_signature_is_none(signature, pair):
    with pytest.raises(NotAuthentic):
        signing.verify({"orderNo": "1", "signature": signature}, pems=[pair.public_pem])


def test_the_next_key_may_be_registered_beside_the_one_that_signs_now(pair, tmp_path):
    other = openssl.Pair(tmp_path / "other", algorithm="RSA")
    params, text = MESSAGES[0]
    signed = params | {"signature": pair.sign(hex_sha256(text))}
    signing.verify(signed, pems=[other.public_pem, pair.public_pem])
    for pems in ([other.public_pem], []):
        with pytest.raises(NotAuthentic):
            signing.verify(signed, pems=pems)
