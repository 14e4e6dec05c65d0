"""Who may enter the console. Only a superuser changes anything here; superusers are made on the command line."""

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from payments.console import cells
from payments.console.base import ReadOnlyAdmin
from payments.console.filters import MomentFilter

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class OperatorAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg, misc]
    """A person gets in by `staff`, and may do what the roles allow: single permissions and superusers are not given."""

    form, add_form, change_password_form = UserChangeForm, UserCreationForm, AdminPasswordChangeForm
    list_display = ["username", "first_name", "last_name", "is_active", "is_staff", "is_superuser", "last_login"]
    list_filter = []
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (_("Person"), {"fields": ["first_name", "last_name", "email"]}),
        (_("Access"), {"fields": ["is_active", "is_staff", "groups", "last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Not by a permission: whoever may change operators could make themselves one with more rights."""
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """The log names its operators for ever: make one inactive instead."""
        return False


def permissions(role: Group) -> str:
    """What the role allows beyond looking."""
    names = sorted(str(permission.name) for permission in role.permissions.exclude(codename__startswith="view_"))
    return cells.plain(", ".join(names))


permissions.short_description = _("allows, besides looking")  # type: ignore[attr-defined]


@admin.register(Group)
class RoleAdmin(ReadOnlyAdmin):
    """Roles are made by the program (payments.operations.roles), so that they mean the same everywhere."""

    list_display = [cells.own_number(title=_("no.")), "name"]
    ordering = ["name"]
    own_texts = ("name",)
    search_help_text = _("Name in full")
    order_path = app_path = ""
    fieldsets = [(None, {"fields": ["name", permissions]})]


@admin.register(LogEntry)
class ConsoleLogAdmin(ReadOnlyAdmin):
    """Who changed what by this console."""

    list_display = [
        cells.column("action_time", cells.moment, title=_("at")), "user", "content_type",
        cells.column("object_id", cells.number, title=_("number")), "object_repr",
        cells.column("get_change_message", lambda message: cells.plain(message()), title=_("what was done")),
    ]  # fmt: skip
    list_select_related = ["user", "content_type"]
    list_filter = [("action_time", MomentFilter)]
    ordering = ["-id"]
    own_texts = ("object_id", "user__username")
    search_help_text = _("Number or operator's name in full")
    order_path = app_path = ""
    fieldsets = [(None, {"fields": list_display})]
