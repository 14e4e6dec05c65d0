"""docs/vectors.json is what the code makes, and three other readings of the protocol agree with it."""

import base64
import binascii
import json
import re
import shutil

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from django.core.management import CommandError, call_command
from django.utils import timezone
from requests.structures import CaseInsensitiveDict

from openplatform.authorization import AuthorizationMalformed, parse_authorization
from openplatform.client import NotVerified, signing, verify_notification
from openplatform.client.envelopes import decrypt_text
from openplatform.client.errors import NotOpened
from openplatform.envelopes import EnvelopeRefused, open_envelope
from openplatform.key_material import Purpose, facts_of
from openplatform.keys import LIFETIME
from openplatform.management.commands import signature_vectors
from openplatform.models import AppKey, PlatformKey
from openplatform.models.keys import PlatformKeyStatus
from openplatform.vectors import VECTORS_FILE, rendered
from openplatform.vectors.keys import SPECS, WARNING
from tests import certificates, factories
from tests.openplatform import harness
from tests.openplatform import openssl as command
from tests.openplatform.platforms import config

DOCUMENT = json.loads(VECTORS_FILE.read_text(encoding="utf-8"))
VECTORS = DOCUMENT["vectors"]
ENVELOPES = DOCUMENT["envelopes"]
KEYS = {key["id"]: key for key in DOCUMENT["keys"]}
APP_ID = "1234567890123456789"


def by(*kinds, valid=None):
    return [each for each in VECTORS if each["kind"] in kinds and valid in (None, each["valid"])]


def named(vectors):
    return pytest.mark.parametrize("vector", vectors, ids=[each["id"] for each in vectors])


def public_key(vector):
    return load_pem_public_key(KEYS[vector["key"]]["public_key_pem"].encode())


def body_of(vector):
    return bytes.fromhex(vector["input"]["body"]["hex"])


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_file_is_what_the_code_makes():
    assert rendered(DOCUMENT) == VECTORS_FILE.read_text(encoding="utf-8")
    call_command("signature_vectors", "--check")


def test_a_file_that_is_not_what_the_code_makes_is_noticed_and_repaired(tmp_path, monkeypatch):
    copy = tmp_path / "vectors.json"
    monkeypatch.setattr(signature_vectors, "VECTORS_FILE", copy)
    copy.write_text(VECTORS_FILE.read_text(encoding="utf-8").replace("40.30", "40.31"), encoding="utf-8")
    with pytest.raises(CommandError, match="not what the code makes"):
        call_command("signature_vectors", "--check")
    call_command("signature_vectors", "--write")
    assert copy.read_bytes() == VECTORS_FILE.read_bytes()


def test_a_key_that_is_missing_is_made_and_the_others_stay():
    without = DOCUMENT | {"keys": [key for key in DOCUMENT["keys"] if key["id"] != "stranger"]}
    made = {key["id"]: key["public_key_pem"] for key in json.loads(rendered(without))["keys"]}
    assert made["merchant"] == KEYS["merchant"]["public_key_pem"]
    assert made["stranger"] != KEYS["stranger"]["public_key_pem"]


def test_every_key_is_marked_as_public_in_itself():
    assert KEYS.keys() == SPECS.keys()
    assert len({key["serial_no"] for key in KEYS.values()}) == len(KEYS)
    assert all(key["warning"] == WARNING for key in KEYS.values())


def test_there_is_a_vector_of_each_sort_and_each_bad_one_says_why():
    assert len({each["id"] for each in VECTORS}) == len(VECTORS)
    for kind in ("request", "answer", "notification"):
        for scheme in ("FENPAY-SHA256-RSA2048", "FENPAY-ED25519"):
            assert [each for each in by(kind, valid=True) if each["scheme"] == scheme]
            assert len([each for each in by(kind, valid=False) if each["scheme"] == scheme]) > 5
    assert all(bool(each["reason"]) is not each["valid"] for each in VECTORS)
    bodies = [body_of(each) for each in by("request", valid=True)]
    assert b"" in bodies
    assert any("咖啡".encode() in body for body in bodies)
    assert any(b"\\u4e24" in body and b"\\/" in body for body in bodies)
    assert any("?" in each["input"]["target"] for each in by("request", valid=True))


@named(VECTORS)
def test_text_and_hex_say_the_same(vector):
    for part in (vector["message"], vector["input"]["body"], vector["signed_instead"] or vector["message"]):
        assert part["text"].encode() == bytes.fromhex(part["hex"])
    assert bytes.fromhex(vector["message"]["hex"]).endswith(b"\n")


# --- openssl ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def openssl(require, tmp_path_factory):
    """`openssl(vector, message)`: whether the command verifies the vector's signature over these bytes."""
    require(shutil.which("openssl"), "there is no openssl command")
    directory = tmp_path_factory.mktemp("openssl")

    def verifies(vector, message):
        pem = KEYS[vector["key"]]["public_key_pem"]
        return command.verifies(directory, pem=pem, message=message, signature=vector["signature"])

    return verifies


