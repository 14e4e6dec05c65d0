"""The client believes nothing that is not proven, and repeats only what may be repeated."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from requests.structures import CaseInsensitiveDict

from openplatform.client import (
    SANDBOX_PREFIX,
    ApiError,
    Client,
    NotUnderstood,
    NotVerified,
    Order,
    Retries,
    verify_notification,
)
from openplatform.client.signing import request_headers
from openplatform.signature import request_message, sign_rsa
from tests.openplatform import harness
from tests.openplatform.merchants import answers, merchant_server
from tests.openplatform.platforms import (
    APP_ID,
    ORDER,
    OTHER,
    OURS,
    PLATFORM,
    REFUND,
    SERIAL,
    Platform,
    config,
    platform,
    signed,
)

SENT = {
    "app_id": APP_ID, "event_id": "5", "type": "order.succeeded", "object_no": "17", "object_version": 3,
    "status": "held", "notify_url": "https://shop.example/n", "attempts_count": 0, "next_attempt_at": None,
    "created_at": "2026-01-02T03:04:05Z", "delivered_at": None, "data": {},
}  # fmt: skip
QUICK = Retries(backoff_s=0.01, deadline_s=5)


def talk(*script, ask=lambda client: client.get_order("17"), **changes):
    with platform(*script) as server:
        try:
            return ask(Client(config(server.port, **changes), retries=QUICK)), server.requests
        except Exception as error:
            error.requests = server.requests
            raise


def create(client, **changes):
    wish = {
        "out_trade_no": "A1", "amount": "40.30", "subject": "咖啡", "channel": "wechatpay", "method": "native",
    }  # fmt: skip
    return client.create_order(**(wish | changes))


def test_a_request_is_signed_over_what_is_sent_and_names_the_platform_key_that_we_know():
    answer, (request,) = talk((201, ORDER, {}), ask=create)
    assert (answer.order_no, answer.amount_fen, answer.status) == ("17", 4030, "PAYING")
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
    with pytest.raises(NotVerified, match="about another") as refused:
        talk((201, ORDER | changed, {}), ask=create)
    assert refused.value.may_have_happened


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda client: client.get_order("16"), ORDER),
        (lambda client: client.close_order("16"), ORDER),
        (lambda client: client.get_order_by_out_trade_no("A2"), ORDER),
        (lambda client: client.get_refund("19"), REFUND),
        (lambda client: client.get_refund_by_out_refund_no("R2"), REFUND),
        (lambda client: client.create_refund(out_refund_no="R1", order_no="16", amount="10"), REFUND),
        (lambda client: client.get_notification("6"), SENT),
        (lambda client: client.replay_notification("6"), SENT),
    ],
)
def test_every_answer_must_be_about_what_was_asked_for(ask, answer):
    with pytest.raises(NotVerified, match="about another"):
        talk((200, answer, {}), ask=ask)


@pytest.mark.parametrize(("status", "document"), [(200, ORDER), (404, {"code": "NOT_FOUND"})])
def test_a_proven_answer_to_another_request_is_not_shown_nor_is_a_refusal(status, document):
    """Somebody in between could pass yesterday's refusal off as the answer to a write that was carried out."""
    with pytest.raises(NotVerified, match="another request"):
        talk((status, document, {"nonce": "the-nonce-of-another-one"}))


def test_the_answers_are_typed_and_keep_what_is_newer_than_the_client():
    order, _requests = talk((200, ORDER | {"tip_fen": 5, "paid_at": "2026-01-02T04:00:00Z"}, {}))
    assert order.paid_at == datetime(2026, 1, 2, 4, tzinfo=UTC)
    assert order.document["tip_fen"] == 5
    assert (order.is_payable, order.is_paid, order.is_decided) == (True, False, False)
    with pytest.raises(AttributeError):
        order.amount_fen = 1


