"""What the workbench refuses: private keys in every form, and what it cannot read."""

import base64
import json
import logging

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from openplatform.workbench.asked import refuse_private_keys
from tests.openplatform import harness
from tests.openplatform.test_workbench import ask, in_hex, signed_by, test_platform  # noqa: F401 - a fixture

# --- what it refuses ------------------------------------------------------------------------------------------------


def private_forms():
    key = harness.a_key()
    no_password = serialization.NoEncryption()
    formats = {"pkcs8": serialization.PrivateFormat.PKCS8, "pkcs1": serialization.PrivateFormat.TraditionalOpenSSL}
    for name, form in formats.items():
        der = key.private_bytes(serialization.Encoding.DER, form, no_password)
        pem = key.private_bytes(serialization.Encoding.PEM, form, no_password).decode()
        yield f"{name} pem", pem
        yield f"{name} base64", base64.b64encode(der).decode()
        yield f"{name} base64 in lines", base64.encodebytes(der).decode()
        yield f"{name} base64url", base64.urlsafe_b64encode(der).decode()
        yield f"{name} hex", der.hex()
        yield f"{name} after words", "my key is " + base64.b64encode(der).decode()
        yield f"{name} quoted", json.dumps({"key": base64.b64encode(der).decode()})
        yield f"{name} without its frame", "".join(pem.splitlines()[1:-1])
    for name, other in (
        ("ec", ec.generate_private_key(ec.SECP256R1())),
        ("ed25519", ed25519.Ed25519PrivateKey.generate()),
    ):
        der = other.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, no_password)
        yield f"{name} base64", base64.b64encode(der).decode()
    encrypted = serialization.BestAvailableEncryption(b"x")
    yield (
        "encrypted",
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encrypted).decode(),
    )
    yield "jwk", '{"kty":"RSA","n":"x","e":"AQAB","d":"secret"}'


PRIVATE = dict(private_forms())


@pytest.mark.parametrize("pasted", PRIVATE.values(), ids=PRIVATE.keys())
def test_a_private_key_is_refused_in_every_form_and_field_and_never_said_back_or_logged(pasted, caplog):
    with caplog.at_level(logging.DEBUG):
        for fields in (
            {"own": {"form": "text", "value": pasted}}, {"body": {"form": "text", "value": pasted}},
            {"authorization": pasted}, {"signature": pasted}, {"target": pasted}, {"nothing": pasted},
            {"own": {"form": "base64", "value": base64.b64encode(pasted.encode()).decode()}},
            {"own": {"form": "hex", "value": pasted.encode().hex()}},
        ):  # fmt: skip
            answer = ask(fields, expected=400)
            assert answer["code"] == "KEY_IS_PRIVATE"
            said = json.dumps(answer) + caplog.text
            assert not any(line in said for line in pasted.split() if len(line) > 20)


def test_what_is_no_private_key_is_not_taken_for_one(platform_key):
    for harmless in (
        harness.public_pem(harness.a_key()), platform_key.public_key_pem, "QUFB" * 100, "MII" + "A" * 400,
        base64.b64encode(bytes(256)).decode(), "00" * 300, '{"kty":"RSA"}', signed_by(harness.a_key(), b"x"),
        harness.a_key().public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ).hex(),
    ):  # fmt: skip
        refuse_private_keys({"own": {"value": harmless}})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"unknown": "x"}, "unknown"),
        ({"target": 5}, "target"),
        ({"target": "x" * 5_000}, "target"),
        ({"body": "x"}, "body"),
        ({"body": {"form": "hex", "value": "zz"}}, "body.value"),
        ({"body": {"form": "base64", "value": "a"}}, "body.value"),
        ({"body": {"form": "utf-16", "value": ""}}, "body.form"),
        ({"own": {"form": "text", "value": "x" * 140_001}}, "own.value"),
    ],
)
def test_what_was_pasted_is_read_strictly(fields, field):
    answer = ask(fields, expected=400)
    assert (answer["code"], answer["errors"][0]["field"]) == ("PARAM_ERROR", field)


def test_other_media_types_sizes_and_json_are_refused():
    client = Client()
    answer = client.post("/workbench/explain", {"target": "x"})
    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA")
    answer = client.post("/workbench/explain", b"[" + b" " * 400_000, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
    for body in (b" ", b"[]", b'{"a":1,"a":1}', b"{" * 50, b"\xff"):
        answer = client.post("/workbench/explain", body, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.django_db
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(
            ["method", "target", "authorization", "app_id", "serial_no", "timestamp", "nonce", "signature"]
        ),
        st.text(max_size=60),
    ),
    st.binary(max_size=60),
    st.binary(max_size=60),
)
def test_nothing_that_is_pasted_breaks_it(fields, body, own):
    answer = Client().post(
        "/workbench/explain", json.dumps(fields | {"body": in_hex(body), "own": in_hex(own)}),
        content_type="application/json",
    )  # fmt: skip
    assert answer.status_code in {200, 400}
