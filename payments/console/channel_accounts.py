"""Channel accounts: whom the channel knows us as. Public settings are shown, secrets never, not even sealed."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action

from payments.console import cells, columns
from payments.console.base import ReadOnlyAdmin
from payments.console.confirm import Question, confirm
from payments.console.filters import ChannelFilter
from payments.models import ChannelAccount
from payments.operations.channel_accounts import activate_account

NAME = cells.column("name", cells.plain, title=gettext_lazy("name"))
MERCHANT = cells.column("merchant", cells.link, title=gettext_lazy("merchant"))
ACTIVE = cells.column("is_active", cells.yes_no, title=gettext_lazy("active"))
SANDBOX = cells.column("is_sandbox", cells.yes_no, title=gettext_lazy("sandbox"))
NUMBER = cells.own_number(title=gettext_lazy("channel account"))
FETCHED = cells.column("certificates_fetched_at", cells.moment, title=gettext_lazy("fetched at"))
FAILING = cells.column("certificates_failing_since", cells.moment, title=gettext_lazy("fails since"))
ASKED = cells.column("certificates_asked_at", cells.moment, title=gettext_lazy("asked for at"))


def secrets(_account: ChannelAccount) -> str:
    return cells.plain(_("Sealed. They are never shown."))


secrets.short_description = gettext_lazy("secrets")  # type: ignore[attr-defined]


@admin.register(ChannelAccount)
class ChannelAccountAdmin(ReadOnlyAdmin):
    list_display = [NUMBER, NAME, MERCHANT, columns.CHANNEL, ACTIVE, SANDBOX, columns.CREATED]
    list_filter = [ChannelFilter]
    list_select_related = ["merchant"]
    ordering = ["-id"]
    own_numbers = ("pk", "merchant")
    own_texts = ("name",)
    order_path = app_path = ""
    search_help_text = gettext_lazy("Account's or merchant's number in full, or the name")
    actions_detail = ["switch"]
    fieldsets = [
        (None, {"fields": [
            (NUMBER, NAME), (MERCHANT, columns.CHANNEL), (ACTIVE, SANDBOX), columns.CREATED,
            cells.column("settings", cells.document, title=gettext_lazy("settings")), secrets,
        ]}),
        (gettext_lazy("Certificates of the channel"), {"fields": [
            (FETCHED, FAILING), (cells.column("certificate_wanted", cells.plain, title=gettext_lazy("wanted")), ASKED),
        ]}),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("secrets_sealed")

    def has_switch_permission(self, request: HttpRequest, object_id: object = None) -> bool:  # noqa: ARG002
        """Switching decides where money goes: not a part of the operator's role."""
        return bool(request.user.has_perm("payments.change_channelaccount"))

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Switch on or off"),
        url_path="switch",
        permissions=["switch"],
        icon="power_settings_new",
    )
    def switch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Switch the account on or off, once it is confirmed."""
        return confirm(self, request, object_id, question=_question, act=_switch)


def _question(account: ChannelAccount) -> Question:
    if account.is_active:
        return Question(
            title=_("Switch “%(name)s” off?") % {"name": account.name},
            text=_(
                "New orders of this merchant on this channel are refused. Payments and refunds that have begun go on."
            ),
            button=_("Switch off"),
            answer="off",
            is_dangerous=True,
        )
    return Question(
        title=_("Switch “%(name)s” on?") % {"name": account.name},
        text=_("New orders of this merchant on this channel go to this account from now on."),
        button=_("Switch on"),
        answer="on",
    )


def _switch(account: ChannelAccount) -> str:
    """What to tell the operator. Raises OtherAccountActive, ModelChannelNotAllowed."""
    if account.is_active:
        account.deactivate()
        return _("“%(name)s” is switched off.") % {"name": account.name}
    activate_account(account)
    return _("“%(name)s” is switched on.") % {"name": account.name}
