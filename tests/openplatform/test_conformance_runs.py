"""Whom the kit may attack, how long it may take, and what is kept and said of it."""

import itertools
from datetime import timedelta

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone, translation

from openplatform.blocks import lists
from openplatform.conformance.aim import AddressRefused, NotItsHost
from openplatform.conformance.cases import CASES, Expected
from openplatform.conformance.firing import Budget
from openplatform.conformance.grading import Finding
from openplatform.conformance.run import (
    ShapeRefused,
    new_run,
    run_conformance,
    task_budget,
)
from openplatform.conformance.wording import TITLES, advice_on, refusal_text, title_of
from openplatform.models import ConformanceRun, NotifyHost
from openplatform.notifications import queries
from tests.openplatform import harness
from tests.openplatform.kit import NATIVE, WECHATPAY, asked, found_by, in_a_hurry, its_host, new, run_against
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "in_a_hurry", "serve"]
NAMES = [case.name for case in CASES[NATIVE]]
SECOND = timedelta(seconds=1)


# --- (a) whom -------------------------------------------------------------------------------------------------------


def test_an_operator_cannot_aim_it_at_a_stranger(app):
    with pytest.raises(NotItsHost) as refused:
        new(app, "https://stranger.example/n")
    assert refused.value.word == "not_its_host"
    with pytest.raises(CommandError, match="register it as a notify host"):
        call_command("conformance", "--app-id", str(app.pk), "--url", "https://stranger.example/n")
    assert not ConformanceRun.objects.exists()


def test_a_host_is_its_own_when_it_is_registered_or_the_app_was_told_there(app):
    owed(app, "https://told.example:8443/a")
    assert new(app, "https://told.example:8443/b").url == "https://told.example:8443/b"
    ConformanceRun.objects.all().delete()
    its_host(app, "registered.example")
    assert new(app, "https://registered.example/n")


@pytest.mark.parametrize(
    "url", ["https://told.example/a", "https://told.example.evil.example/a", "https://www.told.example:8443/a"]
)
def test_another_port_or_name_is_another_host(app, url):
    owed(app, "https://told.example:8443/a")
    with pytest.raises(NotItsHost):
        new(app, url)


def test_what_another_app_was_told_does_not_count_nor_what_was_long_ago(app, monkeypatch):
    owed(harness.an_app(), "https://told.example/a")
    with pytest.raises(NotItsHost):
        new(app, "https://told.example/a")
    monkeypatch.setattr(queries, "LATELY_MAX", 2)
    owed(app, "https://told.example/a")
    owed(app, "https://other.example/a")
    assert queries.was_told_lately(app_id=app.pk, url="https://told.example/a")
    owed(app, "https://other.example/a")
    with pytest.raises(NotItsHost):
        new(app, "https://told.example/a")


def test_a_host_that_is_taken_off_the_list_is_no_longer_its_own(app):
    its_host(app, "shop.example")
    NotifyHost.objects.get().lift(by="olga", now=timezone.now())
    lists.forget()
    with pytest.raises(NotItsHost):
        new(app, "https://shop.example/n")


@pytest.mark.parametrize(
    ("url", "word"), [("https://169.254.169.254/n", "url_refused"), ("https://b.example/n", "host_not_registered")]
)
def test_an_address_that_we_do_not_call_for_this_app_is_not_attacked_either(app, url, word):
    its_host(app, "a.example")
    with pytest.raises(AddressRefused, match=word):
        new(app, url)
    with pytest.raises(CommandError, match=word):
        call_command("conformance", "--app-id", str(app.pk), "--url", url)
    assert not ConformanceRun.objects.exists()


def test_it_is_asked_again_before_each_case(app, serve):
    """The host is taken off the list while the run goes on."""
    server = serve(answers(200))
    its_host(app)
    host = NotifyHost.objects.get()
    owed(app, "https://a.example/n")  # so that it is told somewhere, and not there
    moments = itertools.count()

    def clock():
        if next(moments) == 40 and host.lifted_at is None:
            host.lift(by="olga", now=timezone.now())
        return timezone.now()

    run_conformance(run_id=asked(app, server.url).pk, clock=clock)
    found = found_by(ConformanceRun.objects.get())
    refused = {case for case, (_grade, finding) in found.items() if finding == "address_refused"}
    assert "good" not in refused
    assert {"large", "slow"} <= refused, "the last ones were not sent any more"
    assert {found[case][0] for case in refused} == {"warn"}
    sent = len(server.requests)
    assert 0 < sent < 40


# --- (b) how long ---------------------------------------------------------------------------------------------------


