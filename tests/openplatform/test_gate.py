"""What a signed request must be, and what a stranger learns: nothing."""

import json
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from openplatform.blocks.lists import current_lists
from openplatform.caches import clear_all
from openplatform.keys import create_platform_key, rotate_platform_key
from openplatform.models import App, AppKey, PlatformKey
from openplatform.store import store
from tests.openplatform import echo_urls, harness
from tests.openplatform.harness import is_signed_by_us

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.openplatform.echo_urls")]
ECHO = "/openapi/v1/echo"


@pytest.fixture(autouse=True)
def nothing_reached():
    echo_urls.reached.clear()


def refused(answer, status, code, *, signed=False):
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert is_signed_by_us(answer) is signed
    assert echo_urls.reached == [], "a refused request must not reach the handler"
    return answer.json()


def test_a_signed_get_is_answered_and_the_answer_is_signed(caller):
    answer = caller.get(ECHO)
    assert answer.status_code == 200
    assert answer.json() == {"app_id": str(caller.app.pk), "scheme": "FENPAY-SHA256-RSA2048"}
    assert is_signed_by_us(answer)
    assert answer.headers["Fenpay-Signature-Type"] == "FENPAY-SHA256-RSA2048"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.headers["X-Request-Id"]) == 24
    assert not [name for name in answer.headers if name.startswith("Wechatpay-")]


def test_a_signed_post_brings_its_numbers_as_they_were_written(caller):
    answer = caller.post(ECHO, b'{"amount": 40.30, "name": "\xe5\x92\x96"}')
    assert answer.status_code == 201
    assert answer.json()["got"] == {"amount": "40.30", "name": "咖"}
    assert "成交".encode() in answer.content
    assert is_signed_by_us(answer)


def test_a_post_without_a_body_is_an_empty_object(caller):
    assert caller.post(ECHO).json()["got"] == {}


def test_every_answer_is_signed_with_a_timestamp_and_a_nonce_of_its_own(caller):
    first, second = caller.get(ECHO), caller.get(ECHO)
    assert first.headers["Fenpay-Nonce"] != second.headers["Fenpay-Nonce"]
    assert abs(int(first.headers["Fenpay-Timestamp"]) - time.time()) < 5


# --- the same answer for everything that a stranger could guess at ---------------------------------------------------


def strangers_guesses(caller, body=b'{"a": 1}'):
    other = harness.Caller(harness.an_app())
    sign = {"body": body}
    revoked = harness.Caller(caller.app, key=harness.a_key())
    AppKey.objects.get(pk=revoked.serial_no).revoke(now=timezone.now())
    expired = harness.Caller(caller.app, key=harness.a_key())
    AppKey.objects.filter(pk=expired.serial_no).update(
        not_before=timezone.now() - timedelta(days=2), not_after=timezone.now() - timedelta(days=1)
    )
    early = harness.Caller(caller.app, key=harness.a_key())
    AppKey.objects.filter(pk=early.serial_no).update(not_before=timezone.now() + timedelta(days=1))
    return {
        "unknown app": caller.authorization("POST", ECHO, **sign, mchid="1234567890123456789"),
        "unknown key": caller.authorization("POST", ECHO, **sign, serial_no="NO_SUCH_KEY"),
        "another app's key": other.authorization("POST", ECHO, **sign, mchid=str(caller.app.pk)),
        "key of another app": caller.authorization("POST", ECHO, **sign, serial_no=other.serial_no),
        "another body": caller.authorization("POST", ECHO, b'{"a": 2}'),
        "another target": caller.authorization("POST", ECHO + "/x", **sign),
        "another method": caller.authorization("GET", ECHO, **sign),
        "no signature of ours": caller.authorization("POST", ECHO, **sign, signature="QUFB" * 85 + "QQ=="),
        "a short signature": caller.authorization("POST", ECHO, **sign, signature="QUFB"),
        "revoked key": revoked.authorization("POST", ECHO, **sign),
        "expired key": expired.authorization("POST", ECHO, **sign),
        "key not valid yet": early.authorization("POST", ECHO, **sign),
        "unknown scheme": caller.authorization("POST", ECHO, **sign, scheme="FENPAY-ED25519"),
        "WeChat Pay's scheme without the switch": caller.authorization(
            "POST", ECHO, **sign, scheme="WECHATPAY2-SHA256-RSA2048"
        ),
    }


