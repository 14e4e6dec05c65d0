"""Rules of the gate that are easily lost: each of these was a hole somewhere. docs/gate.md lists them all."""

import json
import time

import pytest
from django.db import connection
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from openplatform.api import OpenApiView
from openplatform.models import Notification
from openplatform.store import store
from tests.openplatform import echo_urls, harness, notices
from tests.openplatform.harness import is_signed_by_us

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.openplatform.echo_urls")]
ECHO = "/openapi/v1/echo"
SANDBOX_ECHO = f"/sandbox{ECHO}"


@pytest.fixture(autouse=True)
def nothing_reached():
    echo_urls.reached.clear()


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert echo_urls.reached == [], "a refused request must not reach the handler"
    return answer.json()


# --- the sandbox's addresses are signed, so what was signed for them counts nowhere else ---------------------------


def test_a_request_that_was_signed_for_a_test_platform_is_answered_there(caller, settings):
    settings.TEST_PLATFORM = True
    answer = caller.get(SANDBOX_ECHO)
    assert answer.status_code == 200
    assert is_signed_by_us(answer)
    assert caller.get(ECHO).status_code == 200


def test_production_has_no_such_address(caller, settings):
    settings.TEST_PLATFORM = False
    refused(caller.get(SANDBOX_ECHO), 404, "NOT_FOUND")
    refused(caller.get(SANDBOX_ECHO, authorization=""), 404, "NOT_FOUND")


@pytest.mark.parametrize("test_platform", [True, False])
def test_a_sandbox_request_cannot_be_replayed_at_the_address_without_the_prefix(caller, settings, test_platform):
    settings.TEST_PLATFORM = test_platform
    captured = caller.authorization("POST", SANDBOX_ECHO, b"{}")
    refused(caller.send("POST", ECHO, b"{}", authorization=captured), 401, "SIGN_ERROR")


def test_a_prefix_that_a_header_cuts_off_is_not_cut_off_for_us(caller, settings):
    """A server that trusts its proxies takes SCRIPT_NAME from them, and routes `/sandbox/x` as `/x`."""
    settings.TEST_PLATFORM = True
    signed = caller.authorization("POST", SANDBOX_ECHO, b"{}")
    mounted = {"SCRIPT_NAME": "/sandbox", "PATH_INFO": ECHO}
    refused(
        caller.send("POST", SANDBOX_ECHO, b"{}", authorization=signed, raw_uri=SANDBOX_ECHO, **mounted),
        400, "INVALID_REQUEST",
    )  # fmt: skip


def test_every_operation_is_there_under_the_sandboxs_prefix_too():
    from openplatform import urls as platform_urls
    from payments.api import urls as payments_urls

    paths = [str(each.pattern) for each in [*platform_urls.urlpatterns, *payments_urls.urlpatterns]]
    assert len(paths) > 10
    for path in paths:
        concrete = path
        for part in ("<event_id:event_id>", "<number:order_no>", "<number:refund_no>"):
            concrete = concrete.replace(part, "17")
        for part in ("<out_no:out_trade_no>", "<out_no:out_refund_no>"):
            concrete = concrete.replace(part, "A1")
        concrete = concrete.replace("<serial_no:serial_no>", "A1B2C3D4")
        production = resolve(f"/openapi/v1/{concrete}", urlconf="config.urls").func
        assert resolve(f"/sandbox/openapi/v1/{concrete}", urlconf="config.urls").func is production


# --- identity -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app_id", ["9223372036854775807", "9223372036854775808", "9999999999999999999"])
def test_an_app_id_that_no_column_can_hold_is_as_unknown_as_any_other(caller, app_id):
    document = refused(caller.get(ECHO, signing={"mchid": app_id}), 401, "SIGN_ERROR")
    unknown = refused(caller.get(ECHO, signing={"serial_no": "NO_SUCH_KEY"}), 401, "SIGN_ERROR")
    assert document["detail"] == unknown["detail"]


def test_an_answer_bears_the_nonce_of_its_request_refusals_too(caller, settings):
    """The signature covers it, so no answer can be passed off as the answer to another request."""
    for target, status in ((ECHO, 200), ("/openapi/v1/breaks/bug", 500)):
        params = caller.params("GET", target)
        answer = caller.get(target, authorization=harness.header(params))
        assert answer.status_code == status
        assert answer.headers["Fenpay-Nonce"] == params["nonce_str"]
        assert is_signed_by_us(answer)


def test_a_captured_answer_with_another_nonce_is_proven_false(caller):
    first, second = caller.get(ECHO), caller.get(ECHO)
    swapped = dict(first.headers) | {"Fenpay-Nonce": second.headers["Fenpay-Nonce"]}
    pem = harness.PlatformKey.objects.get().public_key_pem
    assert harness.proves(pem, first.headers, first.content)
    assert not harness.proves(pem, swapped, first.content)


# --- the order of checks --------------------------------------------------------------------------------------------


