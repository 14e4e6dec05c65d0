"""A merchant: whose money it is."""

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.models.base import one_of


class MerchantStatus(models.TextChoices):
    ACTIVE = "active", _("active")
    DISABLED = "disabled", _("disabled")


class Merchant(models.Model):
    """A business that we serve; it reaches us through one or several apps."""

    id = SnowflakeField(_("merchant id"), primary_key=True)
    name = models.CharField(_("name"), max_length=64)
    status = models.CharField(_("status"), max_length=16, choices=MerchantStatus.choices, default=MerchantStatus.ACTIVE)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("merchant")
        verbose_name_plural = _("merchants")
        constraints = [
            one_of("status", MerchantStatus, name="merchant_status_known"),
            models.CheckConstraint(condition=~models.Q(name=""), name="merchant_name_not_empty"),
        ]
        permissions = [("switch_merchant", "Can enable and disable a merchant")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def register(cls, *, name: str, now: datetime) -> "Merchant":
        """Write down a new merchant, active."""
        merchant = cls(name=name, created_at=now)
        merchant.save(force_insert=True)
        return merchant

    def disable(self) -> None:
        """From within 5 s on, every request of every app of this merchant is refused as APP_DISABLED."""
        self._set_status(MerchantStatus.DISABLED)

    def enable(self) -> None:
        self._set_status(MerchantStatus.ACTIVE)

    def _set_status(self, status: MerchantStatus) -> None:
        self.status = status
        self.save(update_fields=["status"])
