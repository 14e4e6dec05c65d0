"""The blacklist, the addresses that are exempt from it, and the addresses from which an app calls."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from openplatform.blocks.queries import about
from openplatform.blocks.values import ListingRefused
from openplatform.console.base import RecordAdmin, column, deed
from openplatform.models import AppAddress, BlockEntry, ExemptAddress, NotifyHost
from openplatform.models.blocks import BlockSource, Listed, ListedState

if TYPE_CHECKING:
    _ListedModelForm = forms.ModelForm[Listed]
else:
    _ListedModelForm = forms.ModelForm

_STATE_TONES = {ListedState.LIVE.value: "danger", ListedState.EXPIRED.value: "info", ListedState.LIFTED.value: "info"}
_LENGTHS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_LENGTH_CHOICES = [
    ("1h", _("1 hour")), ("24h", _("24 hours")), ("7d", _("7 days")), ("30d", _("30 days")), ("", _("until lifted")),
]  # fmt: skip


class ListedForm(_ListedModelForm):
    """Enters on validation, so that a refusal is an error of the field and not of the page."""

    operator = ""  # who enters it: the page makes a class for each request

    def enter(self, data: dict[str, Any]) -> Listed:
        """The row, by the model's own factory. Raises ListingRefused."""
        raise NotImplementedError  # each list's own form says how

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.instance = self.enter(data)
            except ListingRefused as refusal:
                self.add_error("value", forms.ValidationError(gettext(str(refusal)), code=refusal.code))
        return data

    def validate_unique(self) -> None:
        """The factory has decided; the row is there."""

    def validate_constraints(self) -> None:
        """The factory has decided; the row is there."""

    def _post_clean(self) -> None:
        """What was typed does not go into the row: the factory has written it in its own form."""


def _value_field(**options: Any) -> forms.CharField:
    """What is listed. The browser offers nothing that was typed here before."""
    return forms.CharField(widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}), **options)


class BlockForm(ListedForm):
    value = _value_field(
        label=_("What is kept out"), max_length=256,
        help_text=_(
            "IP address: 203.0.113.9. Network: 203.0.113.0/24. App: its id. App key: its serial no. Payer: the openid,"
            " of which only a hash is kept. Notify host: shop.example.com, which stands for every name below it too."
        ),
    )  # fmt: skip
    lasts = forms.ChoiceField(
        label=_("For how long"),
        choices=_LENGTH_CHOICES,
        required=False,
        initial="24h",
        widget=UnfoldAdminSelectWidget(),
    )

    class Meta:
        model = BlockEntry
        fields = ("kind", "value", "reason", "lasts")

    def enter(self, data: dict[str, Any]) -> BlockEntry:
        now = timezone.now()
        expires_at = now + _LENGTHS[data["lasts"]] if data["lasts"] else None
        return BlockEntry.block(
            kind=data["kind"], text=data["value"], reason=data["reason"], by=self.operator, now=now,
            expires_at=expires_at,
        )  # fmt: skip


class ExemptForm(ListedForm):
    value = _value_field(
        label=_("Address or network"), max_length=64,
        help_text=_("Never blocked automatically, nor by a network on the blacklist; only by its own address."),
    )  # fmt: skip

    class Meta:
        model = ExemptAddress
        fields = ("value", "reason")

    def enter(self, data: dict[str, Any]) -> ExemptAddress:
        return ExemptAddress.exempt(text=data["value"], reason=data["reason"], by=self.operator, now=timezone.now())


class AppAddressForm(ListedForm):
    value = _value_field(
        label=_("Address or network"), max_length=64,
        help_text=_("As soon as an app has one address here, its requests from everywhere else are refused."),
    )  # fmt: skip

    class Meta:
        model = AppAddress
        fields = ("app", "value", "reason")

    def enter(self, data: dict[str, Any]) -> AppAddress:
        return AppAddress.allow(
            app=data["app"], text=data["value"], reason=data["reason"], by=self.operator, now=timezone.now()
        )


class NotifyHostForm(ListedForm):
    value = _value_field(
        label=_("Host"), max_length=255,
        help_text=_("As soon as an app has one host here, it is told at no other; names below it do not count."),
    )  # fmt: skip

    class Meta:
        model = NotifyHost
        fields = ("app", "value", "reason")

    def enter(self, data: dict[str, Any]) -> NotifyHost:
        return NotifyHost.register(
            app=data["app"], text=data["value"], reason=data["reason"], by=self.operator, now=timezone.now()
        )


