"""A pay code: the merchant's printed code. The payer scans it, types an amount and pays."""

import secrets
from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from openplatform.models import App


class PayCode(models.Model):
    """The token is what the printed code holds; it grants nothing but paying this app."""

    token = models.CharField(_("token"), max_length=22, primary_key=True)
    app = models.ForeignKey(App, on_delete=models.PROTECT, verbose_name=_("app"))
    label = models.CharField(_("label"), max_length=64)
    # "" is a code for every wallet: the app that scans it decides, among the merchant's channels.
    channel = models.CharField(_("channel"), max_length=20, blank=True, default="")
    notify_url = models.CharField(_("notify URL"), max_length=255, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("pay code")
        verbose_name_plural = _("pay codes")

    def __str__(self) -> str:
        return self.label

    @classmethod
    def issue(cls, *, app: App, channel: str, label: str, now: datetime, notify_url: str = "") -> "PayCode":
        """A fresh code for payers at `channel`, or with "" at each of the merchant's. Its token cannot be guessed, so
        that nobody is shown another merchant's page by accident.
        """
        token = secrets.token_urlsafe(16)
        return cls.objects.create(
            token=token, app=app, channel=channel, label=label, notify_url=notify_url, created_at=now
        )

    def deactivate(self) -> None:
        """Nobody can pay by this code any more. There is no way back: a new code is cheap, a wrong print is not."""
        self.is_active = False
        self.save(update_fields=["is_active"])
