"""The secret that an app and we share, for merchants who verify by the Standard Webhooks specification."""

import base64
import secrets
from datetime import datetime, timedelta

from django.db import models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.models.app import App
from openplatform.models.sealed import SealedField, open_column, seal_column

PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64
OVERLAP = timedelta(hours=24)


class SecretChanged(Exception):
    """The secret that the caller knew as the current one is not that any more. Nothing was changed."""


class WebhookSecret(models.Model):
    """Sealed to its row; its text is shown once. While one follows another, both sign."""

    id = SnowflakeField(primary_key=True)
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="webhook_secrets", verbose_name=_("app"))
    secret_sealed = SealedField()
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("signs until"), null=True, blank=True)

    class Meta:
        verbose_name = _("webhook secret")
        verbose_name_plural = _("webhook secrets")
        constraints = [
            models.UniqueConstraint(fields=["app"], condition=Q(expires_at=None), name="webhook_secret_one_current"),
            models.CheckConstraint(
                condition=Q(expires_at=None) | Q(expires_at__gte=F("created_at")), name="webhook_secret_times_in_order"
            ),
        ]
        indexes = [models.Index(fields=["app", "-created_at"], name="webhook_secret_by_app")]

    def __str__(self) -> str:
        return f"{self.app_id} {self.created_at:%Y-%m-%d}"

    @classmethod
    def rotate(cls, *, app: App, current: int | None, now: datetime) -> str:
        """A new secret, shown only now. The one until now goes on signing beside it for OVERLAP, and none before it.

        `current` is the id of the one until now, None when there is none. Raises SecretChanged when somebody was
        faster: a second rotation would end the secret that the merchant has.
        """
        material = secrets.token_bytes(SECRET_BYTES)
        with transaction.atomic():
            cls._lock(app, current=current)
            cls._end_old(app, now=now)
            cls.objects.filter(app=app, expires_at=None).update(expires_at=_not_before_it_began(now + OVERLAP))
            secret = cls(app=app, created_at=now)
            seal_column(secret, "secret_sealed", material)
            secret.save(force_insert=True)
        return PREFIX + base64.b64encode(material).decode()

    @classmethod
    def end_overlap(cls, *, app: App, current: int | None, now: datetime) -> int:
        """The secrets before the current one sign no more, as after a leak. Returns how many. Raises SecretChanged."""
        with transaction.atomic():
            cls._lock(app, current=current)
            return cls._end_old(app, now=now)

    @classmethod
    def current_id(cls, *, app_id: int) -> int | None:
        """Of the newest, which signs without an end."""
        return cls.objects.filter(app_id=app_id, expires_at=None).values_list("pk", flat=True).first()

    @classmethod
    def _lock(cls, app: App, *, current: int | None) -> None:
        App.lock_delivery(app.pk)
        if cls.current_id(app_id=app.pk) != current:
            raise SecretChanged

    @classmethod
    def _end_old(cls, app: App, *, now: datetime) -> int:
        return cls.objects.filter(app=app, expires_at__gt=now).update(expires_at=_not_before_it_began(now))

    @classmethod
    def live(cls, *, app_id: int, now: datetime) -> list["WebhookSecret"]:
        """Those that sign, the newest first."""
        signing = Q(expires_at=None) | Q(expires_at__gt=now)
        return list(cls.objects.filter(signing, app_id=app_id).order_by("-created_at"))

    def material(self) -> bytes:
        """What signs. Never log it, never put it into a task."""
        return open_column(self, "secret_sealed")


def _not_before_it_began(moment: datetime) -> Greatest:
    """Whoever made it may have a clock that is ahead of ours."""
    return Greatest(F("created_at"), Value(moment, output_field=models.DateTimeField()))