class StateFilter(SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        return list(ListedState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        chosen = self.value()
        if chosen not in ListedState.values:
            return queryset
        return queryset.filter(queryset.model.is_in_state(ListedState(chosen), now=timezone.now()))


class ListedAdmin(RecordAdmin):
    """Entries are added by a form and lifted by an action, each with a permission of its own and a line in the log."""

    readonly_fields: tuple[str, ...] = ("shown_state",)
    ordering = ("-id",)
    actions = ("lift",)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002
        form = super().get_form(request, obj, change, **kwargs)
        form.operator = request.user.get_username()
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        """The form's factory has written the row."""

    @column(_("state"), labels=_STATE_TONES)
    def shown_state(self, row: Listed) -> tuple[str, str]:
        state = row.state(now=timezone.now())
        return state.value, str(state.label)

    @deed(_("Lift: off the list, in force within five seconds"), permission="lift")
    def lift(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        now, by = timezone.now(), request.user.get_username()
        lifted = [row for row in queryset if row.lift(by=by, now=now)]
        for row in lifted:
            self.log_change(request, row, "lifted")
        done = ngettext("%(count)d entry lifted.", "%(count)d entries lifted.", len(lifted)) % {"count": len(lifted)}
        self.message_user(request, done, messages.SUCCESS)

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return self.may(request, f"lift_{self.opts.model_name}")


@admin.register(BlockEntry)
class BlockEntryAdmin(ListedAdmin):
    form = BlockForm
    list_display = (
        "listed", "kind", "shown_state", "expires_at", "source", "shown_reason",
    )  # fmt: skip
    list_filter = (StateFilter, "source", "kind")
    search_fields = ("value",)  # only so that the box is there; get_search_results decides
    search_help_text = _("An address (also by the networks around it), a host, an app id, a serial no., 4 characters")
    fields = (
        "kind", "listed", "shown_state", "source", "shown_reason", "created_by", "created_at", "expires_at",
        "lifted_at", "lifted_by",
    )  # fmt: skip
    readonly_fields = ("shown_state", "listed", "shown_reason")
    add_fields = ("kind", "value", "lasts", "reason")

    @column(_("value"), ordering="value")
    def listed(self, row: BlockEntry) -> str:
        return row.shown_value

    @column(_("reason"))
    def shown_reason(self, row: BlockEntry) -> str:
        return gettext(row.reason) if row.source == BlockSource.AUTO else row.reason

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        return (queryset.filter(about(search_term)) if search_term.strip() else queryset), False


@admin.register(ExemptAddress)
class ExemptAddressAdmin(ListedAdmin):
    form = ExemptForm
    list_display = ("value", "shown_state", "reason", "created_by", "created_at", "lifted_by")
    list_filter = (StateFilter,)
    search_fields = ("=value",)
    fields = ("value", "shown_state", "reason", "created_by", "created_at", "lifted_at", "lifted_by")
    add_fields = ("value", "reason")


class AppListedAdmin(ListedAdmin):
    """Entries that belong to one app."""

    list_display = ("value", "app", "shown_state", "reason", "created_by", "created_at", "lifted_by")
    list_filter = (StateFilter,)
    list_select_related = ("app",)
    search_fields = ("=value", "=app__app_id", "app__name")
    fields = ("app", "value", "shown_state", "reason", "created_by", "created_at", "lifted_at", "lifted_by")
    add_fields = ("app", "value", "reason")
    autocomplete_fields = ("app",)


@admin.register(AppAddress)
class AppAddressAdmin(AppListedAdmin):
    form = AppAddressForm

    @deed(_("Lift: off the list, in force within five seconds"), permission="lift")
    def lift(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        apps = {row.app for row in queryset}
        super().lift(request, queryset)
        for app in apps:
            if not AppAddress.live(now=timezone.now()).filter(app=app).exists():
                opened = _("%(app)s has no address left on its list: it may call from everywhere now.") % {"app": app}
                self.message_user(request, opened, messages.WARNING)


@admin.register(NotifyHost)
class NotifyHostAdmin(AppListedAdmin):
    form = NotifyHostForm
