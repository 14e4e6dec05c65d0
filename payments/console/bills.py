"""Bills of the channels: what is waited for, the files as they came, and their rows."""

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from payments.console import cells, columns, words
from payments.console.base import ReadOnlyAdmin
from payments.console.confirm import Question, confirm
from payments.console.filters import ChannelFilter, DayFilter, status_filter, words_filter
from payments.models import Bill, BillFile, BillFlowRow, BillRow, BillUnreadableRow
from payments.operations.bills import ask_for_bill
from payments.states import BillKind, BillStatus, RowKind

SHOWN_MAX = 200  # findings and unreadable rows on a page
KIND = cells.column("kind", lambda kind: cells.plain(words.bill_kind_word(kind)), title=_("kind"))
DAY = cells.column("bill_date", cells.day, title=_("day"))
SETTLED = cells.column("settled_at", cells.moment, title=_("settled at"))
NUMBER = cells.own_number(title=_("bill"))
AMOUNT = cells.column("amount_fen", cells.yuan, title=_("amount (yuan)"))
AT = cells.column("at", cells.moment, title=_("at"))
LINE = cells.column("line_no", cells.plain, title=_("line"))
CHANNEL_TRADE_NO = cells.column("channel_trade_no", cells.number, title=_("channel's number"))
OF_FILE = cells.column("file.bill", lambda bill: cells.link(bill, _of_day(bill)), title=_("bill"))
SOUND = cells.column("is_sound", lambda value: _sound(value=value), title=_("adds up"))


class AccountChannelFilter(ChannelFilter):
    path = "account__channel"


def _of_day(bill: Bill) -> str:
    return f"{bill.bill_date.isoformat()} {words.bill_kind_word(bill.kind)}"


def _sound(*, value: bool) -> str:
    return (
        cells.badge(gettext("adds up"), tone="good") if value else cells.badge(gettext("does not add up"), tone="bad")
    )


def rows_of(bill: Bill) -> str:
    return cells.plain(bill.newest_file.row_count if bill.newest_file else None)


rows_of.short_description = _("rows")  # type: ignore[attr-defined]


def files_of(bill: Bill) -> str:
    """All files that came, the newest first."""
    head = (_("version"), _("fetched at"), _("rows"), _("size"), "", _("digest"))
    return cells.table(
        head,
        [
            (
                cells.link(file, f"v{file.version_no}"), cells.moment(file.fetched_at), file.row_count,
                cells.byte_size(file.byte_size), _sound(value=file.is_sound), cells.number(file.digest[:16]),
            )
            for file in bill.files.order_by("-version_no")
        ],
    )  # fmt: skip


files_of.short_description = _("files")  # type: ignore[attr-defined]


