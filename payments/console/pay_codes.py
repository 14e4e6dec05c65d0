"""Pay codes: issued and deactivated here, the two writes that an operator may do."""

from typing import Any

import segno
from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from openplatform import notify_urls
from openplatform.models import App
from openplatform.models.app import AppStatus
from payments.channels.registry import CHANNELS
from payments.console import cells, columns, words
from payments.console.base import ReadOnlyAdmin
from payments.console.confirm import Question, confirm
from payments.models import PayCode
from payments.operations.cashier import PAY_CODE_METHOD
from payments.operations.orders import may_be_told

LABEL_LENGTH_MAX = 64
QR_SCALE = 5

NUMBER = cells.own_number(title=gettext_lazy("token"))
LABEL = cells.column("label", cells.plain, title=gettext_lazy("label"))
ACTIVE = cells.column("is_active", cells.yes_no, title=gettext_lazy("active"))


def address(pay_code: PayCode) -> str:
    """Where a payer who scans the code arrives."""
    path = reverse("cashier-pay", args=[pay_code.token])
    return f"{settings.PUBLIC_BASE_URL}{path}"


def printed(pay_code: PayCode) -> str:
    """The code as it is printed, and its address."""
    image = segno.make(address(pay_code), error="m", micro=False).svg_data_uri(scale=QR_SCALE)
    return format_html('<img class="fen-qr" src="{}" alt="{}">{}', image, _("QR code"), cells.number(address(pay_code)))


printed.short_description = gettext_lazy("to be printed")  # type: ignore[attr-defined]


def _channels() -> list[tuple[str, words.Word]]:
    """Those by which the cashier can pay: they say who the payer is. The first choice is a code for all of them."""
    return [("", words.channel_word(""))] + [
        (name, words.channel_word(name))
        for name, channel in CHANNELS.items()
        if PAY_CODE_METHOD in channel.capabilities.methods
    ]


class PayCodeForm(forms.ModelForm):  # type: ignore[type-arg]
    """What an operator says about a new code; the token is ours to choose."""

    app = forms.ModelChoiceField(
        label=gettext_lazy("app"), queryset=App.objects.none(), widget=UnfoldAdminSelectWidget()
    )
    channel = forms.ChoiceField(
        label=gettext_lazy("channel"), choices=_channels, required=False, widget=UnfoldAdminSelectWidget(),
        help_text=gettext_lazy("Of a code for every wallet, the app that scans it decides."),
    )  # fmt: skip
    label = forms.CharField(
        label=gettext_lazy("label"), max_length=LABEL_LENGTH_MAX, widget=UnfoldAdminTextInputWidget(),
        help_text=gettext_lazy("What the payer sees as the purpose: the name of the shop, for example."),
    )  # fmt: skip
    notify_url = forms.CharField(
        label=gettext_lazy("notify URL"), required=False, widget=UnfoldAdminTextInputWidget(),
        help_text=gettext_lazy("Where the merchant's server is told about payments by this code; may be empty."),
    )  # fmt: skip

    class Meta:
        model = PayCode
        fields = ["app", "channel", "label", "notify_url"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        apps = App.objects.filter(status=AppStatus.ACTIVE).select_related("merchant").order_by("merchant__name", "name")
        self.fields["app"].queryset = apps  # type: ignore[attr-defined]
        self.fields["app"].label_from_instance = _app_label  # type: ignore[attr-defined]

    def clean_notify_url(self) -> str:
        url: str = self.cleaned_data["notify_url"]
        if url:
            try:
                notify_urls.validate(url)
            except notify_urls.NotifyUrlRefused as refusal:
                raise ValidationError(_("This address is not accepted: %(why)s") % {"why": refusal}) from refusal
        return url

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("app") and not may_be_told(data["app"], data.get("notify_url", "")):
            self.add_error("notify_url", _("This host is not registered for the app."))
        return data


def _app_label(app: App) -> str:
    return f"{app.merchant.name} · {app.name} · {app.pk}"


@admin.register(PayCode)
class PayCodeAdmin(ReadOnlyAdmin):
    list_display = [NUMBER, LABEL, columns.APP_NAME, columns.CHANNEL, ACTIVE, columns.CREATED]
    list_select_related = ["app"]
    ordering = ["-created_at"]
    own_texts = ("pk", "label")
    order_path = ""
    search_help_text = gettext_lazy("Token, label or app id in full")
    app_path = "app"
    form = PayCodeForm
    actions_detail = ["deactivate"]
    add_fieldsets = [(None, {"fields": ["app", "channel", "label", "notify_url"]})]
    fieldsets = [
        (None, {"fields": [
            (NUMBER, LABEL), (columns.APP, columns.CHANNEL), (ACTIVE, columns.CREATED), columns.NOTIFY_URL, printed,
        ]}),
    ]  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("payments.add_paycode"))

    def has_deactivate_permission(self, request: HttpRequest, object_id: object = None) -> bool:  # noqa: ARG002
        return bool(request.user.has_perm("payments.change_paycode"))

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return super().get_readonly_fields(request, obj) if obj else []

    def save_model(self, request: HttpRequest, obj: PayCode, form: PayCodeForm, change: bool) -> None:  # noqa: ARG002, FBT001
        """Issue it by the model's own factory; the form's instance becomes the code that was issued."""
        issued = PayCode.issue(
            app=obj.app, channel=obj.channel, label=obj.label, notify_url=obj.notify_url, now=timezone.now()
        )
        obj.token, obj.created_at = issued.token, issued.created_at

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Deactivate"), url_path="deactivate", permissions=["deactivate"], icon="block"
    )
    def deactivate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Put the code out of use, once it is confirmed."""
        return confirm(self, request, object_id, question=_question, act=_deactivate)


def _question(pay_code: PayCode) -> Question:
    return Question(
        title=_("Deactivate “%(label)s”?") % {"label": pay_code.label},
        text=_("Whoever scans it can no longer pay. There is no way back: issue a new code instead."),
        button=_("Deactivate"),
        answer="off" if pay_code.is_active else "already off",
        is_dangerous=True,
    )


def _deactivate(pay_code: PayCode) -> str:
    pay_code.deactivate()
    return _("“%(label)s” is deactivated.") % {"label": pay_code.label}
