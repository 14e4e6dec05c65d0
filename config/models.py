"""Rows of the composition root: the spans that the console shows."""

from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

NS_PER_S = 1_000_000_000
DELETE_BATCH = 5_000


class SpanRow(models.Model):
    """One finished span. Times are nanoseconds since 1970; ids are lower-case hex digits as in a W3C traceparent."""

    trace_id = models.CharField(max_length=32)
    span_id = models.CharField(max_length=16)
    parent_id = models.CharField(max_length=16, blank=True, default="")
    service = models.CharField(max_length=64)
    name = models.CharField(max_length=128)
    kind = models.CharField(max_length=12)
    start_ns = models.BigIntegerField()
    end_ns = models.BigIntegerField()
    status = models.CharField(max_length=8)
    attributes = models.JSONField(default=dict)
    events = models.JSONField(default=list)

    class Meta:
        verbose_name = _("span")
        verbose_name_plural = _("spans")
        constraints = [models.UniqueConstraint(fields=["trace_id", "span_id"], name="span_once")]
        indexes = [models.Index(fields=["start_ns"], name="span_start")]

    def __str__(self) -> str:
        return f"{self.service}: {self.name}"

    @classmethod
    def of_trace(cls, trace_id: str, *, limit: int) -> list["SpanRow"]:
        """The first `limit` spans of a trace, in the order in which they began."""
        return list(cls.objects.filter(trace_id=trace_id).order_by("start_ns", "pk")[:limit])

    @classmethod
    def delete_old(cls, *, now: datetime, keep: timedelta) -> int:
        """Delete spans that began more than `keep` ago, a batch at a time. Returns how many."""
        before_ns = int((now - keep).timestamp()) * NS_PER_S
        total = 0
        while True:
            batch = cls.objects.filter(start_ns__lt=before_ns).order_by("start_ns").values("pk")[:DELETE_BATCH]
            deleted, _by_model = cls.objects.filter(pk__in=batch).delete()
            total += deleted
            if deleted < DELETE_BATCH:
                return total
