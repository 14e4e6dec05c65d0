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
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone, translation

from openplatform.blocks import lists
from openplatform.conformance import run as kit
from openplatform.conformance.cases import CASES, Expected
from openplatform.conformance.run import AddressRefused, ask_for_run, new_run, run_conformance
from openplatform.conformance.wording import TITLES, advice_on, title_of
from openplatform.models import ConformanceResult, ConformanceRun, Notification, NotifyHost, WebhookSecret
from openplatform.tasks import run_conformance as run_conformance_task
from tests.openplatform import harness, merchants
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, serve
from tests.openplatform.shops import Shop
from tests.openplatform.test_webhooks import verified
from tests.sandboxes import ROOT, wait_until

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]


def run_against(url, app, **kwargs):
    """Grade and finding of each case."""
    run = new_run(app=app, url=url, by="olga", now=timezone.now())
    done = run_conformance(run_id=run.pk, clock=timezone.now, **kwargs)
    assert done.finished_at is not None
    return done, {result.case: (result.grade, result.finding) for result in done.results.all()}


def those(found, grade):
    return {case for case, (its, _finding) in found.items() if its == grade}


REFUSED = {case.name for case in CASES if case.expected == Expected.REFUSED}


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


def test_the_demo_merchant_passes_every_case(app, platform_key, settings, tmp_path, capsys):
    keys = {platform_key.pk: platform_key.public_key_pem}
    settings.NOTIFICATION_ALLOW_HTTP, settings.NOTIFICATION_TIMEOUT_S = True, 20.0  # a busy machine
    with demo_merchant(tmp_path, app_id=app.pk, platform_keys=keys) as host:
        settings.NOTIFICATION_PRIVATE_HOSTS = [host]
        call_command("conformance", "--app-id", str(app.pk), "--url", f"http://{host}/notify")
        known = requests.get(f"http://{host}/received", timeout=5).json()
    table = capsys.readouterr().out
    found = {result.case: (result.grade, result.finding) for result in ConformanceRun.objects.get().results.all()}
    assert those(found, "fail") == set(), table
    assert {finding for grade, finding in found.values() if grade == "warn"} <= {"slow_answer"}, table
    assert set(found) == {case.name for case in CASES}
    assert {row["data"]["out_trade_no"].split("_")[0] for row in known} == {"FENPAYTEST"}
    assert {re.match("test_", row["event_id"]) is not None for row in known} == {True}
    assert max(row["times"] for row in known) == 5
    assert table.count("\npass") + table.startswith("pass") >= len(CASES) - 2
    assert not Notification.objects.exists(), "no event was owed"


# --- careless ones --------------------------------------------------------------------------------------------------


def test_a_merchant_that_believes_everything_fails_whatever_it_should_refuse(app, serve, capsys):
    server = serve(answers(200))
    done, found = run_against(server.url, app)
    assert done.grade == "fail"
    assert those(found, "fail") == REFUSED
    assert {finding for grade, finding in found.values() if grade == "fail"} == {"accepted"}
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
        ("signature", {"one_bit", "body_changed", "other_key", "unknown_serial", "sign_test"}, set()),
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
    assert set(found) == {case.name for case in CASES}


def test_a_merchant_that_verifies_by_standard_webhooks_alone_passes_too(app, serve, settings):
    secret, server = WebhookSecret.rotate(app=app, now=timezone.now()), serve(answers(200))
    settings.NOTIFICATION_TIMEOUT_S = 10.0

    def behave(connection):
        request = server.requests[-1]
        try:
            is_genuine = verified(secret, headers=request.headers, body=request.body, now=time.time())
        except KeyError:
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
    started = time.monotonic()
    done, found = run_against(server.url, app)
    assert (len(server.requests), done.grade) == (1, "fail")
    assert time.monotonic() - started < 5
    assert found.pop("good") == ("fail", "no_answer")
    assert set(found.values()) == {("warn", "not_reached")}


def test_what_is_not_reached_in_the_time_of_a_task_says_so(app, serve):
    done, found = run_against(serve(answers(200)).url, app, budget_s=-1)
    assert (set(found.values()), done.grade) == ({("warn", "not_reached")}, "warn")


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_every_event_says_in_what_is_signed_that_it_is_a_test(app, serve):
    server = serve(answers(200))
    run_against(server.url, app)
    documents = [request.document for request in server.requests]
    assert {document["test"] for document in documents} == {True}
    assert all(document["event_id"].startswith("test_") for document in documents)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,32}", document["data"]["out_trade_no"]) for document in documents)
    assert max(len(request.body) for request in server.requests) < 65_536


def test_the_false_signatures_are_false_and_the_others_are_not(app, serve, platform_key):
    server = serve(answers(200))
    run_against(server.url, app)
    proven = [
        harness.proves(platform_key.public_key_pem, request.headers, request.body)
        for request in server.requests
        if "Fenpay-Signature" in request.headers and {"Fenpay-Timestamp", "Fenpay-Nonce"} <= set(request.headers)
    ]
    assert proven.count(False) == 5, "one bit, a changed body, two strangers, one that is visibly false"


# --- who may, and what is kept --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "word"), [("https://169.254.169.254/n", "url_refused"), ("https://b.example/n", "host_not_registered")]
)
def test_an_address_that_we_do_not_call_for_this_app_is_not_attacked_either(app, url, word):
    NotifyHost.register(app=app, text="a.example", reason="x", by="olga", now=timezone.now())
    lists.forget()
    with pytest.raises(AddressRefused, match=word):
        new_run(app=app, url=url, by="olga", now=timezone.now())
    with pytest.raises(CommandError, match=word):
        call_command("conformance", "--app-id", str(app.pk), "--url", url)
    assert not ConformanceRun.objects.exists()


def test_the_command_wants_an_app_and_an_address(app):
    with pytest.raises(CommandError, match="no such app"):
        call_command("conformance", "--app-id", "17")
    with pytest.raises(CommandError, match="give --url"):
        call_command("conformance", "--app-id", str(app.pk))


def test_of_two_tasks_one_makes_the_run(app, serve):
    server = serve(answers(200))
    run = ask_for_run(app=app, url=server.url, by="olga", now=timezone.now())
    run_conformance_task.run(run_id=run.pk)
    sent = len(server.requests)
    run_conformance_task.run(run_id=run.pk)
    assert len(server.requests) == sent > len(CASES)
    assert run_conformance_task.name == kit.TASK
    assert ConformanceResult.objects.count() == len(CASES)


def test_results_are_kept_as_they_were(app, serve):
    run_against(serve(answers(200)).url, app)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE openplatform_conformanceresult SET grade = 'pass'")


@translation.override("en")
def test_every_case_has_a_title_and_advice_for_whoever_gets_it_wrong():
    assert set(TITLES) == {case.name for case in CASES}
    for case in CASES:
        wrong = "accepted" if case.expected == Expected.REFUSED else "refused"
        assert str(advice_on(case.name, wrong)).endswith(".")
        assert advice_on(case.name, "as_expected") == ""
    assert title_of("of another release") == "of another release"
    assert advice_on("of another release", "unheard_of")
