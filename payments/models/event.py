"""The history of every state: one row for each move, written in the same transaction."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from openplatform.models.base import AppendOnly


class StateEvent(AppendOnly):
    """`subject` moved from one status to another because of `event`. Append-only, also in the database."""

    class Subject(models.TextChoices):
        ORDER = "order", _("order")
        PAYMENT = "payment", _("payment")
        REFUND = "refund", _("refund")

    id = models.BigAutoField(primary_key=True)
    subject = models.CharField(_("subject"), max_length=10, choices=Subject)
    order = models.ForeignKey("payments.Order", on_delete=models.PROTECT, related_name="events")
    payment = models.ForeignKey("payments.Payment", null=True, on_delete=models.PROTECT, related_name="events")
    refund = models.ForeignKey("payments.Refund", null=True, on_delete=models.PROTECT, related_name="events")
    event = models.CharField(_("event"), max_length=20)
    from_status = models.CharField(_("from"), max_length=20)
    to_status = models.CharField(_("to"), max_length=20)
    because = models.CharField(_("because"), max_length=200, blank=True)
    trace_id = models.CharField(_("trace"), max_length=32, blank=True)
    created_at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("state event")
        verbose_name_plural = _("state events")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.subject} {self.event}: {self.from_status} → {self.to_status}"
