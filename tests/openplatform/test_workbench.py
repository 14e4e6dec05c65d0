"""The workbench behind its page: what it says, what it refuses, and that production has none."""

import base64
import json
import re
import time
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from django.conf import settings as current
from django.test import Client
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from openplatform.signature import request_message
from openplatform.vectors import VECTORS_FILE
from openplatform.workbench import compare, mistakes, wording
from openplatform.workbench.compare import around, first_difference, in_lines, spans_of
from openplatform.workbench.mistakes import Parts
from tests.openplatform import harness

TARGET = "/openapi/v1/orders"
BODY = b'{"amount":40.3,"subject":"\xe4\xb8\xa4\xe6\x9d\xaf"}'
ENGLISH = {"Accept-Language": "en"}


@pytest.fixture(autouse=True)
def test_platform(settings):
    settings.TEST_PLATFORM = True
    return settings


def ask(fields, *, expected=200, **headers):
    answer = Client(raise_request_exception=False).post(
        "/workbench/explain", json.dumps(fields), content_type="application/json", headers=ENGLISH | headers
    )
    assert answer.status_code == expected, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json()


def in_hex(raw):
    return {"form": "hex", "value": raw.hex()}


def request_of(caller, *, method="POST", target=TARGET, body=BODY, **more):
    """What an integrator pastes of a request that `caller` has signed."""
    fields = {"method": method, "target": target, "authorization": caller.authorization(method, target, body)}
    return fields | ({"body": in_hex(body)} if body else {}) | more


def states(answer):
    return {check["name"]: check["state"] for check in answer["checks"]}


def why(answer, name):
    return next(check["why"] for check in answer["checks"] if check["name"] == name)


# --- only on a test platform ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/workbench/", "/workbench/explain"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_production_has_no_workbench(settings, path, method):
    settings.TEST_PLATFORM = False
    answer = Client().generic(method.upper(), path, "{}", content_type="application/json")
    assert answer.status_code == 404


def test_a_deployment_is_no_test_platform_unless_it_says_so():
    assert not current.CASHIER_SANDBOX
    assert 'TEST_PLATFORM = env.flag("TEST_PLATFORM", default=CASHIER_SANDBOX)' in (
        (current.BASE_DIR / "config" / "settings.py").read_text(encoding="utf-8")
    )


def test_the_page_has_the_strict_policy_and_is_kept_by_nobody():
    answer = Client().get("/workbench/")
    assert answer.status_code == 200
    assert "default-src 'none'; script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"<script(?![^>]*(src=|application/json))|style=|\son\w+=", answer.content.decode())


# --- what it says ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_good_request_passes_every_check_and_its_string_is_the_one_that_the_gate_verifies(caller):
    asked = request_of(caller)
    answer = ask(asked)
    assert answer["verdict"]["name"] == "good"
    assert set(states(answer).values()) == {"ok"}
    values = {each["name"]: each["value"] for each in answer["parameters"]}
    message = request_message(
        method="POST", target=TARGET, timestamp=values["timestamp"], nonce=values["nonce_str"], body=BODY
    )
    assert answer["message"] == compare.shown(message)
    assert answer["differences"] == []


@pytest.mark.django_db
def test_the_answer_to_a_request_is_the_gates_own(caller):
    """Whatever the workbench calls right must pass the gate, and whatever it calls wrong must not."""
    for spoil in ({}, {"target": f"{TARGET}/"}, {"body": in_hex(BODY + b" ")}, {"method": "GET"}):
        asked = request_of(caller) | spoil
        body = bytes.fromhex(asked["body"]["value"])
        sent = caller.send(asked["method"], asked["target"], body, authorization=asked["authorization"])
        assert (ask(asked)["verdict"]["name"] == "good") is (sent.status_code not in {401, 404, 405})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("spoil", "name", "said"),
    [
        ({"target": "/openapi/v1/nothing"}, "address", "No operation"),
        ({"target": f"{TARGET}?limit=5"}, "target", "unknown name"),
        ({"target": "/openapi/v1/%6frders"}, "target", "the path holds"),
        ({"target": f"https://pay.example.com{TARGET}"}, "target", "the path holds"),
        ({"method": "DELETE"}, "method", "does not know that method"),
        ({"method": "GET", "target": "/openapi/v1/orders/17"}, "length", "A GET has no body"),
        ({"body": in_hex(b'{"a":1,"a":2}')}, "json", "same key twice"),
        ({"body": in_hex(b"\xef\xbb\xbf{}")}, "json", "byte order mark"),
        ({"authorization": "Bearer x"}, "header", "not of the form"),
        ({"authorization": 'FENPAY-SHA256-RSA2048 mchid="1"'}, "header", "five parameters"),
    ],
)
def test_each_check_that_fails_says_why(caller, spoil, name, said):
    answer = ask(request_of(caller) | spoil)
    assert states(answer)[name] == "bad"
    assert said in why(answer, name)


