"""An app: one program of a merchant that calls us."""

from datetime import datetime

from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext_lazy as _

from idgen.public import PUBLIC_NO_MIN, next_public_no
from openplatform.models.base import one_of
from openplatform.models.merchant import Merchant

ID_TAKEN = "openplatform_app_pkey"


class AppStatus(models.TextChoices):
    ACTIVE = "active", _("active")
    DISABLED = "disabled", _("disabled")


class App(models.Model):
    """Known to the world by `app_id`: a public number (`idgen.public`), which tells nobody when it was made or how many
    there are. It is no snowflake: it has no order and no time in it.
    """

    app_id = models.BigIntegerField(_("app id"), primary_key=True, editable=False)
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
            models.CheckConstraint(condition=models.Q(app_id__gte=PUBLIC_NO_MIN), name="app_id_has_16_digits_or_more"),
        ]
        permissions = [("switch_app", "Can enable and disable an app")]

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"

    @classmethod
    def register(cls, *, merchant: Merchant, name: str, now: datetime, accepts_wechatpay_scheme: bool = False) -> "App":
        """Write down a new app, active, without a key. Raises PublicKeysError, IdgenUnavailable."""
        app = cls(merchant=merchant, name=name, created_at=now, accepts_wechatpay_scheme=accepts_wechatpay_scheme)
        while True:
            app.app_id = next_public_no()
            if app._is_first_of_its_id():
                return app

    def _is_first_of_its_id(self) -> bool:
        """Insert the row; False when the id is another app's, as may happen once in an age after a change of keys."""
        try:
            with transaction.atomic():
                self.save(force_insert=True)
        except IntegrityError as error:
            if ID_TAKEN not in str(error):
                raise
            return False
        return True

    def disable(self) -> None:
        """From within 5 s on, every request of this app is refused as APP_DISABLED."""
        self._set_status(AppStatus.DISABLED)

    def enable(self) -> None:
        self._set_status(AppStatus.ACTIVE)

    def _set_status(self, status: AppStatus) -> None:
        self.status = status
        self.save(update_fields=["status"])
