"""Filters of the lists: states by their words, moments in the console's time zone, and amounts in yuan."""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin import FieldListFilter
from django.db.models import QuerySet, TextChoices
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import CheckboxFilter
from unfold.widgets import INPUT_CLASSES

from payments.channels.registry import CHANNELS
from payments.console import words
from payments.money import AmountError, fen_from_literal

YEARS = range(2000, 2100)  # of which there can be rows, and which every time zone can be added to
AMOUNT_MAX_FEN = 10**15  # far above any order; only keeps the number inside the column


class WordsFilter(CheckboxFilter):  # type: ignore[misc]
    """Any of some words of one column. Words that the column does not know find nothing and break nothing."""

    known: ClassVar[tuple[str, ...]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        return [(value, self.word(value)) for value in self.known]

    def word(self, value: str) -> words.Word:
        return words.status_word(value)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        chosen = self.value()
        return queryset.filter(**{f"{self.parameter_name}__in": chosen}) if chosen else queryset


def status_filter(statuses: type[StrEnum] | list[str]) -> type[WordsFilter]:
    """A filter on `status`, by the words of an enumeration."""

    class StatusFilter(WordsFilter):
        title = gettext_lazy("status")
        parameter_name = "status"
        known = tuple(str(status) for status in statuses)

    return StatusFilter


def words_filter(
    known: type[StrEnum], word: Callable[[str], words.Word], *, field: str = "kind", title: Any = None
) -> type[WordsFilter]:
    """A filter on `field` by the members of an enumeration, each shown by `word`."""

    class EnumFilter(WordsFilter):
        def word(self, value: str) -> words.Word:
            return word(value)

    EnumFilter.title, EnumFilter.parameter_name = title or gettext_lazy("kind"), field
    EnumFilter.known = tuple(str(member) for member in known)
    return EnumFilter


def choices_filter(choices: type[TextChoices], *, field: str = "kind", title: Any = None) -> type[WordsFilter]:
    """A filter on `field`, by the labels of its choices."""

    class ChoicesFilter(WordsFilter):
        known = tuple(choices.values)

        def word(self, value: str) -> words.Word:
            return choices(value).label

    ChoicesFilter.title = title or gettext_lazy("kind")
    ChoicesFilter.parameter_name = field
    return ChoicesFilter


class ChannelFilter(WordsFilter):
    """A filter on `channel`: those that the registry knows, without asking a large table which ones occur in it."""

    title = gettext_lazy("channel")
    parameter_name = "channel"
    known = tuple(CHANNELS)
    path: ClassVar[str] = "channel"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        chosen = self.value()
        return queryset.filter(**{f"{self.path}__in": chosen}) if chosen else queryset

    def word(self, value: str) -> words.Word:
        return words.channel_word(value)


class RangeFilter(FieldListFilter):
    """From and to, both inclusive. What cannot be read finds nothing, and says why."""

    template = "unfold/filters/filters_date_range.html"
    widget: ClassVar[type[forms.Widget]] = forms.TextInput
    input_attributes: ClassVar[dict[str, str]] = {}

    def expected_parameters(self) -> list[str | None]:
        return [f"{self.field_path}_from", f"{self.field_path}_to"]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for end, lookup in (("from", "gte"), ("to", "lte")):
            text = self._typed(f"{self.field_path}_{end}")
            if not text:
                continue
            try:
                queryset = queryset.filter(**{f"{self.field_path}__{lookup}": self.read(text, is_last=end == "to")})
            except ValueError as error:
                messages.error(request, str(error))
                return queryset.none()
        return queryset

    def _typed(self, name: str) -> str:
        values: Any = self.used_parameters.get(name) or [""]
        return str(values[-1]).strip()

    def read(self, text: str, *, is_last: bool) -> object:
        """What was typed, as the column has it. Raises ValueError with a text for the operator."""
        raise NotImplementedError  # each filter's own class says how

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:  # type: ignore[override] # noqa: ARG002
        names = [str(name) for name in self.expected_parameters()]
        form = forms.Form(data={name: self._typed(name) for name in names})
        for name, hint in zip(names, (_("From"), _("To")), strict=True):
            attributes = {"placeholder": hint, "aria-label": hint, "title": hint, "class": " ".join(INPUT_CLASSES)}
            form.fields[name] = forms.CharField(
                label=hint, required=False, widget=self.widget(attrs=attributes | self.input_attributes)
            )
        yield {"form": form}


class MomentFilter(RangeFilter):
    """Between two seconds of the console's time zone; the last one counts to its end."""

    input_attributes = {"type": "datetime-local", "step": "1"}

    def read(self, text: str, *, is_last: bool) -> datetime:
        try:
            at = datetime.fromisoformat(text).replace(tzinfo=timezone.get_current_timezone())
        except ValueError:
            at = None
        if at is None or at.year not in YEARS:
            raise ValueError(_("“%(text)s” is not a time.") % {"text": text})
        return at.replace(microsecond=999_999) if is_last else at


class DayFilter(RangeFilter):
    """Between two days."""

    input_attributes = {"type": "date"}

    def read(self, text: str, *, is_last: bool) -> date:  # noqa: ARG002
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise ValueError(_("“%(text)s” is not a day.") % {"text": text}) from None


class YuanFilter(RangeFilter):
    """Between two amounts as a person writes them, 40.3; the text becomes fen without passing through a float."""

    input_attributes = {"inputmode": "decimal", "autocomplete": "off"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = gettext_lazy("amount (yuan)")  # the column's own name says fen

    def read(self, text: str, *, is_last: bool) -> int:  # noqa: ARG002
        try:
            return fen_from_literal(text, max_fen=AMOUNT_MAX_FEN)
        except AmountError:
            raise ValueError(_("“%(text)s” is not an amount in yuan, such as 40.30.") % {"text": text}) from None
