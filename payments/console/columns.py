"""Columns that several lists and pages share."""

from django.utils.translation import gettext_lazy as _

from payments.console import cells
from payments.console.cells import column

ORDER = column("order_id", cells.reference("order"), title=_("order no."))
PAYMENT = column("payment_id", cells.reference("payment"), title=_("payment no."))
REFUND = column("refund_id", cells.reference("refund"), title=_("refund no."))
APP = column("app", cells.link, title=_("app"))
APP_NAME = column("app", lambda app: cells.link(app, app.name), title=_("app"))
ACCOUNT = column("account", cells.link, title=_("channel account"))
AMOUNT = column("amount_fen", cells.yuan, title=_("amount (yuan)"))
STATUS = column("status", cells.status, title=_("status"))
CHANNEL = column("channel", cells.channel, title=_("channel"))
METHOD = column("method", cells.plain, title=_("method"))
NOTIFY_URL = column("notify_url", cells.plain, title=_("notify URL"))
CREATED = column("created_at", cells.moment, title=_("created at"))
CREATED_SORTED = column("created_at", cells.moment, title=_("created at"), order_by="created_at")
PAID = column("paid_at", cells.moment, title=_("paid at"))
NEXT_CHECK = column("next_check_at", cells.moment, title=_("next check at"))
ASKED = column("asked_count", cells.plain, title=_("times asked"))
LAST_ANSWER = column("last_answer", cells.plain, title=_("last answer"))
FAILURE = column("failure_code", cells.plain, title=_("failure"))
VERSION = column("version", cells.plain, title=_("version"))
TRACE = column("trace_id", cells.trace, title=_("trace"))
