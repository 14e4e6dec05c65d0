"""What became of a write that its caller named by an Idempotency-Key."""

import secrets
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q

from openplatform.clocks import still_runs
from openplatform.models.app import App
from openplatform.models.base import one_of

LEASE = timedelta(seconds=60)  # longer than any request may take: it only ends under a process that is dead
KEPT_FOR = timedelta(days=7)


class IdempotencyStatus(models.TextChoices):
    IN_FLIGHT = "in_flight", "in flight"
    DONE = "done", "done"


class IdempotencyRecord(models.Model):
    """One key of one app. `holder` fences it: a process whose lease was taken over writes nothing any more."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)  # SHA-256 of the request, hex
    status = models.CharField(max_length=16, choices=IdempotencyStatus.choices, default=IdempotencyStatus.IN_FLIGHT)
    holder = models.CharField(max_length=32)
    lease_until = models.DateTimeField()
    answer_status = models.PositiveSmallIntegerField(null=True)
    answer_type = models.CharField(max_length=64, default="")
    answer_body = models.TextField(default="")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["app", "key"], name="idempotency_key_unique"),
            one_of("status", IdempotencyStatus, name="idempotency_status_known"),
            models.CheckConstraint(
                condition=Q(status=IdempotencyStatus.DONE, answer_status__isnull=False)
                | Q(status=IdempotencyStatus.IN_FLIGHT, answer_status=None),
                name="idempotency_done_has_answer",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_by_age")]

    def __str__(self) -> str:
        return self.key

    @classmethod
    def claim(cls, *, app_id: int, key: str, fingerprint: str, now: datetime) -> tuple[Self, bool]:
        """The row of this key, and whether the caller holds it now: as the first one, or after a holder that died.

        One INSERT or one guarded UPDATE decides, so of any number of processes at once exactly one holds it.
        """
        holder, lease_until = secrets.token_hex(16), now + LEASE
        while True:
            mine = cls(
                app_id=app_id, key=key, fingerprint=fingerprint, holder=holder, lease_until=lease_until, created_at=now
            )
            cls.objects.bulk_create([mine], ignore_conflicts=True)
            theirs = cls.objects.filter(
                app_id=app_id, key=key, fingerprint=fingerprint, status=IdempotencyStatus.IN_FLIGHT
            )
            dead = theirs.exclude(still_runs("lease_until", now=now, lasts=LEASE))
            dead.update(holder=holder, lease_until=lease_until)
            if row := cls.objects.filter(app_id=app_id, key=key).first():
                return row, row.holder == holder
            # It was there at the INSERT and was forgotten since: now there is room for ours.

    def finish(self, *, status: int, content_type: str, body: str) -> None:
        """Keep the answer, unless somebody else has taken over."""
        self._own().update(
            status=IdempotencyStatus.DONE, answer_status=status, answer_type=content_type, answer_body=body
        )

    def forget(self) -> None:
        """Nothing final came of it: whoever sends it again begins anew."""
        self._own().delete()

    @classmethod
    def delete_old(cls, *, now: datetime, limit: int) -> int:
        """Delete what is kept no longer, at most `limit` rows. Returns how many."""
        old = cls.objects.filter(created_at__lt=now - KEPT_FOR).order_by("created_at").values("pk")[:limit]
        count, _by_model = cls.objects.filter(pk__in=old).delete()
        return count

    def _own(self) -> "models.QuerySet[IdempotencyRecord]":
        return IdempotencyRecord.objects.filter(pk=self.pk, holder=self.holder, status=IdempotencyStatus.IN_FLIGHT)
