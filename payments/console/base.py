"""The console shows; it does not edit. Every page of money builds on the class here."""

from functools import cached_property
from typing import Any, ClassVar

from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.paginator import Paginator
from unfold.views import ChangeList

from payments.console import search

ROWS_COUNTED_MAX = 10_000


class AtLeast(int):
    """A count that was given up: there are this many, and more."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class CappedPaginator(Paginator):  # type: ignore[misc]
    """Counts no further than anybody turns pages: an exact count of a large table costs more than the page itself."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list[: ROWS_COUNTED_MAX + 1].count()
        return AtLeast(ROWS_COUNTED_MAX) if rows > ROWS_COUNTED_MAX else rows


class PlainList(ChangeList):  # type: ignore[misc]
    """A list without the second count that only says how many rows there were without filters."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Lists, searches and shows. Nobody adds, changes or deletes a row here, whatever their permissions."""

    actions = None
    list_display_links = None  # the number's own cell is the link: it holds a button too
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    show_facets = ShowFacets.NEVER  # a count for each choice is a scan for each choice
    list_per_page = 50
    show_full_result_count = False
    paginator = CappedPaginator
    # Fields that hold a row's own numbers. What was typed is looked for there first, and else by the order it names.
    own_numbers: ClassVar[tuple[str, ...]] = ()
    own_texts: ClassVar[tuple[str, ...]] = ()
    order_path: ClassVar[str] = "order"
    app_path: ClassVar[str] = "order__app"
    search_help_text = _("Any number in full: order, payment, refund, merchant's, channel's, app id")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:  # noqa: ARG002
        """Every field of the page: there is nothing else than reading."""
        return list(flatten_fieldsets(self.fieldsets))

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        """Refused before the row is looked for: an unknown number must not answer otherwise than a known one."""
        raise PermissionDenied

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PlainList]:  # noqa: ARG002
        return PlainList

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:  # noqa: ARG002
        """Only so that the box is there; `get_search_results` decides."""
        return (*self.own_numbers, *self.own_texts, "pk")

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        """Rows whose own number was typed; failing that, all rows of the orders or of the app that it names."""
        told = search.Told.read(search_term)
        if not told.text:
            return queryset, False
        own = queryset.filter(told.matches(numbers=self.own_numbers, texts=self.own_texts))
        if own.exists():
            return own, False
        named = Q(**{f"{self.order_path}__in": search.orders_about(told)}) if self.order_path else Q(pk__in=[])
        if self.app_path and (app_id := search.app_id_of(told)) is not None:
            named |= Q(**{self.app_path: app_id})
        return queryset.filter(named), False
