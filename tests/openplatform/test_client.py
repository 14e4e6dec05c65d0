"""The client believes nothing that is not proven, and repeats only what may be repeated."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from requests.structures import CaseInsensitiveDict

from openplatform.client import ApiError, Client, Config, NoAnswer, NotVerified, calls, verify_notification
from openplatform.client.signing import request_headers
from openplatform.signature import answer_message, request_message, sign_rsa
from tests.openplatform import harness
from tests.openplatform.merchants import answers, merchant_server

PLATFORM, OTHER, OURS = harness.new_key(), harness.new_key(), harness.new_key()
SERIAL = "PLATFORM_KEY_1"
APP_ID = "1234567890123456789"


class Platform:
    """Answers each request with the next of `script`: a status, a document, and how it is signed."""

    def __init__(self, *script):
        self.script = list(script)

    def __call__(self, connection):
        status, document, signing = self.script.pop(0)
        if status is None:
            return
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", "Retry-After: 0"]
        connection.sendall("\r\n".join([*headers, *signed(body, **signing)]).encode() + b"\r\n\r\n" + body)


def signed(body, *, key=PLATFORM, serial=SERIAL, late_by_s=0, over=None, scheme="FENPAY-SHA256-RSA2048", absent=False):
    if absent:
        return []
    timestamp = str(int(time.time()) - late_by_s)
    signature = sign_rsa(key, answer_message(timestamp=timestamp, nonce="n" * 16, body=over or body))
    return [
        f"Fenpay-Timestamp: {timestamp}", f"Fenpay-Nonce: {'n' * 16}", f"Fenpay-Serial: {serial}",
        f"Fenpay-Signature: {signature}", f"Fenpay-Signature-Type: {scheme}",
    ]  # fmt: skip


def config(port=1, **changes):
    values = {
        "base_url": f"http://127.0.0.1:{port}", "app_id": APP_ID, "serial_no": "MERCHANT_KEY_1", "private_key": OURS,
        "platform_keys": {SERIAL: PLATFORM.public_key()},
    }  # fmt: skip
    return Config(**(values | changes))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(calls, "BACKOFF_S", 0.01)


def talk(*script, ask=lambda client: client.get("/openapi/v1/x")):
    with merchant_server(Platform(*script)) as server:
        try:
            return ask(Client(config(server.port))), server.requests
        except Exception as error:
            error.requests = server.requests
            raise


ORDER = {"app_id": APP_ID, "out_trade_no": "A1", "order_no": "17"}


def create(client):
    return client.create_order(out_trade_no="A1", amount="40.30", subject="咖啡", channel="wechatpay", method="native")


def test_a_request_is_signed_over_what_is_sent_and_names_the_platform_key_that_we_know():
    answer, (request,) = talk((201, ORDER, {}), ask=create)
    assert answer == ORDER
    assert request.line == "POST /openapi/v1/orders HTTP/1.1"
    assert request.headers["Fenpay-Serial"] == SERIAL
    assert "咖啡".encode() in request.body
    scheme, _, rest = request.headers["Authorization"].partition(" ")
    params = dict(part.split("=", 1) for part in rest.split(","))
    assert scheme == "FENPAY-SHA256-RSA2048"
    message = request_message(
        method="POST", target="/openapi/v1/orders", timestamp=params["timestamp"].strip('"'),
        nonce=params["nonce_str"].strip('"'), body=request.body,
    )  # fmt: skip
    assert params["signature"].strip('"') == sign_rsa(OURS, message)


@pytest.mark.parametrize(
    "signing",
    [
        {"absent": True}, {"key": OTHER}, {"serial": "UNKNOWN_KEY"}, {"late_by_s": 400},
        {"late_by_s": -400}, {"over": b"{}"}, {"scheme": "NONE"},
    ],
)  # fmt: skip
def test_an_answer_that_is_not_proven_is_not_shown(signing):
    with pytest.raises(NotVerified):
        talk((200, ORDER, signing))


@pytest.mark.parametrize("changed", [{"app_id": "9" * 19}, {"out_trade_no": "A2"}, {"out_trade_no": None}])
def test_a_proven_answer_about_something_else_is_not_shown(changed):
    with pytest.raises(NotVerified, match="about another"):
        talk((201, ORDER | changed, {}), ask=create)


def test_a_refusal_says_whether_it_was_proven():
    problem = {"code": "PARAM_ERROR", "detail": "no"}
    for signing, is_verified in (({}, True), ({"absent": True}, False)):
        with pytest.raises(ApiError, match="PARAM_ERROR") as refused:
            talk((400, problem, signing))
        assert refused.value.is_verified is is_verified
    with pytest.raises(NotVerified):
        talk((400, problem, {"key": OTHER}))


def test_what_may_be_repeated_is_repeated_with_a_new_nonce():
    answer, requests = talk(
        (503, {"code": "TRY_LATER"}, {}), (401, {"code": "REPLAYED_NONCE"}, {}), (201, ORDER, {}), ask=create
    )
    assert answer == ORDER
    assert len({request.headers["Authorization"] for request in requests}) == 3
    assert len({request.body for request in requests}) == 1


@pytest.mark.parametrize(("status", "code"), [(400, "PARAM_ERROR"), (401, "SIGN_ERROR"), (500, "SYSTEM_ERROR")])
def test_what_will_not_become_better_is_not_repeated(status, code):
    with pytest.raises(ApiError) as refused:
        talk((status, {"code": code}, {}), ask=create)
    assert len(refused.value.requests) == 1


def test_a_connection_that_breaks_is_tried_three_times_and_then_reported_as_unknown():
    with pytest.raises(NoAnswer) as unknown:
        talk((None, None, None), (None, None, None), (None, None, None), ask=create)
    assert len(unknown.value.requests) == 3


def test_a_redirect_is_an_answer_and_not_an_instruction():
    elsewhere = Platform((200, ORDER, {}))
    with merchant_server(elsewhere) as other, merchant_server(answers(302, b"{}", f"Location: {other.url}")) as server:
        with pytest.raises(ApiError):
            Client(config(server.port)).get("/openapi/v1/x")
        assert other.requests == []


def test_a_proxys_html_is_not_an_answer():
    with pytest.raises(NotVerified, match="not a JSON object"):
        talk((404, b"<html>", {"absent": True}))


def a_notification(*, app_id=APP_ID, body=None, **signing):
    document = {
        "event_id": "5", "type": "order.succeeded", "created_at": "2026-01-02T03:04:05Z", "object_version": 3,
        "app_id": app_id, "data": {"a": 1},
    }  # fmt: skip
    body = json.dumps(document).encode() if body is None else body
    headers = CaseInsensitiveDict(line.split(": ", 1) for line in signed(body, **signing))
    return headers, body


def test_a_notification_is_proven_and_read():
    headers, body = a_notification()
    notification = verify_notification(config(), headers=headers, body=body)
    assert (notification.event_id, notification.type, notification.data) == ("5", "order.succeeded", {"a": 1})


def test_a_notification_that_is_forged_changed_old_or_anothers_is_refused():
    for headers, body in (
        a_notification(key=OTHER), a_notification(late_by_s=400), a_notification(absent=True),
        a_notification(app_id="9" * 19), (a_notification()[0], a_notification()[1] + b" "),
    ):  # fmt: skip
        with pytest.raises(NotVerified):
            verify_notification(config(), headers=headers, body=body)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b"\xff", b'{"app_id": "%s"}' % APP_ID.encode(), json.dumps(ORDER).encode()],
)  # fmt: skip
def test_a_proven_body_that_is_no_notification_is_refused(body):
    """An answer to a request is signed in the same way, and somebody may send it on."""
    headers, body = a_notification(body=body)
    with pytest.raises(NotVerified, match="not a notification"):
        verify_notification(config(), headers=headers, body=body)


def test_the_command_verifies_a_notification_from_files(tmp_path):
    (tmp_path / "key.pem").write_text(harness.private_pem(OURS))
    (tmp_path / "client.json").write_text(json.dumps({
        "base_url": "http://127.0.0.1:1", "app_id": APP_ID, "serial_no": "MERCHANT_KEY_1",
        "private_key_path": "key.pem", "platform_keys": {SERIAL: harness.public_pem(PLATFORM)},
    }))  # fmt: skip
    headers, body = a_notification()
    (tmp_path / "headers").write_text("\n".join(f"{name.lower()}: {value}" for name, value in headers.items()))
    command = [
        sys.executable, "-m", "openplatform.client", "--config", str(tmp_path / "client.json"), "verify-notification",
        "--headers", str(tmp_path / "headers"), "--body", str(tmp_path / "body"),
    ]  # fmt: skip
    for sent, code, said in ((body, 0, "verified: order.succeeded, event 5"), (body + b" ", 1, "NotVerified")):
        (tmp_path / "body").write_bytes(sent)
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
        assert done.returncode == code
        assert said in done.stdout + done.stderr


def test_the_client_needs_nothing_of_django_nor_of_the_rest_of_us():
    program = (
        "import sys, openplatform.client, openplatform.client.__main__\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "assert not names & {'django', 'rest_framework', 'celery', 'redis', 'psycopg2', 'payments', 'idgen'}, names\n"
        "ours = {name for name in sys.modules if name.startswith('openplatform')}\n"
        "assert all(name == 'openplatform' or name.startswith('openplatform.client') for name in ours), ours\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_two_requests_never_share_a_nonce():
    headers = [request_headers(config(), method="GET", target="/x", body=b"")["Authorization"] for _ in range(50)]
    assert len({header.split('nonce_str="')[1].split('"')[0] for header in headers}) == 50
