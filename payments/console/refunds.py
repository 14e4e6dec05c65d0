"""Refunds: money on its way back."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from unfold.decorators import action
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextInputWidget

from openplatform.console.deeds import Deed, perform
from payments.channels.base import BankCard
from payments.console import cells, columns
from payments.console.base import ReadOnlyAdmin
from payments.console.filters import ChannelFilter, MomentFilter, YuanFilter, status_filter
from payments.errors import PaymentsError
from payments.models import Refund
from payments.operations.abnormal_refunds import redirect_refund
from payments.states import RefundStatus

NUMBER = cells.own_number(title=_("refund no."))
OUT_REFUND_NO = cells.column("out_refund_no", cells.number, title=_("merchant's refund no."))
CHANNEL_REFUND_NO = cells.column("channel_refund_no", cells.number, title=_("channel's number"))
SUCCEEDED = cells.column("succeeded_at", cells.moment, title=_("succeeded at"))


PAYER, MERCHANT = "payer", "merchant"


class NeverShownAgain(UnfoldAdminTextInputWidget):  # type: ignore[misc]
    """What was typed is not repeated in a page, not even beside an error."""

    def format_value(self, value: Any) -> None:  # noqa: ARG002
        return None


class ElsewhereForm(forms.Form):
    """Where the money goes. Banks are named as the channel names them."""

    to = forms.ChoiceField(
        label=_("to"), widget=UnfoldAdminRadioSelectWidget(), initial=PAYER,
        choices=[(PAYER, _("a card of the payer")), (MERCHANT, _("the merchant's own bank account"))],
    )  # fmt: skip
    bank_type = forms.CharField(
        label=_("bank, as the channel writes it: ICBC_DEBIT"), max_length=16, required=False,
        widget=UnfoldAdminTextInputWidget(),
    )  # fmt: skip
    bank_account = forms.RegexField(
        r"^[0-9 ]{8,40}$", label=_("card number"), required=False, widget=NeverShownAgain(attrs={"autocomplete": "off"})
    )
    real_name = forms.CharField(
        label=_("payer's name"), max_length=60, required=False, widget=NeverShownAgain(attrs={"autocomplete": "off"})
    )

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        if said.get("to") == PAYER:
            for name in ("bank_type", "bank_account", "real_name"):
                if not said.get(name) and name not in self.errors:
                    self.add_error(name, _("This is needed for a card of the payer."))
        return said

    @staticmethod
    def card(said: dict[str, Any]) -> BankCard | None:
        if said["to"] == MERCHANT:
            return None
        account = said["bank_account"].replace(" ", "")
        return BankCard(bank_type=said["bank_type"].strip(), account=account, name=said["real_name"].strip())


class PaymentChannelFilter(ChannelFilter):
    """A refund goes back over its payment's channel."""

    path = "payment__channel"


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = [
        NUMBER, OUT_REFUND_NO, columns.ORDER, columns.AMOUNT, columns.STATUS, CHANNEL_REFUND_NO,
        columns.CREATED_SORTED, SUCCEEDED, columns.NEXT_CHECK,
    ]  # fmt: skip
    list_filter = [
        status_filter(RefundStatus), PaymentChannelFilter, ("created_at", MomentFilter), ("amount_fen", YuanFilter),
    ]  # fmt: skip
    ordering = ["-created_at"]
    own_numbers = ("pk",)
    own_texts = ("out_refund_no", "channel_refund_no")
    app_path = "app"
    fieldsets = [
        (_("Refund"), {"fields": [
            (NUMBER, OUT_REFUND_NO), (columns.ORDER, columns.PAYMENT), (columns.AMOUNT, columns.STATUS),
            (CHANNEL_REFUND_NO, SUCCEEDED), ("reason", columns.FAILURE), (columns.APP, columns.VERSION),
            (columns.CREATED, columns.TRACE), columns.NOTIFY_URL,
        ]}),
        (_("Asking the channel"), {"fields": [
            (columns.NEXT_CHECK, columns.LAST_ANSWER),
            (columns.ASKED, cells.column("checks_count", cells.plain, title=_("checks since the last move"))),
            (cells.column("lease_until", cells.moment, title=_("held by a worker until")),
             cells.column("hinted_at", cells.moment, title=_("worker last woken at"))),
        ]}),
    ]  # fmt: skip

    actions_detail = ["send_elsewhere"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("app")

    def has_redirect_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """It decides where money goes: not a part of the operator's role. Offered where a refund waits for it."""
        if not request.user.has_perm("payments.redirect_refund"):
            return False
        refund = None if object_id is None else self.get_object(request, str(object_id))
        return refund is None or refund.status == RefundStatus.ABNORMAL

    @action(  # type: ignore[untyped-decorator]
        description=_("Send it elsewhere"), url_path="elsewhere", permissions=["redirect"], icon="alt_route"
    )
    @method_decorator(sensitive_post_parameters("bank_account", "real_name"))
    def send_elsewhere(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A person says where the money goes that could not reach the payer."""
        by = request.user.get_username()

        def act(refund: Refund, said: dict[str, Any]) -> str:
            try:
                redirect_refund(refund_no=refund.pk, card=ElsewhereForm.card(said), by=by, clock=timezone.now)
            except PaymentsError as error:
                raise forms.ValidationError(gettext(str(error))) from error
            return gettext("The channel has accepted it: the money is on its way to %(to)s.") % {
                "to": dict(ElsewhereForm.base_fields["to"].choices)[said["to"]]  # type: ignore[attr-defined]
            }

        deed = Deed(
            title=_("Send this refund elsewhere?"), text=_(
                "The channel could not return the money the way it came. It can send it to a card of the payer, or to"
                " the merchant's own bank account; then the merchant must pay the payer. The card's number and the name"
                " are encrypted for the channel, and are kept nowhere here. There is no way back."
            ),
            button=_("Send it"), form_class=ElsewhereForm, act=act, is_dangerous=True,
        )  # fmt: skip
        return perform(self, request, object_id, deed=deed)
