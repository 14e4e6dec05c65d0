"""The merchants' keys: registered here or by the merchant, proven by its holder, retired, revoked."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
)

from openplatform import app_keys
from openplatform.console.base import RecordAdmin, column, deed, preformatted
from openplatform.console.deeds import Deed, perform
from openplatform.console.history import history_of
from openplatform.console.refusals import refusal
from openplatform.key_material import Algorithm, KeyRefused, Purpose, read_public_key
from openplatform.key_states import Actor, ActorKind, AppKeyStatus
from openplatform.models import AppKey, KeyChallenge
from openplatform.scopes import DEFAULT_SCOPES, Scope

_LABELS = {
    AppKeyStatus.ACTIVE.value: "success",
    AppKeyStatus.PENDING.value: "info",
    AppKeyStatus.RETIRING.value: "warning",
    AppKeyStatus.REVOKED.value: "danger",
}
_COMMANDS = {
    Algorithm.RSA_SHA256: "printf %s '{text}' | openssl dgst -sha256 -sign private.pem | openssl base64 -A",
    Algorithm.ED25519: (
        "printf %s '{text}' > challenge.txt\n"
        "openssl pkeyutl -sign -rawin -inkey private.pem -in challenge.txt | openssl base64 -A"
    ),
    Algorithm.RSA_OAEP_256: (
        "python -m openplatform.client answer-challenge --private-key private.pem \\\n"
        "  --serial-no {serial_no} \\\n  '{text}'"
    ),
}

if TYPE_CHECKING:
    _AppKeyModelForm = forms.ModelForm[AppKey]
else:
    _AppKeyModelForm = forms.ModelForm


def operator(request: HttpRequest) -> Actor:
    return Actor(ActorKind.OPERATOR, request.user.get_username())


class AppKeyForm(_AppKeyModelForm):
    """Registers on validation, so that a refusal is an error of the field and not of the page."""

    scopes = forms.MultipleChoiceField(
        label=_("Scopes"), choices=Scope.choices, initial=DEFAULT_SCOPES, required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("What this key may do. A key that decrypts has none, whatever is ticked."),
    )  # fmt: skip
    by: Actor

    class Meta:
        model = AppKey
        fields = ("app", "purpose", "scopes", "public_key_pem")
        widgets = {"public_key_pem": UnfoldAdminTextareaWidget(attrs={"rows": 12, "spellcheck": "false"})}

    def clean_public_key_pem(self) -> str:
        try:
            return read_public_key(self.cleaned_data["public_key_pem"], purpose=self._purpose()).pem
        except KeyRefused as error:
            raise refusal(error) from error

    def _purpose(self) -> Purpose:
        return Purpose(self.cleaned_data.get("purpose") or Purpose.SIGN)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors:
            # The boxes are ticked for a key that signs, which most are.
            scopes = None if self._purpose() is Purpose.ENCRYPT else data["scopes"]
            offer = app_keys.Offer(public_key_pem=data["public_key_pem"], purpose=self._purpose(), scopes=scopes)
            try:
                self.instance, _challenge = app_keys.offer_key(
                    app_id=data["app"].pk, offer=offer, by=self.by, now=timezone.now()
                )
                data["scopes"] = self.instance.scopes  # the form is laid over the row once more
            except KeyRefused as error:
                self.add_error("scopes" if error.code == "KEY_SCOPES" else "public_key_pem", refusal(error))
        return data

    def validate_unique(self) -> None:
        """The factory has decided; the row is there."""


class ProofForm(forms.Form):
    proof = forms.CharField(
        label=_("Answer of the merchant"), max_length=2 * app_keys.PROOF_LENGTH_MAX,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6, "spellcheck": "false"}),
    )  # fmt: skip

    def clean_proof(self) -> str:
        return "".join(self.cleaned_data["proof"].split())  # it was copied from a terminal


class RetireForm(forms.Form):
    days = forms.IntegerField(
        label=_("Days until it stops"), min_value=1, max_value=90, initial=app_keys.RETIRES_AFTER.days,
        widget=UnfoldAdminIntegerFieldWidget,
    )  # fmt: skip


@admin.register(AppKey)
class AppKeyAdmin(RecordAdmin):
    form = AppKeyForm
    # The purpose follows from the algorithm, and what matters must not need scrolling.
    list_display = ("serial_no", "shown_status", "app", "algorithm", "last_used_at", "not_after", "shown_scopes")
    list_filter = ("status", "purpose", "algorithm")
    list_select_related = ("app",)
    search_fields = ("=serial_no", "=fingerprint", "=app__app_id", "app__name")
    fields = (
        "serial_no", "app", "purpose", "algorithm", "shown_scopes", "status", "shown_challenge", "fingerprint",
        "shown_public_key", "not_before", "not_after", "last_used_at", "created_at", "proven_at", "revoked_at",
        "shown_history",
    )  # fmt: skip
    readonly_fields = ("shown_scopes", "shown_challenge", "shown_public_key", "shown_history")
    add_fields = ("app", "purpose", "scopes", "public_key_pem")
    autocomplete_fields = ("app",)
    ordering = ("-created_at",)
    actions = ("revoke",)
    actions_detail = ("prove", "challenge", "retire", "revoke_one")

    @column(_("status"), labels=_LABELS, ordering="status")
    def shown_status(self, row: AppKey) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @column(_("scopes"))
    def shown_scopes(self, row: AppKey) -> str:
        return ", ".join(row.scopes) or "–"

    @column(_("public key"))
    def shown_public_key(self, row: AppKey) -> str:
        return preformatted(row.public_key_pem)

    @column(_("proof"))
    def shown_challenge(self, row: AppKey) -> str:
        if row.status != AppKeyStatus.PENDING:
            return gettext("Proven.") if row.proven_at else "–"
        challenge = app_keys.open_challenge(row, now=timezone.now())
        if challenge is None:
            return gettext("The challenge has expired. Make a new one when the merchant is at hand.")
        return _how_to_answer(row, challenge)

    @column(_("history"))
    def shown_history(self, row: AppKey) -> str:
        return history_of(row)

    @deed(_("Revoke for good"), permission="revoke")
    def revoke(self, request: HttpRequest, queryset: QuerySet[AppKey]) -> None:
        rows = list(queryset)
        for row in rows:
            _revoke(row, by=operator(request))
            self.log_change(request, row, ["revoke"])
        done = ngettext("%(count)d key revoked.", "%(count)d keys revoked.", len(rows)) % {"count": len(rows)}
        self.message_user(request, done, messages.SUCCESS)

    @action(description=_("Enter the proof"), url_path="prove", permissions=["prove"], icon="verified")  # type: ignore[untyped-decorator]
    def prove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def act(row: AppKey, data: dict[str, Any]) -> str:
            app_keys.prove_key(
                app_id=row.app_id, serial_no=row.pk, proof=data["proof"], by=operator(request), now=timezone.now()
            )
            return gettext("The key is proven. It counts from now on.")

        text = _("The merchant signs the challenge with the new private key, and sends you what comes out.")
        page = Deed(title=_("Enter the proof"), text=text, button=_("Activate"), form_class=ProofForm, act=act)
        return perform(self, request, object_id, deed=page)

    @action(description=_("New challenge"), url_path="challenge", permissions=["prove"], icon="replay")  # type: ignore[untyped-decorator]
    def challenge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def act(row: AppKey, _data: dict[str, Any]) -> str:
            app_keys.challenge_key(app_id=row.app_id, serial_no=row.pk, by=operator(request), now=timezone.now())
            return gettext("A new challenge is there, for ten minutes.")

        text = _("The challenge that the merchant may have in hand stops counting.")
        page = Deed(title=_("New challenge"), text=text, button=_("Make it"), act=act)
        return perform(self, request, object_id, deed=page)

    @action(description=_("Retire"), url_path="retire", permissions=["retire"], icon="event_busy")  # type: ignore[untyped-decorator]
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def act(row: AppKey, data: dict[str, Any]) -> str:
            now = timezone.now()
            not_after = now + timedelta(days=data["days"])
            app_keys.retire_key(
                app_id=row.app_id, serial_no=row.pk, not_after=not_after, force=True, by=operator(request), now=now
            )
            return gettext("The key stops by itself.")

        text = _("It counts until then, so that the next key can take over. The date can be brought forward, not back.")
        page = Deed(title=_("Retire"), text=text, button=_("Retire"), form_class=RetireForm, act=act)
        return perform(self, request, object_id, deed=page)

    @action(description=_("Revoke for good"), url_path="revoke", permissions=["revoke"], icon="block")  # type: ignore[untyped-decorator]
    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def act(row: AppKey, _data: dict[str, Any]) -> str:
            _revoke(row, by=operator(request))
            return gettext("The key is revoked.")

        text = _("Nothing that it signs is accepted any more, within five seconds everywhere. There is no way back.")
        page = Deed(title=_("Revoke for good"), text=text, button=_("Revoke for good"), act=act, is_dangerous=True)
        return perform(self, request, object_id, deed=page)

    def has_prove_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self.has_add_permission(request) and self._is(object_id, AppKeyStatus.PENDING)

    def has_retire_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        allowed = self.may(request, "retire_appkey")
        return allowed and self._is(object_id, AppKeyStatus.ACTIVE, AppKeyStatus.RETIRING)

    def has_revoke_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self.may(request, "revoke_appkey") and (
            object_id is None or not self._is(object_id, AppKeyStatus.REVOKED)
        )

    def _is(self, object_id: object, *statuses: AppKeyStatus) -> bool:
        """A button is shown where it can do something; whether it may is decided again under the lock."""
        return AppKey.objects.filter(pk=object_id, status__in=statuses).exists()

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, *args, **kwargs)
        form.by = operator(request)
        return form

    def response_add(self, request: HttpRequest, obj: AppKey, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002
        """To the key's own page: the challenge is there, and time is short."""
        return redirect("admin:openplatform_appkey_change", obj.pk)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        """The form's factory has written the row."""


def _revoke(row: AppKey, *, by: Actor) -> None:
    """An operator may end an app's last key: here another can be registered."""
    app_keys.revoke_key(app_id=row.app_id, serial_no=row.pk, force=True, by=by, now=timezone.now())


def _how_to_answer(row: AppKey, challenge: KeyChallenge) -> str:
    command = _COMMANDS[Algorithm(row.algorithm)].format(text=challenge.text, serial_no=row.pk)
    told = gettext("Send this to the merchant. What the command prints is the proof. Good until %(time)s.") % {
        "time": timezone.localtime(challenge.expires_at).strftime("%H:%M:%S")
    }
    return format_html("<p>{}</p>{}", told, preformatted(command))
