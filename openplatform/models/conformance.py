"""What the conformance kit found out about a merchant's notify address."""

from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.clocks import still_runs
from openplatform.models.app import App
from openplatform.models.base import AppendOnly, one_of
from openplatform.models.notification import NotificationShape

URL_LENGTH_MAX, ASKED_BY_LENGTH_MAX = 255, 150
LEASE = timedelta(seconds=60)  # several times the longest case: it only ends under a process that is dead
WANTED_FOR = timedelta(minutes=10)  # nobody wants an attack that begins when whoever asked for it has gone home


class RunEnded(Exception):
    """The run is over: it was taken for dead. Whoever still makes it stops."""


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
    shape = models.CharField(
        _("shape"), max_length=16, choices=NotificationShape.choices, db_default=NotificationShape.NATIVE.value
    )
    asked_by = models.CharField(_("asked by"), max_length=ASKED_BY_LENGTH_MAX)
    asked_at = models.DateTimeField(_("asked at"))
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    lease_until = models.DateTimeField(_("in hands until"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    grade = models.CharField(_("grade"), max_length=8, choices=Grade.choices, blank=True)

    class Meta:
        verbose_name = _("conformance run")
        verbose_name_plural = _("conformance runs")
        constraints = [
            one_of("shape", NotificationShape, name="conformance_run_shape_known"),
            models.CheckConstraint(
                condition=Q(finished_at=None, grade="")
                | Q(finished_at__isnull=False, started_at__isnull=False, grade__in=Grade.values),
                name="conformance_run_finished_has_grade",
            ),
        ]
        indexes = [
            models.Index(fields=["app", "-id"], name="conformance_run_by_app"),
            models.Index(fields=["asked_at"], condition=Q(finished_at=None), name="conformance_run_open"),
        ]

    def __str__(self) -> str:
        return f"{self.app_id} {self.asked_at:%Y-%m-%d %H:%M}"

    @classmethod
    def ask(cls, *, app: App, url: str, shape: NotificationShape, by: str, now: datetime) -> "ConformanceRun":
        """Write down that somebody wants one, and that a worker is about to be told."""
        run = cls(app=app, url=url, shape=shape, asked_by=by, asked_at=now, lease_until=now + LEASE)
        run.save(force_insert=True)
        return run

    @classmethod
    def start(cls, run_id: int, *, now: datetime) -> "ConformanceRun | None":
        """Take a run that nobody has begun: of several tasks one gets it."""
        waiting = cls.waiting(now=now).filter(pk=run_id)
        started = waiting.update(started_at=now, lease_until=now + LEASE)
        return cls.objects.select_related("app").get(pk=run_id) if started else None

    @classmethod
    def waiting(cls, *, now: datetime) -> QuerySet["ConformanceRun"]:
        """Wanted still, and begun by nobody."""
        return cls.objects.filter(finished_at=None, started_at=None, asked_at__gt=now - WANTED_FOR)

    @classmethod
    def untold(cls, *, now: datetime) -> QuerySet["ConformanceRun"]:
        """Those of them that no worker was told of lately."""
        return cls.waiting(now=now).exclude(still_runs("lease_until", now=now, lasts=LEASE))

    @classmethod
    def lost(cls, *, now: datetime) -> QuerySet["ConformanceRun"]:
        """Begun by a process that is dead, or not begun in all the time that it was wanted."""
        late = Q(asked_at__lte=now - WANTED_FOR)
        dead = Q(lease_until__isnull=False) & ~still_runs("lease_until", now=now, lasts=LEASE)
        return cls.objects.filter(
            Q(started_at=None) & late | Q(started_at__isnull=False) & (dead | Q(lease_until=None) & late),
            finished_at=None,
        )

    @classmethod
    def under_way(cls, *, app_id: int, now: datetime) -> QuerySet["ConformanceRun"]:
        """Those of an app that will still find something out."""
        lost = cls.lost(now=now).values("pk")
        return cls.objects.filter(app_id=app_id, finished_at=None).exclude(pk__in=lost)

    @classmethod
    def hold(cls, run_id: int) -> "ConformanceRun":
        """The row, locked until the transaction ends, while it is not over. Raises RunEnded."""
        run = cls.objects.select_for_update(of=("self",)).filter(pk=run_id, finished_at=None).first()
        if run is None:
            raise RunEnded
        return run

    def extend(self, *, now: datetime) -> None:
        """Whoever has it goes on with it, or is told once more."""
        self.lease_until = now + LEASE
        self.save(update_fields=["lease_until"])

    def finish(self, *, grade: Grade, now: datetime) -> None:
        """Also for one that was never begun: then it begins and ends here, without a result."""
        self.grade, self.started_at, self.finished_at = grade, self.started_at or now, now
        self.save(update_fields=["grade", "started_at", "finished_at"])


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
    def record(cls, *, run: ConformanceRun, case: str, now: datetime, **found: Any) -> None:
        """Write down `grade`, `finding`, `answers` (statuses, or words for why there is none) and `duration_ms`.

        The run is in hands for another while. Raises RunEnded.
        """
        with transaction.atomic():
            ConformanceRun.hold(run.pk).extend(now=now)
            cls(run=run, case=case, **found).save(force_insert=True)
