"""The published test vectors of Alipay (tests/vectors.json), through our own signing."""

import json
from pathlib import Path

import pytest

from payments.channels.alipay import signing
from payments.channels.alipay.signing import NotAuthentic

VECTORS = {
    vector["id"]: vector
    for vector in json.loads((Path(__file__).parents[2] / "vectors.json").read_text(encoding="utf-8"))["vectors"]
}
NODE = "alipay_open_file_upload_response"


@pytest.mark.parametrize(
    ("name", "without"),
    [("ali-notify-rsa2", {"sign", "sign_type"}), ("ali-notify-keep-signtype", {"sign"})],
)
def test_a_callback_of_theirs_is_verified_over_its_sorted_fields(name, without):
    vector = VECTORS[name]
    assert signing.sorted_text(vector["params"], without=frozenset(without)) == vector["message"]
    signing.verify_callback(vector["params"], pem=vector["alipay_public_key_pem"])


@pytest.mark.parametrize("name", ["ali-notify-rsa2", "ali-notify-keep-signtype"])
def test_a_changed_field_of_a_callback_is_noticed(name):
    vector = VECTORS[name]
    for field in set(vector["params"]) - {"sign", "sign_type"}:
        with pytest.raises(NotAuthentic):
            signing.verify_callback(vector["params"] | {field: "changed"}, pem=vector["alipay_public_key_pem"])


def test_an_answer_is_verified_over_the_very_text_of_its_node():
    vector = VECTORS["ali-response-verify"]
    text, value = signing.signed_part(vector["raw_response"], node=NODE)
    assert text == vector["signed_substring"]
    assert value["code"] == "10000"
    signature = json.loads(vector["raw_response"])["sign"]
    signing.verify(text, signature=signature, pem=vector["alipay_public_key_pem"])
    for changed in (text.replace('"', '" ', 1), text + " ", text.replace("10000", "10001")):
        with pytest.raises(NotAuthentic):
            signing.verify(changed, signature=signature, pem=vector["alipay_public_key_pem"])


def test_content_is_encrypted_as_published_and_opened_again():
    vector = VECTORS["ali-aes"]
    assert signing.encrypt(vector["plaintext"], key=vector["key_b64"]) == vector["expected_ciphertext"]
    assert signing.decrypt(vector["expected_ciphertext"], key=vector["key_b64"]) == vector["plaintext"]
    for broken in ("", "AAAA", "not base64!", vector["expected_ciphertext"][:-4] + "AAA="):
        with pytest.raises(NotAuthentic):
            signing.decrypt(broken, key=vector["key_b64"])


def test_the_numbers_of_certificates_are_the_published_ones():
    vector = VECTORS["ali-cert-sn"]
    assert signing.certificate_sn(vector["app_cert_pem"]) == vector["expected_app_cert_sn"]
    assert signing.certificate_sn(vector["alipay_cert_pem"]) == vector["expected_alipay_cert_sn"]


def test_the_number_of_a_root_file_joins_those_of_its_rsa_certificates_and_skips_what_cannot_be_read():
    """Their own root file is not among the vectors; its published number has this form."""
    parts = VECTORS["ali-cert-sn"]
    unreadable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    chain = "\n".join((parts["app_cert_pem"], unreadable, parts["alipay_cert_pem"]))
    joined = f"{parts['expected_app_cert_sn']}_{parts['expected_alipay_cert_sn']}"
    assert signing.root_certificate_sn(chain) == joined
    assert VECTORS["ali-root-cert-sn"]["expected_root_cert_sn"].count("_") == 1
