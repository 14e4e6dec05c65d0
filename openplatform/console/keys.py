"""Keys: the merchants' public ones, and the public halves of ours. A private key has no page."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.widgets import UnfoldAdminTextareaWidget

from openplatform.console.base import RecordAdmin, column, deed, preformatted
from openplatform.key_material import KeyRefused, read_public_key
from openplatform.key_states import AppKeyStatus
from openplatform.models import AppKey, PlatformKey
from openplatform.models.keys import PlatformKeyStatus

_APP_KEY_LABELS = {
    AppKeyStatus.ACTIVE.value: "success",
    AppKeyStatus.PENDING.value: "info",
    AppKeyStatus.RETIRING.value: "warning",
    AppKeyStatus.REVOKED.value: "danger",
}
_PLATFORM_KEY_LABELS = {
    PlatformKeyStatus.CURRENT.value: "success",
    PlatformKeyStatus.PUBLISHED.value: "info",
    PlatformKeyStatus.RETIRING.value: "warning",
    PlatformKeyStatus.RETIRED.value: "danger",
}


if TYPE_CHECKING:
    _AppKeyModelForm = forms.ModelForm[AppKey]
else:
    _AppKeyModelForm = forms.ModelForm


# What an operator reads; the merchant's own integrator gets the English text of the error.
_REFUSALS = {
    "KEY_IS_PRIVATE": _(
        "This is a PRIVATE key. Whoever has seen it can sign as the merchant: have it revoked now, and register only"
        " the public key of a new pair."
    ),
    "KEY_NOT_A_PUBLIC_KEY": _("This is not a public key in PEM form (-----BEGIN PUBLIC KEY-----)."),
    "KEY_ALGORITHM_UNKNOWN": _("Only RSA keys are accepted."),
    "KEY_LENGTH": _("An RSA key must have 2048 to 4096 bits, a multiple of 8."),
    "KEY_EXPONENT": _("An RSA key must have the public exponent 65537."),
    "KEY_ALREADY_REGISTERED": _("This public key was registered before; a key belongs to one app for ever."),
    "KEY_TOO_MANY": _("The app has as many live keys as an app may have; revoke one first."),
}


def _refusal(error: KeyRefused) -> forms.ValidationError:
    return forms.ValidationError(_REFUSALS.get(error.code, str(error)), code=error.code)


class AppKeyForm(_AppKeyModelForm):
    """Registers on validation, so that a refusal is an error of the field and not of the page."""

    class Meta:
        model = AppKey
        fields = ("app", "public_key_pem")
        widgets = {"public_key_pem": UnfoldAdminTextareaWidget(attrs={"rows": 12, "spellcheck": "false"})}

    def clean_public_key_pem(self) -> str:
        try:
            return read_public_key(self.cleaned_data["public_key_pem"]).pem
        except KeyRefused as error:
            raise _refusal(error) from error

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "app" in data and "public_key_pem" in data and not self.errors:
            try:
                self.instance = AppKey.register(
                    app=data["app"], public_key_pem=data["public_key_pem"], now=timezone.now()
                )
            except KeyRefused as error:
                self.add_error("public_key_pem", _refusal(error))
        return data

    def validate_unique(self) -> None:
        """The factory has decided; the row is there."""

    def validate_constraints(self) -> None:
        """The factory has decided; the row is there."""


@admin.register(AppKey)
class AppKeyAdmin(RecordAdmin):
    form = AppKeyForm
    list_display = ("serial_no", "app", "algorithm", "shown_status", "not_after", "last_used_at")
    list_filter = ("status", "algorithm")
    list_select_related = ("app",)
    search_fields = ("=serial_no", "=fingerprint", "=app__app_id", "app__name")
    fields = (
        "serial_no", "app", "algorithm", "shown_status", "fingerprint", "shown_public_key", "not_before", "not_after",
        "last_used_at", "created_at", "revoked_at",
    )  # fmt: skip
    readonly_fields = ("shown_status", "shown_public_key")
    add_fields = ("app", "public_key_pem")
    autocomplete_fields = ("app",)
    ordering = ("-created_at",)
    actions = ("revoke",)

    @column(_("status"), labels=_APP_KEY_LABELS, ordering="status")
    def shown_status(self, row: AppKey) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @column(_("public key"))
    def shown_public_key(self, row: AppKey) -> str:
        return preformatted(row.public_key_pem)

    @deed(_("Revoke for good"), permission="revoke")
    def revoke(self, request: HttpRequest, queryset: QuerySet[AppKey]) -> None:
        rows = list(queryset)
        for row in rows:
            row.revoke(now=timezone.now())
            self.log_change(request, row, ["revoke"])
        done = ngettext("%(count)d key revoked.", "%(count)d keys revoked.", len(rows)) % {"count": len(rows)}
        self.message_user(request, done, messages.SUCCESS)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "revoke_appkey")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        """The form's factory has written the row."""


@admin.register(PlatformKey)
class PlatformKeyAdmin(RecordAdmin):
    list_display = ("serial_no", "algorithm", "shown_status", "not_before", "not_after")
    list_filter = ("status",)
    search_fields = ("=serial_no",)
    fields = ("serial_no", "algorithm", "shown_status", "shown_public_key", "not_before", "not_after", "created_at")
    readonly_fields = ("shown_status", "shown_public_key")
    ordering = ("-created_at",)

    @column(_("status"), labels=_PLATFORM_KEY_LABELS, ordering="status")
    def shown_status(self, row: PlatformKey) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @column(_("public key"))
    def shown_public_key(self, row: PlatformKey) -> str:
        return preformatted(row.public_key_pem)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlatformKey]:
        queryset: QuerySet[PlatformKey] = super().get_queryset(request)
        return queryset.defer("private_key_sealed")
