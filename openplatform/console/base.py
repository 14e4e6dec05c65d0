"""What all pages of this console share."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.db import models
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.utils import display_for_label

F = TypeVar("F", bound=Callable[..., Any])
Text = str | Promise


class RecordAdmin(ModelAdmin):  # type: ignore[misc]
    """Shows rows. A subclass may allow adding through a factory; changing goes through actions alone."""

    list_per_page = 50
    show_full_result_count = False
    compressed_fields = True
    add_fields: tuple[str, ...] = ()

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(self.add_fields) and super().has_add_permission(request)

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        if obj is None and self.add_fields:
            return ((None, {"fields": self.add_fields}),)
        return super().get_fieldsets(request, obj)

    def may(self, request: HttpRequest, codename: str) -> bool:
        """Whether the operator holds one of this app's own permissions."""
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")


def column(title: Text, *, labels: dict[str, str] | None = None, ordering: str | None = None) -> Callable[[F], F]:
    """A shown value; with `labels` (value to tone) it is a (value, text) pair and becomes a badge.

    The badge is made here, for the theme makes one in lists alone and shows the bare pair on the page of one row.
    """
    describe = display(description=title, ordering=ordering)

    def decorate(show: F) -> F:
        @wraps(show)
        def shown(*args: Any) -> Any:
            value = show(*args)
            return value if labels is None else display_for_label(value, "-", labels)

        described: F = describe(shown)
        return described

    return decorate


def deed(title: Text, *, permission: str) -> Callable[[F], F]:
    """An action on chosen rows, for those for whom `has_<permission>_permission` says yes."""
    decorate: Callable[[F], F] = action(description=title, permissions=[permission])
    return decorate


def readable_json(value: Any) -> str:
    """A JSON value as an indented block; escaped, for it holds what merchants wrote."""
    return format_html(
        '<pre style="white-space:pre-wrap;word-break:break-word">{}</pre>',
        json.dumps(value, ensure_ascii=False, indent=2),
    )


def preformatted(text: str) -> str:
    return format_html('<pre style="white-space:pre-wrap;word-break:break-all">{}</pre>', text)
