"""The guarantee: a run that somebody asked for is made, or says that it was not. None stays under way for ever."""

from datetime import datetime

from django.db import transaction

from openplatform.conformance.cases import CASES
from openplatform.conformance.grading import Finding, not_run, worst
from openplatform.conformance.run import hint_run, record
from openplatform.models import ConformanceRun
from openplatform.models.conformance import Grade
from openplatform.models.notification import NotificationShape

BATCH_MAX = 50


def sweep_conformance(*, now: datetime) -> None:
    """Wake workers for runs that nobody has begun, and end those whose process is dead or that nobody took in time.

    Two sweeps at once share the work: each skips the rows that the other has locked.
    """
    with transaction.atomic():
        for run in ConformanceRun.lost(now=now).select_for_update(skip_locked=True)[:BATCH_MAX]:
            _end(run, now=now)
        for run in ConformanceRun.untold(now=now).select_for_update(skip_locked=True)[:BATCH_MAX]:
            run.extend(now=now)
            hint_run(run.pk)


def _end(run: ConformanceRun, *, now: datetime) -> None:
    """What was found out stays; of one that was begun the rest is said not to have been sent."""
    grades = {result.case: Grade(result.grade) for result in run.results.all()}
    missing = [case for case in CASES[NotificationShape(run.shape)] if case.name not in grades]
    for case in missing if run.started_at else []:
        record(case, run=run, answers=[], verdict=not_run(Finding.BROKEN_OFF), now=now)
    run.finish(grade=worst([*grades.values(), Grade.WARN]), now=now)
