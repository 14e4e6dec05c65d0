"""Signs of life of our own processes, by the clock of the database: all machines are compared with one clock."""

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from openplatform.models.base import one_of

NAME_LENGTH_MAX = 200
FORGOTTEN_AFTER = timedelta(hours=1)


class HeartbeatKind(models.TextChoices):
    WORKER = "worker", _("worker")  # a Celery worker's main process turns its loop and takes tasks
    SWEEP = "sweep", _("sweep")  # a task of beat's was done to its end
    WATCH = "watch", _("watch")  # somebody looked whether all is well


class Heartbeat(models.Model):
    """The last sign of one name. `clock_at` is what its process took the time to be when it gave the sign."""

    kind = models.CharField(max_length=16, choices=HeartbeatKind.choices)
    name = models.CharField(max_length=NAME_LENGTH_MAX)
    beaten_at = models.DateTimeField()
    clock_at = models.DateTimeField(null=True)
    facts = models.JSONField(default=dict)

    class Meta:
        constraints = [
            one_of("kind", HeartbeatKind, name="heartbeat_kind_known"),
            models.UniqueConstraint(fields=["kind", "name"], name="heartbeat_one_of_a_name"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @classmethod
    def beat(
        cls, *, kind: HeartbeatKind, name: str, clock_at: datetime | None = None, facts: dict[str, Any] | None = None
    ) -> None:
        """One sign of life, now. One statement, whether it is the first one or not."""
        row = Heartbeat(kind=kind, name=name[:NAME_LENGTH_MAX], beaten_at=Now(), clock_at=clock_at, facts=facts or {})
        Heartbeat.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["kind", "name"],
            update_fields=["beaten_at", "clock_at", "facts"],
        )  # fmt: skip

    @classmethod
    def leave(cls, *, kind: HeartbeatKind, name: str) -> None:
        """It ends in good order: nobody needs to wait until it is missed."""
        cls.objects.filter(kind=kind, name=name).delete()

    @classmethod
    def take_turn(cls, *, kind: HeartbeatKind, name: str, every: timedelta, facts: dict[str, Any]) -> bool:
        """Give the sign, if the last one is older than `every`. Of any number of processes at once one hears True."""
        first = Heartbeat(kind=kind, name=name, beaten_at=Now() - every)
        Heartbeat.objects.bulk_create([first], ignore_conflicts=True)
        due = cls.objects.filter(kind=kind, name=name, beaten_at__lte=Now() - every)
        return bool(due.update(beaten_at=Now(), facts=facts))

    @classmethod
    def holds_turn(cls, *, kind: HeartbeatKind, name: str, facts: dict[str, Any]) -> bool:
        """Whether nobody has taken the turn since we did; it is held until the transaction ends."""
        return cls.objects.select_for_update().filter(kind=kind, name=name, facts=facts).exists()

    @classmethod
    def forget_old(cls) -> None:
        """Processes that are gone for good. Sweeps are few and stay."""
        old = cls.objects.filter(kind=HeartbeatKind.WORKER, beaten_at__lt=Now() - FORGOTTEN_AFTER)
        old.delete()