def test_an_unknown_app_an_unknown_key_and_a_wrong_signature_answer_the_same(caller):
    seen = {}
    for guess, authorization in strangers_guesses(caller).items():
        answer = caller.send("POST", ECHO, b'{"a": 1}', authorization=authorization)
        document = refused(answer, 401, "SIGN_ERROR")
        names = sorted(name for name in answer.headers if name != "X-Request-Id")
        seen[guess] = (json.dumps(document | {"request_id": ""}), answer.headers["WWW-Authenticate"], names)
    assert len(seen) == 14
    assert len(set(map(str, seen.values()))) == 1, seen


def test_a_missing_and_a_malformed_header_are_refused_with_the_part_that_is_wrong(caller):
    assert "missing" in refused(caller.get(ECHO, authorization=""), 401, "SIGN_ERROR")["detail"]
    bad = caller.authorization("GET", ECHO, nonce_str="short")
    assert "nonce_str" in refused(caller.get(ECHO, authorization=bad), 401, "SIGN_ERROR")["detail"]


def test_the_expected_string_and_the_signature_are_never_in_an_answer(caller):
    params = caller.params("GET", ECHO)
    wrong = harness.header(params | {"nonce_str": "another-nonce-1234"})
    answer = caller.get(ECHO, authorization=wrong)
    for secret in ("another-nonce-1234", params["signature"], params["timestamp"], ECHO):
        assert secret not in answer.content.decode()


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_s", [-298, 298])
def test_a_timestamp_inside_the_window_counts(caller, skew_s):
    assert caller.get(ECHO, signing={"timestamp": str(int(time.time()) + skew_s)}).status_code == 200


@pytest.mark.parametrize("skew_s", [-303, 303, -86_400])
def test_a_timestamp_outside_the_window_is_refused_with_our_clock(caller, skew_s):
    document = refused(caller.get(ECHO, signing={"timestamp": str(int(time.time()) + skew_s)}), 401, "SIGN_ERROR")
    assert abs(document["server_time"] - time.time()) < 5


# --- nonce ----------------------------------------------------------------------------------------------------------


def test_the_same_request_twice_is_a_replay_and_the_refusal_is_signed(caller):
    authorization = caller.authorization("POST", ECHO, b"{}")
    assert caller.send("POST", ECHO, b"{}", authorization=authorization).status_code == 201
    echo_urls.reached.clear()
    refused(caller.send("POST", ECHO, b"{}", authorization=authorization), 401, "REPLAYED_NONCE", signed=True)


def test_a_nonce_counts_for_one_key_only(caller):
    other = harness.Caller(harness.an_app())
    nonce = {"nonce_str": "the-very-same-nonce-1"}
    assert caller.get(ECHO, signing=nonce).status_code == 200
    assert other.get(ECHO, signing=nonce).status_code == 200


def test_a_stranger_cannot_burn_a_nonce_with_a_wrong_signature(caller):
    params = caller.params("GET", ECHO)
    forged = harness.Caller(caller.app, key=harness.a_key(), serial_no=caller.serial_no)
    stolen = forged.authorization("GET", ECHO, nonce_str=params["nonce_str"])
    refused(caller.get(ECHO, authorization=stolen), 401, "SIGN_ERROR")
    assert caller.get(ECHO, authorization=harness.header(params)).status_code == 200


def test_a_nonce_is_remembered_for_longer_than_its_timestamp_can_be_good(caller, settings):
    caller.get(ECHO, signing={"nonce_str": "nonce-with-a-lifetime"})
    with store() as client:
        assert 2 * settings.TIMESTAMP_WINDOW_S < client.ttl(f"n:{caller.serial_no}:nonce-with-a-lifetime") <= 660


# --- method, target, size, form ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_another_method_is_refused_with_the_ones_that_are_known(caller, method):
    answer = caller.send(method, ECHO)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
    if method != "HEAD":
        assert answer.json()["code"] == "METHOD_NOT_ALLOWED"


def test_the_cheap_checks_come_before_anything_is_looked_up_or_read(caller, django_assert_num_queries):
    caller.get(ECHO)  # the lists and the rate rules are read once in a while, whoever calls
    caller.get(ECHO, authorization="")
    with django_assert_num_queries(0):
        for answer, status in (
            (caller.send("PUT", ECHO, authorization=""), 405),
            (caller.get(ECHO, authorization="", raw_uri="//x"), 400),
            (caller.post(ECHO, {}, authorization="", CONTENT_LENGTH="70000"), 413),
            (caller.post(ECHO, {}, authorization="", content_type="text/plain"), 415),
            (caller.post(ECHO, {}, authorization=""), 401),
            (caller.post(ECHO, {}, signing={"timestamp": "1000000000"}), 401),
        ):
            assert answer.status_code == status


