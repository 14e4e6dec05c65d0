"""State events: who moved where, when and because of what."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from payments.console import cells, columns, words
from payments.console.base import ReadOnlyAdmin
from payments.console.filters import MomentFilter, choices_filter
from payments.models import StateEvent

AT = cells.column("created_at", cells.moment, title=_("at"))
SUBJECT = cells.column("get_subject_display", lambda display: cells.plain(display()), title=_("object"))
EVENT = cells.column(
    "event", lambda event: cells.badge(words.event_word(event), tone="quiet", title=event), title=_("event")
)
FROM = cells.column("from_status", cells.status, title=_("from"))
TO = cells.column("to_status", cells.status, title=_("to"))
BECAUSE = cells.column("because", cells.plain, title=_("because"))
SEEN = cells.own_number(title=_("no."))


@admin.register(StateEvent)
class StateEventAdmin(ReadOnlyAdmin):
    list_display = [SEEN, AT, SUBJECT, columns.ORDER, EVENT, FROM, TO, BECAUSE]
    list_filter = [choices_filter(StateEvent.Subject, field="subject", title=_("object")), ("created_at", MomentFilter)]
    ordering = ["-id"]
    fieldsets = [
        (None, {"fields": [
            (AT, SUBJECT), (columns.ORDER, EVENT), (columns.PAYMENT, columns.REFUND), (FROM, TO), BECAUSE,
            columns.TRACE,
        ]}),
    ]  # fmt: skip
