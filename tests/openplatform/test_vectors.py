"""docs/vectors.json is what the code makes, and three other readings of the protocol agree with it."""

import base64
import binascii
import json
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from django.core.management import CommandError, call_command
from django.utils import timezone
from requests.structures import CaseInsensitiveDict

from openplatform.authorization import AuthorizationMalformed, parse_authorization
from openplatform.client import NotVerified, signing, verify_notification
from openplatform.management.commands import signature_vectors
from openplatform.models import AppKey
from openplatform.vectors import VECTORS_FILE, rendered
from openplatform.vectors.keys import WARNING
from tests import factories
from tests.openplatform import harness
from tests.openplatform.platforms import config

DOCUMENT = json.loads(VECTORS_FILE.read_text(encoding="utf-8"))
VECTORS = DOCUMENT["vectors"]
KEYS = {key["id"]: key for key in DOCUMENT["keys"]}


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
    assert len(KEYS) == 3
    assert all(key["warning"] == WARNING for key in KEYS.values())


def test_there_is_a_vector_of_each_sort_and_each_bad_one_says_why():
    assert len({each["id"] for each in VECTORS}) == len(VECTORS)
    for kind in ("request", "answer", "notification"):
        assert by(kind, valid=True)
        assert len(by(kind, valid=False)) > 5
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
    executable = shutil.which("openssl")
    require(executable, "there is no openssl command")
    directory = tmp_path_factory.mktemp("openssl")
    for name, key in KEYS.items():
        (directory / f"{name}.pem").write_text(key["public_key_pem"])

    def verifies(vector, message):
        (directory / "signature").write_bytes(base64.b64decode(vector["signature"], validate=True))
        (directory / "message").write_bytes(message)
        command = [
            executable,
            "dgst",
            "-sha256",
            "-verify",
            f"{vector['key']}.pem",
            "-signature",
            "signature",
            "message",
        ]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        assert ("Verified OK" in done.stdout) is (done.returncode == 0)
        return done.returncode == 0

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
    merchant = KEYS["merchant"]
    ours = config(
        app_id="1234567890123456789", serial_no=merchant["serial_no"],
        private_key=load_pem_private_key(merchant["private_key_pem"].encode(), password=None),
    )  # fmt: skip
    headers = signing.request_headers(
        ours, method=given["method"], target=given["target"], body=body_of(vector), nonce=given["nonce"],
        clock=lambda: float(given["timestamp"]),
    )  # fmt: skip
    assert (headers["Authorization"] == vector["headers"]["Authorization"]) is vector["valid"]


@named(by("answer", "notification"))
def test_the_client_accepts_what_is_valid_and_refuses_what_is_not(vector):
    ours = config(
        app_id="1234567890123456789",
        platform_keys={KEYS["platform"]["serial_no"]: public_key({"key": "platform"})},
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
    pem = KEYS["merchant"]["public_key_pem"]
    serial_no = AppKey.register(app=app, public_key_pem=pem, now=timezone.now()).pk
    caller = harness.Caller(app, serial_no=serial_no)

    def send(authorization, vector):
        named = {"1234567890123456789": str(app.pk), KEYS["merchant"]["serial_no"]: serial_no}
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