@pytest.mark.parametrize(
    "raw",
    ["http://evil.example/openapi/v1/echo", "/openapi/v1/ech%6f", "/openapi/v1//echo", "/openapi/v1/echo?",
     "/openapi/v1/echo#x", "/openapi/v1/echo;x", "/openapi/v1/./echo", "/openapi/v1/echo?limit=1&limit=2",
     "/openapi/v1/echo?other=1", "/openapi/v1/other"],
)  # fmt: skip
def test_the_raw_target_is_judged_and_not_the_one_that_was_routed(caller, raw):
    refused(caller.get(ECHO, raw_uri=raw, authorization=caller.authorization("GET", raw)), 400, "INVALID_REQUEST")


def test_the_signature_covers_the_raw_target(caller):
    assert caller.get(ECHO, raw_uri=ECHO).status_code == 200
    assert caller.get(f"{ECHO}?limit=5").status_code == 200
    echo_urls.reached.clear()
    swapped = caller.authorization("GET", f"{ECHO}?limit=5")
    refused(caller.get(f"{ECHO}?limit=6", authorization=swapped), 401, "SIGN_ERROR")


def test_without_a_raw_target_a_production_server_trusts_nothing(caller, settings):
    settings.TARGET_FROM_PATH = False
    refused(caller.get(ECHO), 400, "INVALID_REQUEST")


def test_a_chunked_body_is_refused(caller):
    refused(caller.post(ECHO, {}, HTTP_TRANSFER_ENCODING="chunked"), 411, "LENGTH_REQUIRED")


def test_an_encoded_body_is_refused(caller):
    refused(caller.post(ECHO, {}, HTTP_CONTENT_ENCODING="gzip"), 415, "UNSUPPORTED_MEDIA")
    assert caller.post(ECHO, {}, HTTP_CONTENT_ENCODING="identity").status_code == 201


@pytest.mark.parametrize(
    "media_type",
    ["text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/json5",
     "application/json; charset=gbk", "application/json; charset=utf-8; x=1", "application/jso n",
     "application/json\xa0; charset=utf-8", "application/json;\x85charset=utf-8"],
)  # fmt: skip
def test_anything_but_json_in_utf_8_is_refused(caller, media_type):
    refused(caller.post(ECHO, {}, content_type=media_type), 415, "UNSUPPORTED_MEDIA")


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_is_accepted_with_and_without_its_charset(caller, media_type):
    assert caller.post(ECHO, {}, content_type=media_type).status_code == 201


def test_a_body_of_64_kib_passes_and_one_byte_more_does_not(caller):
    whole = b'{"a": "' + b"x" * (65_536 - 9) + b'"}'
    assert len(whole) == 65_536
    assert caller.post(ECHO, whole).status_code == 201
    echo_urls.reached.clear()
    refused(caller.post(ECHO, whole + b" "), 413, "BODY_TOO_LARGE")


def test_the_size_is_judged_before_anything_is_read(caller):
    answer = caller.post(ECHO, {}, CONTENT_LENGTH="999999999999")
    refused(answer, 413, "BODY_TOO_LARGE")


def test_a_get_with_a_body_is_refused(caller):
    refused(caller.send("GET", ECHO, b"{}"), 400, "INVALID_REQUEST")


def test_a_body_that_could_mean_two_things_is_refused_by_name_and_signed(caller):
    document = refused(caller.post(ECHO, b'{"amount": 1, "amount": 2}'), 400, "INVALID_REQUEST", signed=True)
    assert document["errors"] == [{"field": "body", "reason": "DUPLICATE_KEY"}]


def test_a_nest_of_thirty_thousand_levels_is_a_refusal_and_not_a_crash(caller):
    document = refused(caller.post(ECHO, b'{"a":' * 10_000), 400, "INVALID_REQUEST", signed=True)
    assert document["errors"][0]["reason"] == "TOO_DEEP"


# --- status -----------------------------------------------------------------------------------------------------------


def test_a_disabled_app_is_told_so_only_after_its_signature_was_proven(caller):
    caller.app.disable()
    refused(caller.get(ECHO), 403, "APP_DISABLED", signed=True)
    wrong = caller.authorization("GET", ECHO + "/x")
    refused(caller.get(ECHO, authorization=wrong), 401, "SIGN_ERROR")


def test_the_apps_of_a_disabled_merchant_are_refused(caller):
    caller.app.merchant.disable()
    refused(caller.get(ECHO), 403, "APP_DISABLED", signed=True)


def test_a_revocation_is_in_force_within_five_seconds(caller, monkeypatch):
    assert caller.get(ECHO).status_code == 200
    AppKey.objects.get(pk=caller.serial_no).revoke(now=timezone.now())
    assert caller.get(ECHO).status_code == 200, "the process still believes its cache"
    real = time.monotonic
    monkeypatch.setattr("openplatform.caches.time.monotonic", lambda: real() + 5.0)
    echo_urls.reached.clear()
    refused(caller.get(ECHO), 401, "SIGN_ERROR")


