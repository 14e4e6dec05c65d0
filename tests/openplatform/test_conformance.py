"""The kit lets a good merchant pass and finds each fault of a careless one; it touches no money."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import requests
from django.core.management import call_command
from django.utils import timezone

from openplatform.conformance.cases import CASES, Expected
from openplatform.models import ConformanceRun, Notification
from tests.openplatform import harness, merchants
from tests.openplatform.kit import NATIVE, found_by, in_a_hurry, its_host, reasons, run_against, those
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, new_secret, serve
from tests.openplatform.shops import Shop
from tests.openplatform.test_webhooks import verified
from tests.sandboxes import ROOT, wait_until

pytestmark = pytest.mark.django_db
__all__ = ["app", "in_a_hurry", "serve"]


NAMES = {case.name for case in CASES[NATIVE]}
FORGED = {"one_bit", "body_changed", "other_key", "unknown_serial", "sign_test"}
REFUSED = {case.name for case in CASES[NATIVE] if case.expected == Expected.REFUSED}


# --- a good one: the demo merchant, in a process of its own --------------------------------------------------------


@contextmanager
def demo_merchant(directory, *, app_id, platform_keys):
    config = directory / "config.json"
    config.write_text(json.dumps({"app_id": str(app_id), "platform_keys": platform_keys}))
    listener = socket.create_server(("127.0.0.1", 0))
    host = f"127.0.0.1:{listener.getsockname()[1]}"
    arguments = ["--dir", str(directory), "--config", str(config), "--bind", f"fd://{listener.fileno()}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    with (directory / "log.txt").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "demo-merchant", *arguments], cwd=ROOT, env=environment,
            pass_fds=[listener.fileno()], stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_until(lambda: _answers(host), within_s=30)
        yield host
    finally:
        process.terminate()
        process.wait(10)
        listener.close()


def _answers(host):
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(f"http://{host}/healthz", timeout=5).ok
        except requests.RequestException:
            return False


def test_the_real_demo_merchant_passes_every_case(app, platform_key, settings, tmp_path, capsys):
    keys = {platform_key.pk: platform_key.public_key_pem}
    settings.NOTIFICATION_ALLOW_HTTP, settings.NOTIFICATION_TIMEOUT_S = True, 20.0  # a busy machine
    with demo_merchant(tmp_path, app_id=app.pk, platform_keys=keys) as host:
        settings.NOTIFICATION_PRIVATE_HOSTS = [host]
        its_host(app)
        call_command("conformance", "--app-id", str(app.pk), "--url", f"http://{host}/notify")
        known = requests.get(f"http://{host}/received", timeout=5).json()
    table = capsys.readouterr().out
    found = found_by(ConformanceRun.objects.get())
    assert those(found, "fail") == set(), table
    assert reasons(found, "warn") <= {"slow_answer"}, table
    assert set(found) == NAMES
    assert {row["data"]["out_trade_no"].split("_")[0] for row in known} == {"FENPAYTEST"}
    assert {re.match("test_", row["event_id"]) is not None for row in known} == {True}
    assert {row["is_test"] for row in known} == {True}, "they are kept apart"
    assert max(row["times"] for row in known) == 5
    assert table.count("\npass") + table.startswith("pass") >= len(NAMES) - 2
    assert not Notification.objects.exists(), "no event was owed"


# --- careless ones --------------------------------------------------------------------------------------------------


def test_a_merchant_that_believes_everything_fails_whatever_it_should_refuse(app, serve, capsys):
    server = serve(answers(200))
    done, found = run_against(server.url, app)
    assert done.grade == "fail"
    assert those(found, "fail") == REFUSED - {"repeated_header"}
    assert found["repeated_header"] == ("warn", "accepted")
    assert reasons(found, "fail") == {"accepted"}
    with pytest.raises(SystemExit) as ended:
        call_command("conformance", "--app-id", str(app.pk), "--url", server.url)
    assert ended.value.code == 1
    table = capsys.readouterr().out
    assert "fail  genuine, but the order has another amount" in table
    assert "Compare amount_fen with your own order" in table


def test_a_merchant_that_refuses_everything_is_not_praised_for_it(app, serve):
    done, found = run_against(serve(answers(401)).url, app)
    assert done.grade == "fail"
    assert found["good"] == ("fail", "refused")
    assert {found[name] for name in REFUSED} == {("warn", "not_judged")}


@pytest.mark.parametrize(
    ("fault", "failed", "warned"),
    [
        ("", set(), set()),
        ("signature", FORGED, {"repeated_header"}),
        ("first header", set(), {"repeated_header"}),
        ("number", set(), {"garbage_timestamp"}),
        ("base64", set(), {"garbage_signature"}),
        ("serials", set(), {"garbage_serial"}),
        ("unsigned", {"missing_headers"}, set()),
        ("past", {"replayed_old"}, set()),
        ("future", {"from_the_future"}, set()),
        ("app", {"wrong_app"}, set()),
        ("amount", {"wrong_amount"}, set()),
        ("crashes", set(), {"wrong_amount"}),
        ("duplicates", {"duplicate", "duplicates_at_once"}, set()),
        ("versions", {"reordered"}, set()),
        ("types", {"unknown_type"}, set()),
        ("fields", {"unknown_fields"}, set()),
        ("content-type", {"content_types"}, set()),
        ("case", {"lower_case_headers"}, set()),
        ("size", set(), {"large"}),
    ],
)
def test_each_fault_is_found_and_nothing_else(app, serve, platform_key, settings, fault, failed, warned):
    server = serve(answers(200))
    Shop(server, pem=platform_key.public_key_pem, app_id=app.pk, fault=fault)
    settings.NOTIFICATION_TIMEOUT_S = 10.0
    _done, found = run_against(server.url, app)
    unexpected = {case for case, (_grade, finding) in found.items() if finding == "slow_answer"}
    assert those(found, "fail") == failed
    assert those(found, "warn") - unexpected == warned
    assert set(found) == NAMES


def test_a_merchant_that_verifies_by_standard_webhooks_alone_passes_too(app, serve, settings):
    secret, server = new_secret(app, now=timezone.now()), serve(answers(200))
    settings.NOTIFICATION_TIMEOUT_S = 10.0

    def behave(connection):
        request = server.requests[-1]
        try:
            is_genuine = verified(secret, headers=request.headers, body=request.body, now=time.time())
        except (KeyError, ValueError, OverflowError):
            is_genuine = False
        event = request.document
        amount = int(event["data"]["out_trade_no"].split("_")[1])
        is_right = event["app_id"] == str(app.pk) and event["data"]["amount_fen"] == amount
        answers(204 if is_genuine and is_right else 401)(connection)

    server.behaviour = behave
    _done, found = run_against(server.url, app)
    assert those(found, "fail") == set()


def test_a_server_that_does_not_answer_costs_one_deadline_and_not_twenty(app, serve):
    server = serve(merchants.silent)
    done, found = run_against(server.url, app)
    assert (len(server.requests), done.grade) == (1, "fail")
    assert found.pop("good") == ("fail", "no_answer")
    assert set(found.values()) == {("warn", "not_reached")}


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_every_event_says_in_what_is_signed_that_it_is_a_test(app, serve):
    server = serve(answers(200))
    run_against(server.url, app)
    documents = [request.document for request in server.requests]
    assert {document["test"] for document in documents} == {True}
    assert all(document["event_id"].startswith("test_") for document in documents)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,32}", document["data"]["out_trade_no"]) for document in documents)
    assert max(len(request.body) for request in server.requests) < 65_536


def test_garbage_is_what_it_says_it_is(app, serve, platform_key):
    """A timestamp that is no number is signed by us, so that whoever verifies first reads it too."""
    server = serve(answers(200))
    run_against(server.url, app)
    requests = server.requests
    odd = [request for request in requests if not request.headers.get("Fenpay-Timestamp", "1").isdigit()]
    assert {harness.proves(platform_key.public_key_pem, each.headers, each.body) for each in odd} == {True}
    assert max(len(request.headers.get("Fenpay-Serial", "")) for request in requests) == 4_000
    twice = [name for request in requests for name in _names_that_stand_twice(request)]
    assert sorted(twice) == ["Fenpay-Signature", "Fenpay-Timestamp"]


def _names_that_stand_twice(request):
    names = [name for name, _value in request.pairs]
    return {name for name in names if names.count(name) > 1}


def test_the_false_signatures_are_false_and_the_others_are_not(app, serve, platform_key):
    server = serve(answers(200))
    run_against(server.url, app)
    proven = [
        harness.proves(platform_key.public_key_pem, request.headers, request.body)
        for request in server.requests
        if len(request.headers.get("Fenpay-Signature", "")) > 100
        and {"Fenpay-Timestamp", "Fenpay-Nonce"} <= set(request.headers)
    ]
    twice = 2
    assert proven.count(False) - twice == 5, "one bit, a changed body, two strangers, one that is visibly false"
