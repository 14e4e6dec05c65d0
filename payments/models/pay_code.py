"""A pay code: the merchant's printed code. The payer scans it, types an amount and pays."""

import secrets

from django.db import models
from django.utils.translation import gettext_lazy as _

from openplatform.models import App


class PayCode(models.Model):
    """The token is what the printed code holds; it grants nothing but paying this app."""

    token = models.CharField(_("token"), max_length=22, primary_key=True)
    app = models.ForeignKey(App, on_delete=models.PROTECT, verbose_name=_("app"))
    label = models.CharField(_("label"), max_length=64)
    channel = models.CharField(_("channel"), max_length=20, default="wechatpay")
    notify_url = models.CharField(_("notify URL"), max_length=255, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("pay code")
        verbose_name_plural = _("pay codes")

    def __str__(self) -> str:
        return self.label

    @classmethod
    def issue(cls, *, app: App, label: str, notify_url: str = "") -> "PayCode":
        return cls.objects.create(token=secrets.token_urlsafe(16), app=app, label=label, notify_url=notify_url)
