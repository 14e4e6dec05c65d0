"""What becomes of a run of the kit whose worker or message is lost, and of two at once."""

import itertools
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from openplatform import hints, tasks
from openplatform.conformance.cases import CASES
from openplatform.conformance.run import (
    TASK,
    RunUnderWay,
    ask_for_run,
    run_conformance,
)
from openplatform.conformance.sweep import sweep_conformance
from openplatform.models import ConformanceResult, ConformanceRun
from openplatform.models.conformance import LEASE, WANTED_FOR, RunEnded
from tests.openplatform import harness
from tests.openplatform.kit import NATIVE, asked, found_by, in_a_hurry, its_host, new
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "in_a_hurry", "serve"]
NAMES = [case.name for case in CASES[NATIVE]]
SECOND = timedelta(seconds=1)


@pytest.fixture
def woken(monkeypatch, settings, django_capture_on_commit_callbacks):
    """`woken(now)`: the runs for which a sweep wakes workers."""
    sent = []
    settings.HINTS_ENABLED = True
    monkeypatch.setattr(hints, "send_now", lambda name, **kwargs: sent.append((name, kwargs["run_id"])))

    def sweep(now):
        sent.clear()
        with django_capture_on_commit_callbacks(execute=True):
            sweep_conformance(now=now)
        return list(sent)

    return sweep


def test_a_run_whose_hint_was_lost_is_found_by_the_sweep(app, serve, woken):
    now = timezone.now()
    run = asked(app, serve(answers(200)).url, now=now)
    assert woken(now + SECOND) == [], "a worker was told a moment ago"
    later = now + LEASE + SECOND
    assert woken(later) == [(TASK, run.pk)]
    assert woken(later + SECOND) == [], "and is not told again at once"
    assert woken(later + LEASE + SECOND) == [(TASK, run.pk)]
    assert run_conformance(run_id=run.pk, clock=lambda: later).finished_at
    assert woken(later + LEASE + SECOND) == []


def test_a_run_that_nobody_took_in_time_is_not_made_any_more(app, serve, woken):
    """Whoever asked for it has gone home."""
    now = timezone.now()
    server = serve(answers(200))
    run = asked(app, server.url, now=now)
    late = now + WANTED_FOR + SECOND
    assert run_conformance(run_id=run.pk, clock=lambda: late) is None
    assert woken(late) == []
    run.refresh_from_db()
    assert (run.finished_at, run.grade, run.results.count()) == (late, "warn", 0)
    assert server.requests == []


def test_a_run_that_died_while_its_clock_was_a_day_ahead_ends_today(app, serve, woken):
    now = timezone.now()
    run = asked(app, serve(answers(200)).url, now=now)
    run = ConformanceRun.start(run.pk, now=now)
    run.extend(now=now + timedelta(days=1))
    woken(now + SECOND)
    run.refresh_from_db()
    assert run.finished_at == now + SECOND


def test_a_run_that_died_half_way_ends_and_says_so(app, serve, woken):
    """The kill is a real one: the process does not come back from its third request."""
    now = timezone.now()
    server = serve(answers(200))
    run = asked(app, server.url, now=now)

    def clock():
        if len(server.requests) > 2:
            raise KeyboardInterrupt
        return now

    with pytest.raises(KeyboardInterrupt):
        run_conformance(run_id=run.pk, clock=clock)
    run.refresh_from_db()
    assert (run.started_at is not None, run.finished_at) == (True, None)
    woken(now + LEASE - SECOND)
    run.refresh_from_db()
    assert run.finished_at is None, "it may be alive"
    woken(now + LEASE + SECOND)
    run.refresh_from_db()
    assert (run.finished_at, run.grade) == (now + LEASE + SECOND, "warn")
    found = found_by(run)
    assert found["good"] == ("pass", "as_expected")
    assert found["slow"] == ("warn", "broken_off")
    assert set(found) == set(NAMES)
    assert asked(app, server.url), "and another one may be asked for"


def test_each_case_keeps_a_long_run_alive(app, serve, woken):
    """The command has no end by time: its run lives as long as it goes on."""
    start = timezone.now()
    run, moments = asked(app, serve(answers(200)).url, now=start), itertools.count()

    def clock():
        now = start + next(moments) * SECOND  # some five seconds for each case, minutes in all
        sweep_conformance(now=now)
        return now

    done = run_conformance(run_id=run.pk, clock=clock)
    assert done.finished_at - start > 2 * LEASE
    assert "broken_off" not in {finding for _grade, finding in found_by(done).values()}


def test_who_was_taken_for_dead_and_is_not_stops(app, serve):
    now = timezone.now()
    server = serve(answers(200))
    run = asked(app, server.url, now=now)

    def clock():
        if len(server.requests) == 3:
            sweep_conformance(now=now + LEASE + SECOND)
        return now

    assert run_conformance(run_id=run.pk, clock=clock) is None
    run.refresh_from_db()
    assert (run.grade, len(found_by(run)) == len(NAMES)) == ("warn", True)
    assert len(server.requests) < 10
    with pytest.raises(RunEnded):
        ConformanceResult.record(run=run, case="x", now=now, grade="pass", finding="x", answers="", duration_ms=1)


def test_one_run_of_an_app_at_a_time(app, serve):
    server = serve(answers(200))
    first = asked(app, server.url)
    with pytest.raises(RunUnderWay):
        asked(app, server.url)
    with pytest.raises(CommandError, match="under way"):
        call_command("conformance", "--app-id", str(app.pk), "--url", server.url)
    other = harness.an_app()
    assert asked(other, server.url)
    run_conformance(run_id=first.pk, clock=timezone.now)
    assert asked(app, server.url)


@pytest.mark.django_db(transaction=True)
def test_of_two_operators_at_once_one_gets_a_run(platform_key, serve):
    app, server, got = harness.an_app(), serve(answers(200)), []
    its_host(app)
    barrier = threading.Barrier(4)

    def press():
        barrier.wait()
        try:
            got.append(new(app, server.url))
        except RunUnderWay:
            got.append(None)
        connection.close()

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), ConformanceRun.objects.count(), len([run for run in got if run])) == (4, 1, 1)


def test_of_two_tasks_one_makes_the_run(app, serve):
    server = serve(answers(200))
    its_host(app)
    run = ask_for_run(app=app, url=server.url, shape=NATIVE, by="olga", now=timezone.now())
    tasks.run_conformance.run(run_id=run.pk)
    sent = len(server.requests)
    tasks.run_conformance.run(run_id=run.pk)
    assert len(server.requests) == sent > len(NAMES)
    assert tasks.run_conformance.name == TASK
    assert ConformanceResult.objects.count() == len(NAMES)
