"""An app: one program of a merchant that calls us."""

import hashlib
import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from idgen.public import PUBLIC_NO_MIN, next_public_no
from openplatform.models.base import one_of
from openplatform.models.merchant import Merchant
from openplatform.models.sealed import SealedField, open_column, seal_column

APIV3_KEY_LENGTH = 32  # characters, used as they are: a key of 256 bits to the cipher, 190 of them chance
_LETTERS_AND_DIGITS = string.ascii_letters + string.digits

MARK_LENGTH = 16

ID_TAKEN = "openplatform_app_pkey"


class FaceChanged(Exception):
    """The WeChat Pay interface was opened or closed, or got another key, since the caller looked; nothing was done."""


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
    apiv3_key_sealed = SealedField(null=True)
    is_sign_tested = models.BooleanField(_("tested with wrong signatures"), db_default=False)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("app")
        verbose_name_plural = _("apps")
        constraints = [
            one_of("status", AppStatus, name="app_status_known"),
            models.CheckConstraint(condition=~Q(name=""), name="app_name_not_empty"),
            models.CheckConstraint(condition=Q(app_id__gte=PUBLIC_NO_MIN), name="app_id_has_16_digits_or_more"),
            models.CheckConstraint(
                condition=Q(accepts_wechatpay_scheme=False) | Q(apiv3_key_sealed__isnull=False),
                name="app_wechatpay_has_apiv3_key",
            ),
        ]
        permissions = [
            ("switch_app", "Can enable and disable an app"),
            ("change_wechatpay_face", "Can open and close an app's WeChat Pay interface and replace its APIv3 key"),
            ("change_delivery", "Can change how an app is told: its secret, its tests, its paused hosts"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"

    @classmethod
    def register(cls, *, merchant: Merchant, name: str, now: datetime, accepts_wechatpay_scheme: bool = False) -> "App":
        """Write down a new app, active, without a public key. Raises PublicKeysError, IdgenUnavailable.

        One that accepts WeChat Pay's scheme has an APIv3 key from the beginning. Nobody has seen it: an operator
        replaces it when the merchant wants it.
        """
        app = cls(merchant=merchant, name=name, created_at=now, accepts_wechatpay_scheme=accepts_wechatpay_scheme)
        while True:
            app.app_id = next_public_no()
            if accepts_wechatpay_scheme:
                app._new_apiv3_key()  # sealed to the row's number
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

    @classmethod
    def lock(cls, app_id: int) -> "App":
        """The row, held until the transaction ends. Lock an app before its keys."""
        return cls.objects.select_for_update(of=("self",)).get(pk=app_id)

    @classmethod
    def lock_delivery(cls, app_id: int) -> None:
        """Until the transaction ends, nobody else begins to tell this app something. Orders do not wait for it."""
        cls.objects.select_for_update(no_key=True).values_list("pk").get(pk=app_id)

    def set_sign_tests(self, *, on: bool) -> None:
        """Begin, or stop, to send it wrongly signed notifications now and then."""
        self.is_sign_tested = on
        self.save(update_fields=["is_sign_tested"])

    def disable(self) -> None:
        """From within 5 s on, every request of this app is refused as APP_DISABLED."""
        self._set_status(AppStatus.DISABLED)

    def enable(self) -> None:
        self._set_status(AppStatus.ACTIVE)

    @property
    def face_mark(self) -> str:
        """Is another one after each change of the WeChat Pay interface, and tells nothing about its key."""
        state = f"{self.accepts_wechatpay_scheme}:".encode() + bytes(self.apiv3_key_sealed or b"")
        return hashlib.sha256(state).hexdigest()[:MARK_LENGTH]

    @classmethod
    @contextmanager
    def lock_face(cls, app_id: int, *, mark: str) -> "Iterator[App]":
        """The row, held until the block ends. Raises FaceChanged when its `face_mark` is not `mark` any more."""
        with transaction.atomic():
            app = cls.lock(app_id)
            if app.face_mark != mark:
                raise FaceChanged
            yield app

    def open_wechatpay_face(self) -> str:
        """Accept WeChat Pay's scheme name and addresses from within 5 s on. Returns a new APIv3 key, shown only now."""
        self.accepts_wechatpay_scheme = True
        return self.replace_apiv3_key()

    def close_wechatpay_face(self) -> None:
        """Refuse that scheme from within 5 s on. The key stays: orders that came in there are still told about."""
        self.accepts_wechatpay_scheme = False
        self.save(update_fields=["accepts_wechatpay_scheme"])

    def replace_apiv3_key(self) -> str:
        """A new APIv3 key, shown only now: what we encrypt for the app from now on opens with nothing else."""
        api_key = self._new_apiv3_key()
        self.save(update_fields=["apiv3_key_sealed", "accepts_wechatpay_scheme"])
        return api_key

    def apiv3_key(self) -> str:
        """The secret that we encrypt for this app under. Never log it, never put it into a task."""
        return open_column(self, "apiv3_key_sealed").decode()

    def _new_apiv3_key(self) -> str:
        api_key = "".join(secrets.choice(_LETTERS_AND_DIGITS) for _letter in range(APIV3_KEY_LENGTH))
        seal_column(self, "apiv3_key_sealed", api_key.encode())
        return api_key

    def _set_status(self, status: AppStatus) -> None:
        self.status = status
        self.save(update_fields=["status"])
