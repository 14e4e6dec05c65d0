"""What the conformance kit found out about a merchant's notify address."""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.models.app import App
from openplatform.models.base import AppendOnly, one_of

URL_LENGTH_MAX, ASKED_BY_LENGTH_MAX = 255, 150


class Grade(models.TextChoices):
    """From good to bad: the worst of several counts."""

    PASS = "pass", _("pass")
    WARN = "warn", _("warn")
    FAIL = "fail", _("fail")


class ConformanceRun(models.Model):
    """One run of all cases against one address, and when it was over."""

    id = SnowflakeField(_("run"), primary_key=True)
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="conformance_runs", verbose_name=_("app"))
    url = models.CharField(_("address"), max_length=URL_LENGTH_MAX)
    asked_by = models.CharField(_("asked by"), max_length=ASKED_BY_LENGTH_MAX)
    asked_at = models.DateTimeField(_("asked at"))
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    grade = models.CharField(_("grade"), max_length=8, choices=Grade.choices, blank=True)

    class Meta:
        verbose_name = _("conformance run")
        verbose_name_plural = _("conformance runs")
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at=None, grade="")
                | Q(finished_at__isnull=False, started_at__isnull=False, grade__in=Grade.values),
                name="conformance_run_finished_has_grade",
            ),
        ]
        indexes = [models.Index(fields=["app", "-id"], name="conformance_run_by_app")]

    def __str__(self) -> str:
        return f"{self.app_id} {self.asked_at:%Y-%m-%d %H:%M}"

    @classmethod
    def ask(cls, *, app: App, url: str, by: str, now: datetime) -> "ConformanceRun":
        """Write down that somebody wants one; `openplatform.conformance.run` makes it."""
        run = cls(app=app, url=url, asked_by=by, asked_at=now)
        run.save(force_insert=True)
        return run

    @classmethod
    def start(cls, run_id: int, *, now: datetime) -> "ConformanceRun | None":
        """Take a run that nobody has begun: of several tasks one gets it."""
        started = cls.objects.filter(pk=run_id, started_at=None).update(started_at=now)
        return cls.objects.select_related("app").get(pk=run_id) if started else None

    def finish(self, *, grade: Grade, now: datetime) -> None:
        self.grade, self.finished_at = grade, now
        self.save(update_fields=["grade", "finished_at"])


class ConformanceResult(AppendOnly):
    """How one case went."""

    run = models.ForeignKey(ConformanceRun, on_delete=models.PROTECT, related_name="results", verbose_name=_("run"))
    case = models.CharField(_("test case"), max_length=32)
    grade = models.CharField(_("grade"), max_length=8, choices=Grade.choices)
    finding = models.CharField(_("finding"), max_length=32)
    answers = models.CharField(_("answers"), max_length=200)
    duration_ms = models.PositiveIntegerField(_("took (ms)"))

    class Meta:
        verbose_name = _("result of a case")
        verbose_name_plural = _("results of cases")
        ordering = ["pk"]
        constraints = [
            one_of("grade", Grade, name="conformance_result_grade_known"),
            models.UniqueConstraint(fields=["run", "case"], name="conformance_result_once"),
        ]

    def __str__(self) -> str:
        return f"{self.case}: {self.grade}"

    @classmethod
    def record(cls, *, run: ConformanceRun, case: str, **found: Any) -> "ConformanceResult":
        """Write down `grade`, `finding`, `answers` (statuses, or words for why there is none) and `duration_ms`."""
        result = cls(run=run, case=case, **found)
        result.save(force_insert=True)
        return result
