"""The public halves of our own keys. A private key has no page."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from openplatform import keys
from openplatform.console.base import RecordAdmin, column, preformatted
from openplatform.console.deeds import Deed, perform
from openplatform.console.history import history_of
from openplatform.console.keys import operator
from openplatform.key_material import Algorithm, Purpose
from openplatform.models import PlatformKey
from openplatform.models.keys import PlatformKeyStatus

_LABELS = {
    PlatformKeyStatus.CURRENT.value: "success",
    PlatformKeyStatus.PUBLISHED.value: "info",
    PlatformKeyStatus.RETIRING.value: "warning",
    PlatformKeyStatus.RETIRED.value: "danger",
}


class ShareForm(forms.Form):
    share = forms.IntegerField(label=_("Share (%)"), min_value=0, max_value=100, widget=UnfoldAdminIntegerFieldWidget)


@admin.register(PlatformKey)
class PlatformKeyAdmin(RecordAdmin):
    list_display = ("serial_no", "purpose", "algorithm", "shown_status", "notify_share", "not_before", "not_after")
    list_filter = ("status", "purpose", "algorithm")
    search_fields = ("=serial_no",)
    fields = (
        "serial_no", "purpose", "algorithm", "status", "notify_share", "shown_public_key", "not_before",
        "not_after", "created_at", "shown_history",
    )  # fmt: skip
    readonly_fields = ("shown_public_key", "shown_history")
    ordering = ("-created_at",)
    actions_detail = ("share",)

    @column(_("status"), labels=_LABELS, ordering="status")
    def shown_status(self, row: PlatformKey) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @column(_("public key"))
    def shown_public_key(self, row: PlatformKey) -> str:
        return preformatted(row.public_key_pem)

    @column(_("history"))
    def shown_history(self, row: PlatformKey) -> str:
        return history_of(row)

    @action(description=_("Share of notifications"), url_path="share", permissions=["share"], icon="percent")  # type: ignore[untyped-decorator]
    def share(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def act(row: PlatformKey, data: dict[str, Any]) -> str:
            keys.share_notifications(
                share=data["share"], algorithm=Algorithm(row.algorithm), serial_no=row.pk, by=operator(request),
                now=timezone.now(),
            )  # fmt: skip
            return gettext("%(share)d %% of the notifications are signed by this key.") % data

        text = _("Before all notifications change to this key, let a part of them do so, and see who cannot verify it.")
        page = Deed(title=_("Share of notifications"), text=text, button=_("Set"), form_class=ShareForm, act=act)
        return perform(self, request, object_id, deed=page)

    def has_share_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        published = PlatformKey.objects.filter(
            pk=object_id, status=PlatformKeyStatus.PUBLISHED, purpose=Purpose.SIGN.value
        )
        return self.may(request, "share_platformkey") and published.exists()

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlatformKey]:
        queryset: QuerySet[PlatformKey] = super().get_queryset(request)
        return queryset.defer("private_key_sealed")
