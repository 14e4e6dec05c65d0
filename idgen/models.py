"""The table of leases as a model, for the console and the commands. The generator speaks SQL on its own connection."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class WorkerLease(models.Model):
    """One of the 1,024 worker ids. Written only by the lease store and by `idgen_repair`.

    Not managed by Django although a migration makes the table: `flush` would truncate a managed one, and with it the
    marks above which the next holder has to start. A lease is a fact about running processes, not data.
    """

    worker_id = models.SmallIntegerField(_("worker id"), primary_key=True)
    holder = models.UUIDField(_("holder"), null=True)
    info = models.TextField(_("process"), default="")
    fence = models.BigIntegerField(_("fence"), default=0)
    lease_until = models.DateTimeField(_("leased until"))
    reserved_until_ms = models.BigIntegerField(_("reserved until (ms)"), default=0)
    stats = models.JSONField(_("statistics"), default=dict)

    class Meta:
        managed = False
        db_table = "idgen_lease"
        ordering: ClassVar = ["worker_id"]
        verbose_name = _("worker id lease")
        verbose_name_plural = _("worker id leases")

    def __str__(self) -> str:
        return f"worker {self.worker_id}"
