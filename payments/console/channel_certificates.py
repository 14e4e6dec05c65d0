"""The channels' certificates as they were fetched. They are public; what counts is judged when one is used."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from payments.console import cells, columns
from payments.console.base import ReadOnlyAdmin
from payments.models import ChannelCertificate

SERIAL = cells.column("serial", cells.number, title=_("serial no."))
FROM = cells.column("not_before", cells.moment, title=_("valid from"))
UNTIL = cells.column("not_after", cells.moment, title=_("valid until"))
FETCHED = cells.column("fetched_at", cells.moment, title=_("fetched at"))
NUMBER = cells.own_number(title=_("channel certificate"))


@admin.register(ChannelCertificate)
class ChannelCertificateAdmin(ReadOnlyAdmin):
    list_display = [NUMBER, columns.ACCOUNT, UNTIL, SERIAL, FROM, FETCHED]
    ordering = ["-id"]
    own_numbers = ("pk", "account")
    own_texts = ("serial",)
    order_path = app_path = ""
    search_help_text = _("Account's number or serial number, in full")
    fieldsets = [
        (None, {"fields": [
            (NUMBER, columns.ACCOUNT), SERIAL, (FROM, UNTIL), FETCHED,
            cells.column("pem", cells.code_block, title=_("certificate")),
        ]}),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("account").defer("account__secrets_sealed")