@admin.register(Bill)
class BillAdmin(ReadOnlyAdmin):
    list_display = [
        NUMBER, DAY, columns.ACCOUNT, KIND, columns.STATUS, rows_of, SETTLED, columns.NEXT_CHECK, columns.LAST_ANSWER,
    ]  # fmt: skip
    list_filter = [
        status_filter(BillStatus), words_filter(BillKind, words.bill_kind_word), AccountChannelFilter,
        ("bill_date", DayFilter),
    ]  # fmt: skip
    list_select_related = ["account", "newest_file"]
    ordering = ["-bill_date", "-id"]
    own_numbers = ("pk", "account")
    order_path = app_path = ""
    search_help_text = _("Bill's or channel account's number in full")
    actions_detail = ["fetch"]
    fieldsets = [
        (None, {"fields": [
            (NUMBER, columns.STATUS), (DAY, KIND), (columns.ACCOUNT, SETTLED), files_of,
        ]}),
        (_("Asking the channel"), {"fields": [
            (columns.NEXT_CHECK, columns.LAST_ANSWER), (columns.ASKED, columns.CREATED),
        ]}),
    ]  # fmt: skip

    def has_fetch_permission(self, request: HttpRequest, object_id: object = None) -> bool:  # noqa: ARG002
        return bool(request.user.has_perm("payments.fetch_bill"))

    @action(  # type: ignore[untyped-decorator]
        description=_("Fetch again"), url_path="fetch", permissions=["fetch"], icon="sync"
    )
    def fetch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have a worker ask the channel for it now."""
        return confirm(self, request, object_id, question=_fetch_question, act=_fetch)


def _fetch_question(_bill: Bill) -> Question:
    return Question(
        title=gettext("Fetch this bill again?"),
        text=gettext(
            "The channel is asked for it now. If the file says something else than the one that is here, both are kept"
            " and an alarm is raised."
        ),
        button=gettext("Fetch again"),
        answer="fetch",
    )


def _fetch(bill: Bill) -> str:
    ask_for_bill(bill_id=bill.pk, now=timezone.now())
    return gettext("The bill is fetched within seconds.")


def sums(file: BillFile) -> str:
    """What the file states about itself beside what its rows add up to."""
    rows = []
    for name, counted in sorted(file.counted.items(), key=lambda pair: list(words.BILL_SUMS).index(pair[0])):
        stated = file.told.get(name)
        differs = stated is not None and stated != counted
        badge = cells.badge(gettext("differs"), tone="bad") if differs else ""
        rows.append((words.BILL_SUMS[name], _sum(name, stated), _sum(name, counted), badge))
    return cells.table((_("what"), _("stated"), _("counted"), ""), rows)


sums.short_description = _("sums (yuan)")  # type: ignore[attr-defined]


def _sum(name: str, value: int | None) -> str:
    if value is None:
        return ""
    if name.endswith("_fen"):
        return cells.yuan(value)
    return cells.fee(value) if name.endswith("_millifen") else cells.plain(value)


def findings(file: BillFile) -> str:
    """What our books say otherwise."""
    found = file.findings.order_by("pk")[:SHOWN_MAX]
    return cells.table(
        (_("kind"), _("payment no."), _("ours (yuan)"), _("in the bill (yuan)")),
        [
            (
                one.get_kind_display(), columns.PAYMENT(one), cells.yuan(one.ours_fen), cells.yuan(one.told_fen)
            )
            for one in found
        ],
    )  # fmt: skip


findings.short_description = _("not as in our books")  # type: ignore[attr-defined]


def unreadable(file: BillFile) -> str:
    rows = BillUnreadableRow.objects.filter(file=file).order_by("line_no")[:SHOWN_MAX]
    return cells.table(
        (_("line"), _("reason"), _("line as it stands")), [(row.line_no, row.reason, row.text) for row in rows]
    )


unreadable.short_description = _("rows that cannot be read")  # type: ignore[attr-defined]


def rows_link(file: BillFile) -> str:
    """The list of its rows."""
    name = "billrow" if file.bill.kind == BillKind.TRADE else "billflowrow"
    url = reverse(f"admin:payments_{name}_changelist")
    return format_html('<a class="fen-link" href="{}?file={}">{}</a>', url, file.pk, file.row_count)


rows_link.short_description = _("rows")  # type: ignore[attr-defined]


@admin.register(BillFile)
class BillFileAdmin(ReadOnlyAdmin):
    """A file is found by its bill; the list is only where its page hangs."""

    list_display = [
        cells.own_number(title=_("bill file")),
        cells.column("bill", lambda bill: cells.link(bill, _of_day(bill)), title=_("bill")),
        cells.column("version_no", cells.plain, title=_("version")), SOUND,
        cells.column("fetched_at", cells.moment, title=_("fetched at")),
    ]  # fmt: skip
    list_select_related = ["bill"]
    ordering = ["-id"]
    own_numbers = ("pk", "bill")
    order_path = app_path = ""
    search_help_text = _("Number of the file or of its bill, in full")
    actions_detail = ["download"]
    fieldsets = [
        (None, {"fields": [
            (list_display[1], list_display[2]), (SOUND, rows_link),
            (list_display[4], cells.column("byte_size", cells.byte_size, title=_("size"))),
            (cells.column("digest", cells.number, title=_("digest")),
             cells.column("told_hash", cells.number, title=_("hash as the channel says"))),
            sums, findings, unreadable,
        ]}),
    ]  # fmt: skip

    def has_download_permission(self, request: HttpRequest, object_id: object = None) -> bool:  # noqa: ARG002
        """It lists all payers of a day: looking at rows is one thing, taking the file away another."""
        return bool(request.user.has_perm("payments.download_bill"))

    @action(  # type: ignore[untyped-decorator]
        description=_("Download"), url_path="download", permissions=["download"], icon="download"
    )
    def download(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The file as it came, part by part; who took it is kept in the console's log."""
        file = self.get_object(request, object_id)
        if file is None:
            raise Http404(gettext("There is no such row."))
        self.log_change(request, file, "downloaded")
        bill = file.bill
        name = f"{bill.account.channel}_{bill.account_id}_{bill.kind}_{bill.bill_date}_v{file.version_no}.{file.suffix}"
        response = StreamingHttpResponse(file.content(), content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["Content-Length"] = str(file.byte_size)
        return response


class RowsAdmin(ReadOnlyAdmin):
    """Rows of files. All of one file come by their lines, others by when they came: both ways have an index."""

    list_select_related = ["file__bill"]
    order_path = app_path = ""
    search_help_text = _("Payment, refund or channel's number in full")

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["line_no"] if "file" in request.GET else ["-id"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("file__bill")


def _ours_or(noun: str, foreign: str) -> cells.Cell:
    """A number that can be one of ours, linked to its page; or somebody else's, as it is written."""
    reference = cells.reference(noun)

    def cell(row: BillRow) -> str:
        ours, theirs = getattr(row, f"{noun}_no"), getattr(row, foreign)
        return reference(ours) if ours is not None else cells.plain(theirs)

    cell.__name__ = f"{noun}_number"
    return cell


PAYMENT_NO, REFUND_NO = _ours_or("payment", "foreign_no"), _ours_or("refund", "foreign_refund_no")
PAYMENT_NO.short_description = _("payment no.")  # type: ignore[attr-defined]
REFUND_NO.short_description = _("refund no.")  # type: ignore[attr-defined]
ROW_KIND = cells.column("kind", lambda kind: cells.plain(words.row_kind_word(kind)), title=_("kind"))
STATE = cells.column("state", cells.status, title=_("state"))
FEE = cells.column("fee_millifen", cells.fee, title=_("fee (yuan)"))


@admin.register(BillRow)
class BillRowAdmin(RowsAdmin):
    list_display = [
        cells.own_number(title=_("bill row")), OF_FILE, LINE, ROW_KIND, PAYMENT_NO, REFUND_NO, AMOUNT, FEE, STATE, AT,
    ]  # fmt: skip
    list_filter = [words_filter(RowKind, words.row_kind_word)]
    own_numbers = ("payment_no", "refund_no")
    own_texts = ("channel_trade_no",)
    fieldsets = [
        (None, {"fields": [
            (OF_FILE, LINE), (ROW_KIND, STATE), (PAYMENT_NO, CHANNEL_TRADE_NO),
            (REFUND_NO, cells.column("channel_refund_no", cells.number, title=_("channel's refund no."))),
            (AMOUNT, cells.column("settled_fen", cells.yuan, title=_("of it the merchant's (yuan)"))), (FEE, AT),
        ]}),
    ]  # fmt: skip


@admin.register(BillFlowRow)
class BillFlowRowAdmin(RowsAdmin):
    list_display = [
        cells.own_number(title=_("fund flow row")), OF_FILE, LINE,
        cells.column("what", cells.plain, title=_("what for")), AMOUNT,
        cells.column("balance_fen", cells.yuan, title=_("balance (yuan)")), CHANNEL_TRADE_NO, AT,
    ]  # fmt: skip
    own_texts = ("channel_trade_no",)
    search_help_text = _("Channel's number in full")
    fieldsets = [
        (None, {"fields": [
            (OF_FILE, LINE), (list_display[3], AMOUNT), (list_display[5], AT),
            (cells.column("flow_no", cells.number, title=_("movement")), CHANNEL_TRADE_NO),
            cells.column("voucher_no", cells.number, title=_("merchant's number")),
        ]}),
    ]  # fmt: skip