def test_several_live_keys_of_one_app_are_told_apart_by_serial(caller):
    second = harness.Caller(caller.app, key=harness.a_key())
    assert caller.get(ECHO).status_code == second.get(ECHO).status_code == 200


# --- which key signs the answer -----------------------------------------------------------------------------------


def test_the_answer_is_signed_by_the_platform_key_that_was_asked_for_while_it_is_live(caller):
    old = PlatformKey.objects.get()
    new = create_platform_key(now=timezone.now())
    assert caller.get(ECHO).headers["Fenpay-Serial"] == old.pk
    assert caller.get(ECHO, HTTP_FENPAY_SERIAL=new.pk).headers["Fenpay-Serial"] == new.pk
    rotate_platform_key(now=timezone.now())
    assert caller.get(ECHO).headers["Fenpay-Serial"] == new.pk
    answer = caller.get(ECHO, HTTP_FENPAY_SERIAL=old.pk)
    assert answer.headers["Fenpay-Serial"] == old.pk
    assert is_signed_by_us(answer)
    PlatformKey.objects.get(pk=old.pk).retire(now=timezone.now())
    clear_all()
    for asked in (old.pk, "NO_SUCH_KEY", "x" * 3000):
        assert caller.get(ECHO, HTTP_FENPAY_SERIAL=asked).headers["Fenpay-Serial"] == new.pk


def test_without_a_platform_key_nothing_is_done(caller):
    PlatformKey.objects.get().retire(now=timezone.now())
    clear_all()
    assert caller.post(ECHO, {}).status_code == 500
    assert echo_urls.reached == []


def test_an_app_with_the_switch_may_use_wechat_pays_scheme_name_and_gets_both_headers(db, caller):
    switched = harness.Caller(harness.an_app(accepts_wechatpay_scheme=True))
    authorization = switched.authorization("GET", ECHO, scheme="WECHATPAY2-SHA256-RSA2048")
    answer = switched.get(ECHO, authorization=authorization)
    assert answer.json()["scheme"] == "WECHATPAY2-SHA256-RSA2048"
    assert is_signed_by_us(answer)
    assert is_signed_by_us(answer, prefix="Wechatpay")
    assert answer.headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"


# --- what it costs and leaves -----------------------------------------------------------------------------------------


def rows():
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in (App, AppKey, PlatformKey)}


def test_refused_requests_write_nothing_to_the_database(caller):
    url = "/openapi/v1/renames"
    body = b'{"name": "x"}'
    used = caller.authorization("POST", url, body)
    assert caller.send("POST", url, body, authorization=used).status_code == 200
    before = rows()
    with CaptureQueriesContext(connection) as queries:
        for authorization in (
            "",
            used,
            caller.authorization("POST", url, b"{}"),
            caller.authorization("POST", url, body, timestamp="1000000000"),
            caller.authorization("POST", url, body, mchid="1234567890123456789"),
        ):  # fmt: skip
            assert caller.send("POST", url, body, authorization=authorization).status_code == 401
        assert caller.post(url, b"{").status_code == 400
    assert rows() == before
    assert not [query["sql"] for query in queries if not query["sql"].startswith("SELECT")]


def test_a_warm_process_asks_the_database_nothing(caller, django_assert_num_queries):
    caller.get(ECHO)
    with django_assert_num_queries(0):
        assert caller.get(ECHO).status_code == 200


def test_an_unknown_key_is_looked_up_once_in_five_seconds(caller, django_assert_num_queries):
    unknown = {"serial_no": "NO_SUCH_KEY"}
    caller.get(ECHO, authorization="")  # reads the rate rules, as somebody does once in five seconds
    current_lists()  # the blacklist is read once in a while, whoever calls
    with django_assert_num_queries(1):
        for _ in range(5):
            refused(caller.get(ECHO, signing=unknown), 401, "SIGN_ERROR")


def test_the_last_use_of_a_key_is_noted_once_a_minute(caller):
    caller.get(ECHO)
    first = AppKey.objects.get(pk=caller.serial_no).last_used_at
    assert abs(first - timezone.now()) < timedelta(seconds=5)
    clear_all()
    caller.get(ECHO)
    assert AppKey.objects.get(pk=caller.serial_no).last_used_at == first


def test_a_stranger_does_not_change_when_a_key_was_last_used(caller):
    caller.get(ECHO, authorization=caller.authorization("GET", ECHO + "/x"))
    assert AppKey.objects.get(pk=caller.serial_no).last_used_at is None