@named(VECTORS)
def test_openssl_accepts_what_is_valid_and_refuses_what_is_not(vector, openssl):
    assert openssl(vector, bytes.fromhex(vector["message"]["hex"])) is vector["valid"]


@named([each for each in VECTORS if each["signed_instead"]])
def test_a_mistake_is_really_that_mistake(vector, openssl):
    """The signature is right for the string that was signed by mistake: nothing else is wrong with the vector."""
    assert openssl(vector, bytes.fromhex(vector["signed_instead"]["hex"]))


# --- the client -------------------------------------------------------------------------------------------------------


@named(by("request"))
def test_the_client_builds_the_same_string_and_signature(vector):
    given = vector["input"]
    message = signing.request_message(
        method=given["method"], target=given["target"], timestamp=given["timestamp"], nonce=given["nonce"],
        body=body_of(vector),
    )  # fmt: skip
    assert message.hex() == vector["message"]["hex"]
    merchant = KEYS[vector["key"]]
    ours = config(
        app_id=APP_ID, serial_no=merchant["serial_no"],
        private_key=certificates.private_key(merchant["private_key_pem"]),
    )  # fmt: skip
    headers = signing.request_headers(
        ours, method=given["method"], target=given["target"], body=body_of(vector), nonce=given["nonce"],
        clock=lambda: float(given["timestamp"]),
    )  # fmt: skip
    assert (headers["Authorization"] == vector["headers"]["Authorization"]) is vector["valid"]


@named(by("answer", "notification"))
def test_the_client_accepts_what_is_valid_and_refuses_what_is_not(vector):
    ours = config(
        app_id=APP_ID,
        platform_keys={KEYS[name]["serial_no"]: public_key({"key": name}) for name in ("platform", "platform-ed25519")},
    )
    headers = CaseInsensitiveDict(vector["headers"])

    def clock():
        return float(vector["input"]["timestamp"])

    def check():
        if vector["kind"] == "notification":
            verify_notification(ours, headers=headers, body=body_of(vector), clock=clock)
        signing.verify(ours, headers=headers, body=body_of(vector), clock=clock)

    if vector["valid"]:
        check()
        return
    with pytest.raises(NotVerified, match="signature is wrong"):
        check()


# --- the gate ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def gate(platform_key, settings, monkeypatch):
    """`gate(authorization, vector)`: what our server answers to a vector, whose keys an app of ours has registered.

    Neither the app nor the serial is signed, so the header names those that this database gave out.
    """
    settings.TIMESTAMP_WINDOW_S = 10**10  # the vectors have one fixed time
    settings.TEST_PLATFORM = True
    settings.CREATE_WAIT_S = 0
    app = factories.an_app()
    named = {APP_ID: str(app.pk)}
    for key in (KEYS["merchant"], KEYS["merchant-ed25519"]):
        registered = AppKey.register(app=app, public_key_pem=key["public_key_pem"], now=timezone.now())
        named[key["serial_no"]] = registered.pk
    caller = harness.Caller(app, serial_no=registered.pk)

    def send(authorization, vector):
        for theirs, ours in named.items():
            authorization = authorization.replace(f'="{theirs}"', f'="{ours}"')
        given = vector["input"]
        return caller.send(given["method"], given["target"], body_of(vector), authorization=authorization)

    return send