@pytest.mark.django_db
def test_a_clock_that_is_off_is_told_in_seconds_and_the_signature_is_checked_all_the_same(caller):
    for off_by_s, word in ((-4_000, "behind"), (4_000, "ahead of")):
        timestamp = str(int(time.time()) + off_by_s)
        asked = request_of(caller) | {"authorization": caller.authorization("POST", TARGET, BODY, timestamp=timestamp)}
        answer = ask(asked)
        assert re.search(rf"(3999|4000|4001) s {word}", why(answer, "time"))
        assert (answer["verdict"]["name"], states(answer)["signature"]) == ("refused", "ok")


@pytest.mark.django_db
def test_without_a_known_key_nothing_is_verified(caller):
    answer = ask(
        request_of(caller) | {"authorization": caller.authorization("POST", TARGET, BODY, serial_no="NO_SUCH_KEY")}
    )
    assert (answer["verdict"]["name"], states(answer)["key"], states(answer)["signature"]) == (
        "unknown",
        "bad",
        "unknown",
    )
    other = caller.authorization("POST", TARGET, BODY, scheme="WECHATPAY2-SHA256-RSA2048")
    assert "scheme name" in why(ask(request_of(caller) | {"authorization": other}), "key")


@pytest.mark.django_db
def test_the_values_of_a_header_do_as_well_as_the_header(caller):
    params = caller.params("POST", TARGET, BODY)
    names = {"mchid": "app_id", "nonce_str": "nonce"}
    values = {names.get(name, name): value for name, value in params.items()}
    assert ask({"method": "POST", "target": TARGET, "body": in_hex(BODY)} | values)["verdict"]["name"] == "good"
    del values["signature"]
    answer = ask({"method": "POST", "target": TARGET, "body": in_hex(BODY)} | values)
    assert states(answer)["header"] == "unknown"
    assert answer["message"]["bytes"] == len(parts_of(params).message())


def parts_of(params, *, method="POST", target=TARGET, body=BODY):
    return Parts(method=method, target=target, timestamp=params["timestamp"], nonce=params["nonce_str"], body=body)


@pytest.mark.django_db
def test_using_the_workbench_spends_no_nonce_and_touches_no_key(caller):
    asked = request_of(caller, method="GET", target="/openapi/v1/platform-keys", body=b"")
    for _ in range(2):
        assert ask(asked)["verdict"]["name"] == "good"
    caller_key = harness.AppKey.objects.get(pk=caller.serial_no)
    assert caller_key.last_used_at is None
    sent = caller.get("/openapi/v1/platform-keys", authorization=asked["authorization"])
    assert sent.status_code == 200


# --- mistakes that it recognises ------------------------------------------------------------------------------------

CASES = {
    "POST": {"method": "POST", "target": TARGET, "body": b'{\n "b": "a/b", "a": "\xe4\xb8\xa4"\n}\n'},
    "GET": {"method": "GET", "target": "/openapi/v1/notifications?status=held&limit=5", "body": b""},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_mistake_makes_a_string_of_its_own_that_is_not_ours(case):
    parts = parts_of({"timestamp": "1780000000", "nonce_str": "n" * 16}, **case)
    strings = list(mistakes.strings(parts))
    assert len({name for name, _wrong in strings}) > 10
    assert all(wrong != parts.message() for _name, wrong in strings)


def test_every_mistake_has_its_sentence_and_is_made_by_some_request():
    made = set()
    for case in CASES.values():
        made |= {
            name for name, _ in mistakes.strings(parts_of({"timestamp": "1780000000", "nonce_str": "n" * 16}, **case))
        }
    bom = parts_of({"timestamp": "1780000000", "nonce_str": "n" * 16}, body=b"\xef\xbb\xbf{}")
    made |= {name for name, _ in mistakes.strings(bom)}
    assert made == wording.MISTAKES.keys() - {"ends_early", "goes_on", "other_value"}


@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_signature_that_fits_a_mistake_is_recognised_as_that_mistake(caller, case):
    params = caller.params(**case)
    parts = parts_of(params, **case)
    seen = set()
    for _name, wrong in mistakes.strings(parts):
        signed = harness.header(params | {"signature": signed_by(caller.key, wrong)})
        answer = ask({**case, "body": in_hex(case["body"]), "authorization": signed})
        assert answer["verdict"]["name"] == "wrong"
        (found,) = answer["differences"]
        assert found["cause"] in {str(text) for text in english(wording.MISTAKES)}
        seen.add(found["cause"])
    assert len(seen) > 10


def signed_by(key, message, *, scheme=None, algorithm=None):
    return base64.b64encode(key.sign(message, scheme or padding.PKCS1v15(), algorithm or hashes.SHA256())).decode()


def english(sentences):
    with translation.override("en"):
        return [str(text) for text in sentences.values()]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("scheme", "algorithm", "said"),
    [
        (padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32), hashes.SHA256(), "RSASSA-PSS"),
        (padding.PKCS1v15(), hashes.SHA1(), "SHA-1"),
        (padding.PKCS1v15(), hashes.SHA512(), "fits neither"),
    ],
)
def test_a_right_string_with_the_wrong_algorithm_is_told_apart(caller, scheme, algorithm, said):
    params = caller.params("POST", TARGET, BODY)
    signature = signed_by(caller.key, parts_of(params).message(), scheme=scheme, algorithm=algorithm)
    answer = ask(request_of(caller) | {"authorization": harness.header(params | {"signature": signature})})
    assert said in why(answer, "signature")


