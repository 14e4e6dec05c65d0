"""The conformance kit on the notification page of an app: what the last run found out, and the button for the next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext as _

from openplatform.conformance.aim import AddressRefused
from openplatform.conformance.cases import CASES
from openplatform.conformance.run import RunUnderWay, ShapeRefused, ask_for_run, shape_of
from openplatform.conformance.wording import advice_on, refusal_text, title_of
from openplatform.models import App, ConformanceResult, ConformanceRun
from openplatform.models.conformance import Grade
from openplatform.models.notification import NotificationShape
from openplatform.notifications.queries import last_notify_url

WORST_FIRST = (Grade.FAIL, Grade.WARN, Grade.PASS)
TONES = {Grade.PASS: "good", Grade.WARN: "warn", Grade.FAIL: "bad"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One case of a run, in words."""

    title: Any
    grade: Any
    tone: str
    answers: str
    duration_ms: int
    advice: Any


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many cases ended with one grade."""

    grade: Any
    tone: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What the page shows, the worst lines first. `shapes` is empty for an app that can be told in one way only."""

    run: ConformanceRun | None
    tone: str
    is_under_way: bool
    lines: list[Line]
    counts: list[Count]
    cases_count: int
    url: str
    shape: NotificationShape
    shapes: list[tuple[str, Any]]


def kit_of(app: App, *, now: datetime) -> Kit:
    run = ConformanceRun.objects.filter(app=app).order_by("-pk").first()
    shape = NotificationShape(run.shape) if run else shape_of(app)
    results = list(run.results.all()) if run else []
    return Kit(
        run=run,
        tone=TONES[Grade(run.grade)] if run and run.grade else "quiet",
        is_under_way=ConformanceRun.under_way(app_id=app.pk, now=now).exists(),
        lines=[_line(result, shape=shape) for result in sorted(results, key=_badness)],
        counts=_counts(results),
        cases_count=len(CASES[shape]),
        url=run.url if run else last_notify_url(app_id=app.pk, shape=shape),
        shape=shape,
        shapes=NotificationShape.choices if app.apiv3_key_sealed is not None else [],
    )


def _badness(result: ConformanceResult) -> int:
    """For the worst to come first; those of one grade stay as they were sent."""
    return WORST_FIRST.index(Grade(result.grade))


def _line(result: ConformanceResult, *, shape: NotificationShape) -> Line:
    return Line(
        title=title_of(result.case), grade=result.get_grade_display(), tone=TONES[Grade(result.grade)],
        answers=result.answers, duration_ms=result.duration_ms,
        advice=advice_on(result.case, result.finding, shape=shape),
    )  # fmt: skip


def _counts(results: list[ConformanceResult]) -> list[Count]:
    grades = [result.grade for result in results]
    return [
        Count(grade=grade.label, tone=TONES[grade], count=grades.count(grade))
        for grade in WORST_FIRST
        if grade in grades
    ]


def start_run(request: HttpRequest, app: App, now: datetime) -> str:
    """The deed behind the button."""
    if not settings.TEST_PLATFORM:
        raise PermissionDenied
    asked = request.POST.get("shape", "")
    shape = NotificationShape(asked) if asked in NotificationShape.values else shape_of(app)
    try:
        ask_for_run(app=app, url=request.POST.get("url", ""), shape=shape, by=request.user.get_username(), now=now)
    except AddressRefused as refusal:
        said = {"word": refusal.word, "why": refusal_text(refusal.word)}
        messages.error(request, _("This address is not attacked (%(word)s). %(why)s") % said)
    except ShapeRefused:
        messages.error(request, _("This app has no APIv3 key: open its WeChat Pay interface first."))
    except RunUnderWay:
        messages.warning(request, _("A run is under way."))
    return ""