class Watch:
    """A watch that somebody else moves on."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def test_the_time_is_looked_at_before_each_request_and_not_only_before_each_case(app, serve):
    """The second request of a case is answered when the time is over: the third and fourth are not sent."""
    watch = Watch()
    server = serve(answers(401))

    def behave(connection):
        if server.requests[-1].headers.get("Fenpay-Nonce") is None:  # missing_headers, its second one
            watch.now_s += 100
        answers(401)(connection)

    server.behaviour = behave
    _done, found = run_against(server.url, app, budget=Budget(ends_at=50.0, watch=watch))
    before = NAMES[: NAMES.index("missing_headers")]
    assert {finding for case, (_grade, finding) in found.items() if case in before} <= {"not_judged", "refused"}
    assert found["missing_headers"] == ("warn", "no_time")
    assert {found[case] for case in NAMES[NAMES.index("sign_test") :]} == {("warn", "no_time")}
    assert "Fenpay-Serial" in server.requests[-1].headers, "nothing came after the second one"


def answers_when_nobody_waits_any_more(connection):
    """It would answer after a while, unless we hang up before."""
    connection.settimeout(8)
    try:
        connection.recv(1)
    except TimeoutError:
        answers(200)(connection)


def test_a_request_is_not_given_more_time_than_is_left_and_the_merchant_is_not_blamed(app, serve, settings):
    settings.NOTIFICATION_TIMEOUT_S = 60.0
    server = serve(answers_when_nobody_waits_any_more)
    run = asked(app, server.url)
    done = run_conformance(run_id=run.pk, clock=timezone.now, budget=Budget.of(0.3))
    assert set(found_by(done).values()) == {("warn", "no_time")}
    assert len(server.requests) == 1


def test_a_fault_that_was_found_counts_though_the_rest_of_the_case_was_not_sent(app, serve):
    watch = Watch()
    server = serve(answers(200))

    def behave(connection):
        watch.now_s += 100 if "Fenpay-Timestamp" not in server.requests[-1].headers else 0
        answers(200)(connection)

    server.behaviour = behave
    _done, found = run_against(server.url, app, budget=Budget(ends_at=50.0, watch=watch))
    assert found["missing_headers"] == ("fail", "accepted")
    assert found["slow"] == ("warn", "no_time")


def test_a_task_ends_its_run_before_it_would_be_killed(settings):
    soft_limit_s = current_app.tasks["openplatform.run_conformance"].soft_time_limit
    assert 0 < task_budget().left_s() <= soft_limit_s - 5
    settings.CONFORMANCE_BUDGET_S = 2
    assert task_budget().left_s() <= 2


# --- what is kept, and what is said ---------------------------------------------------------------------------------


def test_the_command_wants_an_app_an_address_and_a_key_for_the_envelope(app):
    with pytest.raises(CommandError, match="no such app"):
        call_command("conformance", "--app-id", "17")
    with pytest.raises(CommandError, match="give --url"):
        call_command("conformance", "--app-id", str(app.pk))
    its_host(app, "a.example")
    with pytest.raises(CommandError, match="APIv3 key"):
        call_command(
            "conformance", "--app-id", str(app.pk), "--url", "https://a.example/n", "--shape", "wechatpay"
        )  # fmt: skip
    with pytest.raises(ShapeRefused):
        new_run(app=app, url="https://a.example/n", shape=WECHATPAY, by="x", now=timezone.now())


def test_results_are_kept_as_they_were(app, serve):
    run_against(serve(answers(200)).url, app)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE openplatform_conformanceresult SET grade = 'pass'")


@translation.override("en")
@pytest.mark.parametrize("shape", [NATIVE, WECHATPAY])
def test_every_case_has_a_title_and_advice_for_whoever_gets_it_wrong(shape):
    assert {case.name for cases in CASES.values() for case in cases} == set(TITLES)
    for case in CASES[shape]:
        wrong = "accepted" if case.expected == Expected.REFUSED else "refused"
        assert str(advice_on(case.name, wrong, shape=shape)).endswith(".")
        assert advice_on(case.name, "as_expected", shape=shape) == ""
    assert title_of("of another release") == "of another release"
    assert advice_on("of another release", "unheard_of")


def test_every_reason_not_to_call_is_a_sentence_in_both_languages():
    words = ("url_refused", "host_blocked", "host_not_registered", "not_its_host")
    for language, end in (("en", "."), ("zh-hans", "。")):
        with translation.override(language):
            assert {str(refusal_text(word))[-1] for word in words} == {end}
            for finding in set(Finding) - {Finding.AS_EXPECTED}:
                assert str(advice_on("good", finding))[-1] == end