@pytest.mark.django_db
@named(by("request"))
def test_the_gate_accepts_what_is_valid_and_refuses_what_is_not(vector, gate):
    answer = gate(vector["headers"]["Authorization"], vector)
    assert harness.is_signed_by_us(answer) is vector["valid"]
    if vector["valid"]:
        assert answer.status_code in {200, 202, 404}
        return
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
    assert "malformed" not in answer.json()["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("malformed", DOCUMENT["malformed_headers"], ids=lambda each: each["reason"])
def test_a_malformed_header_is_refused_for_its_form(malformed, gate):
    with pytest.raises(AuthorizationMalformed):
        parse_authorization(malformed["header"])
    answer = gate(malformed["header"], by("request", valid=True)[0])
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
    assert "malformed" in answer.json()["detail"]


def test_a_signature_in_the_file_is_strict_base64():
    for vector in VECTORS:
        raw = base64.b64decode(vector["signature"], validate=True)
        assert binascii.b2a_base64(raw, newline=False).decode() == vector["signature"]


# --- envelopes --------------------------------------------------------------------------------------------------------


def to(direction):
    found = [each for each in ENVELOPES if each["direction"] == direction]
    return pytest.mark.parametrize("envelope", found, ids=[each["id"] for each in found])


def private_key(name):
    return certificates.private_key(KEYS[name]["private_key_pem"])


def test_there_is_an_envelope_of_each_sort_and_each_bad_one_says_why():
    assert len({each["id"] for each in ENVELOPES}) == len(ENVELOPES)
    for direction in ("to_platform", "to_merchant"):
        valid = [each["valid"] for each in ENVELOPES if each["direction"] == direction]
        assert valid.count(True) >= 2
        assert valid.count(False) > 10
    assert all(bool(each["reason"]) is not each["valid"] for each in ENVELOPES)


class Refused(Exception):
    """By the reader below."""


@pytest.fixture(scope="module")
def opened_by_openssl(require, tmp_path_factory):
    """A reading of RFC 7516 of its own: openssl unwraps the content key, and AES-GCM is called by hand."""
    require(shutil.which("openssl"), "there is no openssl command")
    directory = tmp_path_factory.mktemp("envelopes")

    def unwrap(name, wrapped):
        (directory / "private.pem").write_text(KEYS[name]["private_key_pem"])
        (directory / "wrapped").write_bytes(wrapped)
        options = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"]
        return command.run(
            "pkeyutl", "-decrypt", "-inkey", "private.pem", "-in", "wrapped",
            *(word for option in options for word in ("-pkeyopt", option)), cwd=directory,
        )  # fmt: skip

    def bytes_of(part):
        if not re.fullmatch(r"[A-Za-z0-9_-]+", part):
            raise Refused
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    def opened(token, *, name, issuer):
        parts = token.split(".")
        if len(parts) != 5:
            raise Refused
        raw_header, wrapped, iv, ciphertext, tag = map(bytes_of, parts)
        pairs = json.loads(raw_header, object_pairs_hook=list)
        wanted = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": KEYS[name]["serial_no"], "iss": issuer}
        if sorted(pairs) != sorted(wanted.items()) or (len(iv), len(tag)) != (12, 16):
            raise Refused
        try:
            content_key = unwrap(name, wrapped)
            plaintext = AESGCM(content_key).decrypt(iv, ciphertext + tag, parts[0].encode())
        except (AssertionError, InvalidTag) as error:
            raise Refused from error
        return raw_header.decode(), content_key.hex(), iv.hex(), plaintext

    return opened


def issuer_of(envelope):
    return APP_ID if envelope["direction"] == "to_platform" else "fenpay"


@pytest.mark.parametrize("envelope", ENVELOPES, ids=[each["id"] for each in ENVELOPES])
def test_openssl_opens_what_is_valid_step_by_step_and_nothing_else(envelope, opened_by_openssl):
    receiver = "platform-encryption" if envelope["direction"] == "to_platform" else "merchant-encryption"

    def opened():
        return opened_by_openssl(envelope["token"], name=receiver, issuer=issuer_of(envelope))

    if envelope["id"].startswith("content-"):  # what is wrong is inside
        plaintext = opened()[-1]
        assert isinstance(json.loads(plaintext), list) or plaintext.count(b'"openid"') == 2
        return
    if not envelope["valid"]:
        with pytest.raises(Refused):
            opened()
        return
    header, content_key_hex, iv_hex, plaintext = opened()
    assert (header, content_key_hex, iv_hex) == (envelope["header"], envelope["content_key_hex"], envelope["iv_hex"])
    assert plaintext == bytes.fromhex(envelope["plaintext"]["hex"]) == envelope["plaintext"]["text"].encode()


@to("to_merchant")
def test_the_client_opens_what_is_valid_and_refuses_what_is_not(envelope):
    keys = {KEYS["merchant-encryption"]["serial_no"]: private_key("merchant-encryption")}
    if envelope["valid"]:
        assert decrypt_text(envelope["token"], keys=keys) == envelope["plaintext"]["text"]
        return
    with pytest.raises(NotOpened):
        decrypt_text(envelope["token"], keys=keys)


@pytest.mark.django_db
@to("to_platform")
def test_our_server_opens_what_is_valid_and_refuses_what_is_not(envelope, monkeypatch):
    ours = KEYS["platform-encryption"]
    private = private_key("platform-encryption")
    facts = facts_of(private.public_key(), purpose=Purpose.ENCRYPT)
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    monkeypatch.setattr("openplatform.models.keys.new_serial_no", lambda: ours["serial_no"])
    now = timezone.now()
    PlatformKey.publish(pair=(facts, der), status=PlatformKeyStatus.CURRENT, now=now, lifetime=LIFETIME)
    if envelope["valid"]:
        assert open_envelope(envelope["token"], app_id=int(APP_ID), now=now) == json.loads(
            envelope["plaintext"]["text"]
        )
        return
    with pytest.raises(EnvelopeRefused):
        open_envelope(envelope["token"], app_id=int(APP_ID), now=now)


def test_an_envelope_that_does_not_hold_what_it_should_is_made_anew_and_the_others_stay():
    for spoilt in ("payer-to-platform", "rsa1-5-to-merchant"):
        tokens = {each["id"]: each["token"] for each in ENVELOPES}
        wrong = tokens | {spoilt: tokens["payer-to-merchant" if "platform" in spoilt else "zip-to-merchant"]}
        published = DOCUMENT | {"envelopes": [{"id": name, "token": token} for name, token in wrong.items()]}
        made = {each["id"]: each["token"] for each in json.loads(rendered(published))["envelopes"]}
        assert made[spoilt] not in {tokens[spoilt], wrong[spoilt]}
        assert {name for name in tokens if made[name] != tokens[name]} == {spoilt}