@pytest.mark.parametrize(
    ("status", "seen"),
    [("PAYING", (True, False, False)), ("SUCCEEDED", (False, True, True)), ("SUCCEEDED_LATE", (False, True, True)),
     ("CLOSED", (False, False, True)), ("FAILED", (False, False, True)), ("UNKNOWN", (False, False, False)),
     ("A_STATUS_OF_NEXT_YEAR", (False, False, False))],
)  # fmt: skip
def test_what_a_status_means_to_a_merchant(status, seen):
    order = Order.read(ORDER | {"status": status})
    assert (order.is_payable, order.is_paid, order.is_decided) == seen


@pytest.mark.parametrize(
    "changed",
    [{"amount_fen": "4030"}, {"amount_fen": 40.3}, {"amount_fen": True}, {"amount_fen": None}, {"status": 1},
     {"metadata": []}, {"created_at": "yesterday"}, {"paid_at": 5}],
)  # fmt: skip
def test_a_field_of_another_type_is_an_error_and_not_a_surprise_later(changed):
    with pytest.raises(NotUnderstood, match=next(iter(changed))):
        talk((200, ORDER | changed, {}))


def test_a_field_that_may_be_null_may_be_missing_and_no_other():
    whole = {name: value for name, value in ORDER.items() if name != "trace_id"}
    assert talk((200, whole, {}))[0].trace_id is None
    del whole["amount_fen"]
    with pytest.raises(NotUnderstood, match="amount_fen"):
        talk((200, whole, {}))


@pytest.mark.parametrize("number", ["", "17/close", "../orders", "0", "17 ", "17?x=1", "-1", "１７", "1" * 20])
def test_a_number_that_would_address_something_else_is_never_sent(number):
    with platform() as server:
        for ask in ("get_order", "close_order", "get_refund", "get_notification", "replay_notification"):
            with pytest.raises(ValueError, match="is not"):
                getattr(Client(config(server.port)), ask)(number)
        assert server.requests == []


@pytest.mark.parametrize("amount", [40.3, 4030, None, True])
def test_an_amount_that_is_not_text_or_decimal_is_never_sent(amount):
    with platform() as server, pytest.raises(TypeError, match="yuan"):
        create(Client(config(server.port)), amount=amount)


def test_a_decimal_is_written_out_in_full():
    for amount, text in ((Decimal("40.30"), "40.30"), (Decimal("1E+2"), "100"), (Decimal("0.01"), "0.01")):
        _order, (request,) = talk((201, ORDER, {}), ask=lambda client, amount=amount: create(client, amount=amount))
        assert request.document["amount"] == text


def test_a_list_is_read_page_by_page():
    pages = [
        {"app_id": APP_ID, "notifications": [SENT | {"event_id": number} for number in numbers], "next_cursor": cursor}
        for numbers, cursor in ((("9", "8"), "8"), (("7",), None))
    ]
    found, requests = talk(
        *[(200, page, {}) for page in pages],
        ask=lambda client: [each.event_id for each in client.iter_notifications(status="held", object_no="17")],
    )
    assert found == ["9", "8", "7"]
    first, second = (request.line.split(" ")[1] for request in requests)
    assert first == "/openapi/v1/notifications?status=held&object_no=17&limit=100"
    assert second == f"{first}&cursor=8"


REPLAYED = [
    {"app_id": APP_ID, "replayed_count": count, "has_more": cursor is not None, "next_cursor": cursor}
    for count, cursor in ((1000, "c1"), (1000, "c2"), (17, None))
]  # fmt: skip


def test_all_that_match_are_sent_again_part_by_part():
    parts = []
    count, requests = talk(
        *[(202, part, {}) for part in REPLAYED],
        ask=lambda client: client.replay_all_notifications(
            status="held", object_no="17", created_from=datetime(2026, 1, 2, 4, tzinfo=UTC), on_part=parts.append
        ),
    )
    assert count == 2017
    assert [part.next_cursor for part in parts] == ["c1", "c2", None]
    wish = {"status": "held", "object_no": "17", "created_from": "2026-01-02T04:00:00+00:00"}
    assert [request.document for request in requests] == [wish, wish | {"cursor": "c1"}, wish | {"cursor": "c2"}]
    assert {request.line for request in requests} == {"POST /openapi/v1/notifications/replay HTTP/1.1"}


