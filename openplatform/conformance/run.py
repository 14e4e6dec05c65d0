"""One run: every case in its order, each result written down as soon as it is there."""

from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.db import transaction

from openplatform.conformance.aim import AddressRefused, check_address
from openplatform.conformance.bench import Bench, NativeBench
from openplatform.conformance.cases import CASES, GOOD, Case, Expected
from openplatform.conformance.firing import Budget, fire
from openplatform.conformance.grading import Finding, Shown, Verdict, judge, not_run, worst
from openplatform.conformance.wechatpay import WechatpayBench
from openplatform.hints import hint
from openplatform.models import App, ConformanceResult, ConformanceRun
from openplatform.models.conformance import Grade, RunEnded
from openplatform.models.notification import NotificationShape
from openplatform.notifications.owing import QUEUE

TASK = "openplatform.run_conformance"
ANSWERS_LENGTH_MAX = 200
BENCHES: dict[NotificationShape, type[Bench]] = {
    NotificationShape.NATIVE: NativeBench,
    NotificationShape.WECHATPAY: WechatpayBench,
}
Clock = Callable[[], datetime]


class RunUnderWay(RuntimeError):
    """This app is being attacked already."""


class ShapeRefused(ValueError):
    """The app has no APIv3 key: it cannot be told anything in WeChat Pay's envelope."""


def shape_of(app: App) -> NotificationShape:
    """The words in which the kit speaks to this app unless somebody says otherwise."""
    return NotificationShape.WECHATPAY if app.accepts_wechatpay_scheme else NotificationShape.NATIVE


def ask_for_run(*, app: App, url: str, shape: NotificationShape, by: str, now: datetime) -> ConformanceRun:
    """Write the wish down and wake a worker for it. Raises what `new_run` raises."""
    run = new_run(app=app, url=url, shape=shape, by=by, now=now)
    hint_run(run.pk)
    return run


def hint_run(run_id: int) -> None:
    hint(TASK, queue=QUEUE, run_id=run_id)


def new_run(*, app: App, url: str, shape: NotificationShape, by: str, now: datetime) -> ConformanceRun:
    """Raises AddressRefused, ShapeRefused, RunUnderWay."""
    check_address(app_id=app.pk, url=url, now=now)
    if shape == NotificationShape.WECHATPAY and app.apiv3_key_sealed is None:
        raise ShapeRefused
    with transaction.atomic():
        App.lock_delivery(app.pk)
        if ConformanceRun.under_way(app_id=app.pk, now=now).exists():
            raise RunUnderWay
        return ConformanceRun.ask(app=app, url=url, shape=shape, by=by, now=now)


def task_budget() -> Budget:
    """What is not sent in this time is not sent: the task would be killed with its results half written."""
    return Budget.of(settings.CONFORMANCE_BUDGET_S)


def run_conformance(*, run_id: int, clock: Clock, budget: Budget | None = None) -> ConformanceRun | None:
    """Make the run and return it as it ended; None when it is not for us: begun by another, over, or wanted no more."""
    run = ConformanceRun.start(run_id, now=clock())
    if run is None:
        return None
    bench = BENCHES[NotificationShape(run.shape)](app=run.app, run_id=run.pk, clock=clock)
    try:
        return _make(run, bench=bench, budget=budget or Budget())
    except RunEnded:
        return None


def _make(run: ConformanceRun, *, bench: Bench, budget: Budget) -> ConformanceRun:
    grades: list[Grade] = []
    good: Verdict | None = None
    for case in CASES[NotificationShape(run.shape)]:
        answers, verdict = _run_case(case, run=run, bench=bench, good=good, budget=budget)
        record(case, run=run, answers=answers, verdict=verdict, now=bench.clock())
        good = verdict if case is GOOD else good
        grades.append(verdict.grade)
    with transaction.atomic():
        held = ConformanceRun.hold(run.pk)
        held.finish(grade=worst(grades), now=bench.clock())
    return held


def _run_case(
    case: Case, *, run: ConformanceRun, bench: Bench, good: Verdict | None, budget: Budget
) -> tuple[list[Shown | None], Verdict]:
    if why := _why_not(run, good=good, budget=budget, now=bench.clock()):
        return [], not_run(why)
    answers = fire(case, case.shots(bench), url=run.url, budget=budget)
    verdict = judge(case, answers)
    if good is not None and good.grade == Grade.FAIL and _is_empty_praise(case, verdict):
        verdict = not_run(Finding.NOT_JUDGED)
    return answers, verdict


def _why_not(run: ConformanceRun, *, good: Verdict | None, budget: Budget, now: datetime) -> Finding | None:
    if good is not None and good.finding == Finding.NO_ANSWER:
        return Finding.NOT_REACHED
    if budget.left_s() <= 0:
        return Finding.NO_TIME
    try:
        check_address(app_id=run.app_id, url=run.url, now=now)
    except AddressRefused:
        return Finding.ADDRESS_REFUSED
    return None


def _is_empty_praise(case: Case, verdict: Verdict) -> bool:
    return case.expected == Expected.REFUSED and verdict.grade == Grade.PASS


def record(case: Case, *, run: ConformanceRun, answers: list[Shown | None], verdict: Verdict, now: datetime) -> None:
    """Write down how one case went. Raises RunEnded."""
    sent = [answer for answer in answers if answer]
    ConformanceResult.record(
        run=run, case=case.name, now=now, grade=verdict.grade, finding=verdict.finding,
        answers=", ".join(answer.outcome.word for answer in sent)[:ANSWERS_LENGTH_MAX],
        duration_ms=sum(answer.duration_ms for answer in sent),
    )  # fmt: skip
