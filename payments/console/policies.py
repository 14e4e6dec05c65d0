"""What each merchant wants where the law of states leaves a choice."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from payments.console import cells
from payments.models import OrderPolicy
from payments.operations.policies import choose_policy


@admin.register(OrderPolicy)
class OrderPolicyAdmin(ModelAdmin):  # type: ignore[misc]
    """An app that is not here has the default: late money is kept, and told."""

    list_display = [
        cells.column("app", cells.plain, title=_("app")),
        cells.column(
            "get_late_payment_display", lambda display: display(), title=_("money that comes after the close")
        ),
    ]
    list_select_related = ["app__merchant"]
    autocomplete_fields = ["app"]
    fields = ["app", "late_payment"]

    def get_readonly_fields(self, request: HttpRequest, obj: OrderPolicy | None = None) -> list[str]:  # noqa: ARG002
        return ["app"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: OrderPolicy | None = None) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: OrderPolicy, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        choose_policy(app_id=obj.app_id, late_payment=obj.late_payment)