def test_a_replay_goes_on_from_a_cursor_after_a_failure():
    problem = {"code": "SYSTEM_ERROR", "detail": "no"}
    kept = []
    with pytest.raises(ApiError):
        talk(
            (202, REPLAYED[0], {}), (500, problem, {}),
            ask=lambda client: client.replay_all_notifications(status="held", on_part=kept.append),
        )  # fmt: skip
    count, requests = talk(
        (202, REPLAYED[1], {}), (202, REPLAYED[2], {}),
        ask=lambda client: client.replay_all_notifications(status="held", cursor=kept[-1].next_cursor),
    )  # fmt: skip
    assert count == 1017
    assert requests[0].document == {"status": "held", "cursor": "c1"}


def test_a_time_without_an_offset_is_never_sent():
    with platform() as server:
        with pytest.raises(ValueError, match="no offset"):
            Client(config(server.port)).replay_notifications(created_from=datetime(2026, 1, 2, 4))  # noqa: DTZ001
        assert server.requests == []


def test_the_platforms_keys_are_learned_from_an_answer_that_is_proven():
    told = {
        "serial_no": "PLATFORM_KEY_2", "algorithm": "RSA-SHA256", "public_key_pem": harness.public_pem(OTHER),
        "status": "published", "not_before": "2026-01-01T00:00:00Z", "not_after": "2028-01-01T00:00:00Z",
    }  # fmt: skip
    keys, _requests = talk(
        (200, {"app_id": APP_ID, "platform_keys": [told]}, {}), ask=lambda client: client.platform_keys()
    )
    newer = {"key": OTHER, "serial": "PLATFORM_KEY_2"}
    with pytest.raises(NotVerified, match="PLATFORM_KEY_2"):
        talk((200, ORDER, newer))
    trusted = config().trusting(keys).platform_keys
    assert talk((200, ORDER, newer), platform_keys=trusted)[0].order_no == "17"
    assert next(reversed(trusted)) == SERIAL, "the key that we ask for is still the one that we had"


@pytest.mark.parametrize(
    "base_url",
    ["http://pay.example", "ftp://pay.example", "https://pay.example/api", "https://me@pay.example", "https://",
     "https://pay.example?x", "http://127.0.0.1.evil.example"],
)  # fmt: skip
def test_an_address_that_would_show_orders_to_everybody_or_break_the_signature_is_refused(base_url):
    with pytest.raises(ValueError, match="base_url"):
        config(base_url=base_url)


def test_the_sandboxs_prefix_is_part_of_what_is_signed():
    _order, (request,) = talk((200, ORDER, {}), prefix=SANDBOX_PREFIX)
    assert request.line == "GET /sandbox/openapi/v1/orders/17 HTTP/1.1"
    with pytest.raises(ValueError, match="prefix"):
        config(prefix="/elsewhere")


def test_what_is_printed_of_a_configuration_holds_no_key():
    assert "private_key" not in repr(config())


def test_a_refusal_says_whether_it_was_proven():
    problem = {"code": "PARAM_ERROR", "detail": "no"}
    for signing, is_verified in (({}, True), ({"absent": True}, False)):
        with pytest.raises(ApiError, match="PARAM_ERROR") as refused:
            talk((400, problem, signing))
        assert refused.value.is_verified is is_verified
    with pytest.raises(NotVerified):
        talk((400, problem, {"key": OTHER}))


def test_a_redirect_is_an_answer_and_not_an_instruction():
    elsewhere = Platform((200, ORDER, {}))
    with merchant_server(elsewhere) as other, merchant_server(answers(302, b"{}", f"Location: {other.url}")) as server:
        with pytest.raises(ApiError):
            Client(config(server.port)).get_order("17")
        assert other.requests == []


def test_a_proxys_html_is_not_an_answer():
    with pytest.raises(NotVerified, match="not a JSON object"):
        talk((404, b"<html>", {"absent": True}))


def test_a_typed_package_says_so():
    assert (Path(__file__).parents[2] / "openplatform/client/py.typed").exists()


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
    [b"", b"{}", b"[" * 1_000, b"[]", b"null", b"\xff",
     b'{"app_id": "%s"}' % APP_ID.encode(), json.dumps(ORDER).encode()],
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