@pytest.mark.django_db
def test_a_signature_of_another_length_is_told_by_its_length(caller):
    short = caller.authorization("POST", TARGET, BODY, signature="QUFB")
    assert "3 bytes; one by this key has 256" in why(ask(request_of(caller) | {"authorization": short}), "signature")


@pytest.mark.parametrize("vector", [each for each in json.loads(VECTORS_FILE.read_text(encoding="utf-8"))["vectors"]
                                    if each["kind"] == "request" and each["signed_instead"]],
                         ids=lambda each: each["id"])  # fmt: skip
@pytest.mark.django_db
def test_the_first_difference_of_a_published_mistake_is_found(vector):
    given = vector["input"]
    ours, theirs = (bytes.fromhex(vector[name]["hex"]) for name in ("message", "signed_instead"))
    answer = ask({
        "method": given["method"], "target": given["target"], "timestamp": given["timestamp"], "nonce": given["nonce"],
        "body": in_hex(bytes.fromhex(given["body"]["hex"])), "own": in_hex(theirs),
    })  # fmt: skip
    (found,) = answer["differences"]
    offset = next(index for index in range(len(ours)) if ours[: index + 1] != theirs[: index + 1])
    assert f"byte {offset}, in line {ours[:offset].count(10) + 1} " in found["where"]
    assert found["cause"]
    for side, raw in zip(found["sides"], (ours, theirs), strict=True):
        assert side["hex"] == raw[offset : offset + 1].hex()
        marked = [span for line in side["lines"] for span in line if span.get("marked")]
        assert len(marked) == 1


# --- bytes ----------------------------------------------------------------------------------------------------------


def flat(lines):
    return [span for line in lines for span in line]


def raw_of(span):
    """The bytes that a span stands for."""
    named = {"lf": b"\n", "cr": b"\r", "tab": b"\t"}
    if span["kind"] in named:
        return named[span["kind"]]
    return bytes.fromhex(span["text"]) if span["kind"] == "odd" else span["text"].encode()


@given(st.binary(max_size=200))
def test_no_byte_is_lost_or_invented_when_a_string_is_shown(raw):
    assert b"".join(map(raw_of, flat(in_lines(spans_of(raw))))) == raw


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_the_first_difference_is_the_first(ours, theirs):
    difference = first_difference(ours, theirs)
    if difference is None:
        assert ours == theirs
        return
    offset = difference.offset
    assert ours[:offset] == theirs[:offset]
    assert ours[offset : offset + 1] != theirs[offset : offset + 1]
    for raw in (ours, theirs):
        marked = [span for span in flat(around(raw, offset)) if span.get("marked")]
        assert len(marked) == 1
        assert (marked[0]["kind"] == "end") is (offset >= len(raw))


def test_bytes_that_nobody_sees_are_shown_in_hex():
    spans = spans_of("a\ufeff\u200b\u00a0\x00b".encode() + b"\xff")
    assert [(span["kind"], span["text"]) for span in spans] == [
        ("text", "a"), ("odd", "ef bb bf"), ("odd", "e2 80 8b"), ("odd", "c2 a0"), ("odd", "00"), ("text", "b"),
        ("odd", "ff"),
    ]  # fmt: skip


# --- language -------------------------------------------------------------------------------------------------------


def sentences():
    yield from wording.CHECKS.values()
    yield from wording.WHY.values()
    yield from wording.MISTAKES.values()
    yield from wording.LABELS.values()
    yield from wording.LINES
    for pair in wording.VERDICTS.values():
        yield from pair
    yield from (
        value for name, value in vars(wording).items() if name.isupper() and not isinstance(value, dict | tuple)
    )


def test_every_sentence_has_its_chinese():
    found = [str(text) for text in sentences()]
    page = (current.BASE_DIR / "openplatform/templates/workbench/workbench.html").read_text(encoding="utf-8")
    found += re.findall(r"{% translate ['\"](.+?)['\"] %}", page)
    assert len(found) > 90
    for sentence in found:
        with translation.override("en"):
            plain = str(sentence)
        with translation.override("zh-hans"):
            assert re.search(r"[\u4e00-\u9fff]", translation.gettext(plain)), plain


def test_the_compiled_catalogue_is_that_of_the_source():
    catalogue = Path(current.BASE_DIR) / "openplatform" / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
    with catalogue.open("rb") as source, catalogue.with_suffix(".mo").open("rb") as compiled:
        written = {message.id: message.string for message in read_po(source) if message.id and message.string}
        used = {message.id: message.string for message in read_mo(compiled) if message.id}
    assert written == used


@pytest.mark.django_db
def test_the_answer_is_in_the_readers_language(caller):
    assert ask(request_of(caller), **{"Accept-Language": "zh-CN"})["verdict"]["title"] == "签名正确"