def test_of_several_faults_the_earliest_check_speaks(caller):
    """Size, target and form before the header; the header before the clock; the clock before the key."""
    late = {"timestamp": "1000000000", "serial_no": "NO_SUCH_KEY"}
    faults = [
        ({"raw_uri": f"{ECHO}?", "CONTENT_LENGTH": "99999"}, 400),
        ({"CONTENT_LENGTH": "99999", "HTTP_CONTENT_ENCODING": "gzip"}, 413),
        ({"HTTP_TRANSFER_ENCODING": "chunked", "HTTP_CONTENT_ENCODING": "gzip"}, 411),
        ({"HTTP_CONTENT_ENCODING": "gzip", "authorization": ""}, 415),
    ]
    for changes, status in faults:
        assert caller.post(ECHO, {}, **changes).status_code == status
    assert "server_time" in refused(caller.post(ECHO, {}, signing=late), 401, "SIGN_ERROR")


def test_a_replay_by_a_disabled_app_is_told_that_it_is_disabled_and_burns_no_nonce(caller):
    caller.app.disable()
    nonce = "a-nonce-of-a-disabled-app"
    refused(caller.get(ECHO, signing={"nonce_str": nonce}), 403, "APP_DISABLED")
    with store() as client:
        assert not client.exists(f"n:{caller.serial_no}:{nonce}")


def test_a_nonce_is_spent_before_the_body_is_judged(caller):
    """Else a signed request with a bad body could be sent again and again, at the cost of a verification each."""
    authorization = caller.authorization("POST", ECHO, b"{")
    refused(caller.send("POST", ECHO, b"{", authorization=authorization), 400, "INVALID_REQUEST")
    refused(caller.send("POST", ECHO, b"{", authorization=authorization), 401, "REPLAYED_NONCE")


# --- bodies ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def notification(caller):
    return notices.owed(caller.app, "https://shop.example/n")


def test_an_operation_that_is_told_nothing_refuses_to_be_told_something(caller, notification):
    target = f"/openapi/v1/notifications/{notification.pk}/replay"
    document = refused(caller.post(target, {"force": True}), 400, "PARAM_ERROR")
    assert document["errors"] == [{"field": "force", "reason": "unknown field"}]
    assert Notification.objects.get(pk=notification.pk).attempts_count == 0
    for body in (None, {}):
        assert caller.post(target, body).status_code == 202


@pytest.mark.parametrize("length", ["-1", "+2", "2,2", "0x2", "٢", "1e1", " 2", "9" * 13])
def test_a_length_that_is_not_a_plain_number_is_refused(caller, length):
    refused(caller.post(ECHO, {}, CONTENT_LENGTH=length), 400, "INVALID_REQUEST")


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "gzip, identity", "deflate", "x", ""])
def test_every_encoding_but_identity_is_refused(caller, encoding):
    refused(caller.post(ECHO, {}, HTTP_CONTENT_ENCODING=encoding), 415, "UNSUPPORTED_MEDIA")


@pytest.mark.parametrize("encoding", ["chunked", "identity", "gzip, chunked", ""])
def test_every_transfer_encoding_is_refused(caller, encoding):
    refused(caller.post(ECHO, {}, HTTP_TRANSFER_ENCODING=encoding), 411, "LENGTH_REQUIRED")


# --- what is answered where no view of ours runs --------------------------------------------------------------------


@pytest.mark.parametrize("path", [f"{ECHO}/", "/openapi/v1/nothing", "/openapi/v1/", "/openapi/v1", "/openapi/",
                                  "/sandbox/openapi/v1/nothing"])  # fmt: skip
def test_an_address_that_is_not_ours_is_a_problem_too_and_no_redirect(path):
    answer = Client(raise_request_exception=False).post(path, b"{}", content_type="application/json")
    document = refused(answer, 404, "NOT_FOUND")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert set(document) == {"type", "title", "status", "detail", "code", "message", "request_id", "errors"}


def test_a_host_that_is_not_ours_is_a_problem_too():
    answer = Client(raise_request_exception=False).get(ECHO, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    assert answer.headers["Cache-Control"] == "no-store"


def test_every_view_of_the_open_api_passes_through_the_gate():
    """An address under the prefix that does not extend OpenApiView would be open to everybody; one is, by design."""
    from django.urls import get_resolver

    from openplatform.api.checks import CHECKS

    open_to_all = set()
    for prefix in ("openapi/v1/", "sandbox/openapi/v1/"):
        for view in views_below(get_resolver("config.urls"), prefix):
            view_class = getattr(view, "view_class", None)
            if view_class is None:
                open_to_all.add(view.__name__)
            else:
                assert issubclass(view_class, OpenApiView)
                assert view_class.checks == CHECKS
    assert open_to_all == {"schema_view"}


def views_below(resolver, wanted, prefix=""):
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if hasattr(entry, "url_patterns"):
            yield from views_below(entry, wanted, path)
        elif path.startswith(wanted):
            yield entry.callback


# --- what is written down -------------------------------------------------------------------------------------------


def test_a_read_leaves_nothing_behind_but_its_nonce(caller):
    caller.get(ECHO)
    with connection.execute_wrapper(_only_reads):
        assert caller.get(ECHO).status_code == 200


def _only_reads(execute, sql, params, many, context):
    assert sql.startswith("SELECT"), sql
    return execute(sql, params, many, context)


def test_the_clock_of_a_refusal_is_a_number_that_a_machine_can_read(caller):
    document = refused(caller.get(ECHO, signing={"timestamp": "1000000000"}), 401, "SIGN_ERROR")
    assert type(document["server_time"]) is int
    assert abs(document["server_time"] - time.time()) < 5
    assert abs(document["server_time"] - timezone.now().timestamp()) < 5
    assert json.dumps(document)
