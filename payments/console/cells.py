"""What a cell of a list or a page looks like: money, numbers, times, states and links.

Money is formatted from integer fen as text; nothing here divides.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.db.models import Model
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _

from payments.channels.registry import CHANNELS
from payments.console import words
from payments.money import fee_text, yuan_text

NOTHING = "–"
Text = str | Promise
Cell = Callable[[Any], str]


def yuan(fen: int | None) -> str:
    """`4030` as "40.30", in a cell whose digits line up."""
    if fen is None:
        return NOTHING
    return format_html('<span class="fen-money">{}</span>', yuan_text(fen))


def fee(millifen: int) -> str:
    """In yuan, with the parts of a fen that a channel charges."""
    return format_html('<span class="fen-money">{}</span>', fee_text(millifen))


def yuan_if_any(fen: int) -> str:
    """A column that is mostly zero shows only what is not."""
    return yuan(fen or None)


def moment(at: datetime | None) -> str:
    """To the second, in the console's time zone, the same in every language."""
    if at is None:
        return NOTHING
    local = timezone.localtime(at)
    return format_html(
        '<time class="fen-time" datetime="{}">{}</time>', local.isoformat(), local.strftime("%Y-%m-%d %H:%M:%S")
    )


def number(value: object, *, url: str = "") -> str:
    """A number or an id, whole, with a button that copies it."""
    if value in (None, ""):
        return NOTHING
    text = format_html('<a class="fen-link" href="{}">{}</a>', url, value) if url else value
    return format_html(
        '<span class="fen-number"><code>{}</code><button type="button" class="fen-copy" data-copy="{}" title="{}"'
        ' aria-label="{}"><span class="material-symbols-outlined">content_copy</span></button></span>',
        text, value, _("Copy"), _("Copy"),
    )  # fmt: skip


def badge(text: Text, *, tone: str, title: str = "") -> str:
    return format_html('<span class="fen-badge fen-{}" title="{}">{}</span>', tone, title, text)


def status(value: str) -> str:
    """A status as a coloured badge; its code word is the tooltip."""
    return badge(words.status_word(value), tone=words.tone(value), title=value)


def channel(value: str) -> str:
    """Its name; of a model with a badge that says what that means."""
    if value not in CHANNELS or not CHANNELS[value].is_model:
        return format_html("{}", words.channel_word(value))
    why = _("Certified with no acquirer: it takes real money only with ALLOW_MODEL_CHANNELS")
    return format_html("{} {}", CHANNELS[value].label, badge(_("model"), tone="warn", title=why))


def yes_no(value: bool) -> str:  # noqa: FBT001 - a cell takes the value of a column
    return badge(_("yes"), tone="good") if value else badge(_("no"), tone="quiet")


def byte_size(value: int) -> str:
    return format_html("{}", filesizeformat(value))


def day(value: date) -> str:
    """The same in every language."""
    return format_html('<span class="fen-time">{}</span>', value.isoformat())


def plain(value: object) -> str:
    return NOTHING if value in (None, "") else format_html("{}", value)


def link(row: Model | None, text: Text | None = None) -> str:
    """A row's own page, where the console has one."""
    if row is None:
        return NOTHING
    url = page_of(row)
    shown = text if text is not None else str(row)
    return format_html('<a class="fen-link" href="{}">{}</a>', url, shown) if url else format_html("{}", shown)


def reference(name: str) -> Cell:
    """A cell for the number of another row, given as `name` of its page: no join is needed to show and to link it."""

    def cell(value: int | None) -> str:
        return NOTHING if value is None else number(value, url=reverse(f"admin:payments_{name}_change", args=[value]))

    return cell


def number_link(row: Model | None) -> str:
    """A row's number, linked to its page."""
    return NOTHING if row is None else number(row.pk, url=page_of(row))


def page_of(row: Model) -> str:
    """The address of a row's page, or "" where the console has none."""
    try:
        return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return ""


def trace_url(trace_id: str) -> str:
    """The address of the waterfall of a trace, or "" without one."""
    return f"/{settings.ADMIN_PATH}trace/{trace_id}/" if trace_id else ""


def trace(trace_id: str) -> str:
    return number(trace_id, url=trace_url(trace_id))


def code_block(text: str) -> str:
    return format_html('<pre class="fen-pre">{}</pre>', text) if text else NOTHING


def document(value: Any) -> str:
    """A JSON value, readable."""
    return code_block(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)) if value else NOTHING


def table(head: Sequence[Text], rows: Iterable[Sequence[object]]) -> str:
    """Rows of cells under their titles; nothing where there are none."""
    shown = [[NOTHING if value in (None, "") else value for value in row] for row in rows]
    return render_to_string("console/table.html", {"head": head, "rows": shown}) if shown else NOTHING


def column(path: str, show: Cell, *, title: Text, order_by: str | None = None) -> Cell:
    """A column or a read-only field that shows what is at `path` (dotted) of a row by `show`.

    It is sorted by `order_by` only where an index makes that cheap.
    """
    read = attrgetter(path)

    def cell(row: Any) -> str:
        return show(read(row))

    cell.__name__ = path.replace(".", "_")
    cell.short_description = title  # type: ignore[attr-defined]
    if order_by is not None:
        cell.admin_order_field = order_by  # type: ignore[attr-defined]
    return cell


def own_number(*, title: Text) -> Cell:
    """The column of a list that leads to the row's page, and holds its number."""

    def cell(row: Model) -> str:
        return number_link(row)

    cell.__name__ = "own_number"
    cell.short_description = title  # type: ignore[attr-defined]
    return cell
