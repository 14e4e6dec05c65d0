"""One run: every case in its order, each result written down as soon as it is there."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from openplatform.conformance.bench import Bench, Shot, SlowBody
from openplatform.conformance.cases import CASES, GOOD, Case, Expected
from openplatform.conformance.grading import Finding, Shown, Verdict, judge, worst
from openplatform.hints import hint
from openplatform.models import App, ConformanceResult, ConformanceRun, Notification
from openplatform.models.conformance import Grade
from openplatform.notifications.owing import QUEUE
from openplatform.notifications.sending import call, refusal_of

TASK = "openplatform.run_conformance"
TASK_BUDGET_S = 25.0  # below the soft limit of a task: what is not reached says so
ANSWERS_LENGTH_MAX = 200
Clock = Callable[[], datetime]


class AddressRefused(ValueError):
    """We do not call this address for this app; the argument is the word that an attempt would be given."""


def ask_for_run(*, app: App, url: str, by: str, now: datetime) -> ConformanceRun:
    """Write the wish down and wake a worker for it. Raises AddressRefused."""
    run = new_run(app=app, url=url, by=by, now=now)
    hint(TASK, queue=QUEUE, run_id=run.pk)
    return run


def new_run(*, app: App, url: str, by: str, now: datetime) -> ConformanceRun:
    """Raises AddressRefused."""
    if refusal := refusal_of(app_id=app.pk, url=url, now=now):
        raise AddressRefused(refusal)
    return ConformanceRun.ask(app=app, url=url, by=by, now=now)


def last_notify_url(*, app_id: int) -> str:
    """Where the app was told last, or ""."""
    urls = Notification.objects.filter(app_id=app_id).order_by("-pk").values_list("notify_url", flat=True)
    return urls.first() or ""


def run_conformance(*, run_id: int, clock: Clock, budget_s: float | None = None) -> ConformanceRun | None:
    """Make the run, if nobody has begun it. With `budget_s` no case begins after so many seconds."""
    run = ConformanceRun.start(run_id, now=clock())
    if run is None:
        return None
    ends_at = None if budget_s is None else time.monotonic() + budget_s
    bench = Bench(app=run.app, run_id=run.pk, clock=clock)
    grades: list[Grade] = []
    good: Verdict | None = None
    for case in CASES:
        verdict = _run_case(case, run=run, bench=bench, good=good, ends_at=ends_at)
        good = verdict if case is GOOD else good
        grades.append(verdict.grade)
    run.finish(grade=worst(grades), now=clock())
    return run


def _run_case(case: Case, *, run: ConformanceRun, bench: Bench, good: Verdict | None, ends_at: float | None) -> Verdict:
    if (good is not None and good.finding == Finding.NO_ANSWER) or (ends_at is not None and time.monotonic() > ends_at):
        return _record(case, run=run, answers=[], verdict=Verdict(grade=Grade.WARN, finding=Finding.NOT_REACHED))
    if refusal_of(app_id=run.app_id, url=run.url, now=bench.clock()):  # blocked since, or registered elsewhere
        return _record(case, run=run, answers=[], verdict=Verdict(grade=Grade.WARN, finding=Finding.NOT_REACHED))
    answers = _fire(case, bench=bench, url=run.url)
    verdict = judge(case, answers)
    if good is not None and good.grade == Grade.FAIL and _is_empty_praise(case, verdict):
        verdict = Verdict(grade=Grade.WARN, finding=Finding.NOT_JUDGED)
    return _record(case, run=run, answers=answers, verdict=verdict)


def _is_empty_praise(case: Case, verdict: Verdict) -> bool:
    return case.expected == Expected.REFUSED and verdict.grade == Grade.PASS


def _record(case: Case, *, run: ConformanceRun, answers: Sequence[Shown], verdict: Verdict) -> Verdict:
    ConformanceResult.record(
        run=run, case=case.name, grade=verdict.grade, finding=verdict.finding,
        answers=", ".join(answer.outcome.word for answer in answers)[:ANSWERS_LENGTH_MAX],
        duration_ms=sum(answer.duration_ms for answer in answers),
    )  # fmt: skip
    return verdict


def _fire(case: Case, *, bench: Bench, url: str) -> list[Shown]:
    shots = case.shots(bench)
    if not case.is_at_once:
        return [_send(shot, url=url) for shot in shots]
    with ThreadPoolExecutor(len(shots)) as pool:  # no query is made in there
        return list(pool.map(lambda shot: _send(shot, url=url), shots))


def _send(shot: Shot, *, url: str) -> Shown:
    started = time.monotonic()
    outcome = call(shot.message, url=url, body=SlowBody(shot.message.body) if shot.is_slow else None)
    return Shown(outcome=outcome, duration_ms=int((time.monotonic() - started) * 1000))
