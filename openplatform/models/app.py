"""An app: one program of a merchant that calls us."""

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.models.base import one_of
from openplatform.models.merchant import Merchant


class AppStatus(models.TextChoices):
    ACTIVE = "active", _("active")
    DISABLED = "disabled", _("disabled")


class App(models.Model):
    """Known to the world by `app_id`: a snowflake, so it does not follow its neighbour's nor tell how many we have."""

    app_id = SnowflakeField(_("app id"), primary_key=True)
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="apps", verbose_name=_("merchant"))
    name = models.CharField(_("name"), max_length=64)
    status = models.CharField(_("status"), max_length=16, choices=AppStatus.choices, default=AppStatus.ACTIVE)
    accepts_wechatpay_scheme = models.BooleanField(
        _("accepts WeChat Pay's scheme name"),
        default=False,
        help_text=_("Also accept requests signed under WECHATPAY2-SHA256-RSA2048, and double the answer's headers."),
    )
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("app")
        verbose_name_plural = _("apps")
        constraints = [
            one_of("status", AppStatus, name="app_status_known"),
            models.CheckConstraint(condition=~models.Q(name=""), name="app_name_not_empty"),
        ]
        permissions = [("switch_app", "Can enable and disable an app")]

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"

    @classmethod
    def register(cls, *, merchant: Merchant, name: str, now: datetime, accepts_wechatpay_scheme: bool = False) -> "App":
        """Write down a new app, active, without a key."""
        app = cls(merchant=merchant, name=name, created_at=now, accepts_wechatpay_scheme=accepts_wechatpay_scheme)
        app.save(force_insert=True)
        return app

    @classmethod
    def lock(cls, app_id: int) -> "App":
        """The row, held until the transaction ends. Lock an app before its keys."""
        return cls.objects.select_for_update(of=("self",)).get(pk=app_id)

    def disable(self) -> None:
        """From within 5 s on, every request of this app is refused as APP_DISABLED."""
        self._set_status(AppStatus.DISABLED)

    def enable(self) -> None:
        self._set_status(AppStatus.ACTIVE)

    def _set_status(self, status: AppStatus) -> None:
        self.status = status
        self.save(update_fields=["status"])
