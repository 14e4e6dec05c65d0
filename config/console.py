"""What frames the console: its sidebar, the badge that says where one is, and the language switch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from openplatform.console.alarms import open_alarms_badge
from payments.console.dashboard import open_cases_badge


@dataclass(frozen=True)
class Item:
    """One line of the sidebar: the list of `model` ("app_label.modelname")."""

    model: str
    title: str | Promise
    icon: str
    badge: Callable[[HttpRequest], str] | None = None


GROUPS: list[tuple[str | Promise, list[Item]]] = [
    (gettext_lazy("Money"), [
        Item("payments.order", gettext_lazy("Orders"), "receipt_long"),
        Item("payments.payment", gettext_lazy("Payments"), "payments"),
        Item("payments.refund", gettext_lazy("Refunds"), "undo"),
        Item("payments.ledgerentry", gettext_lazy("Ledger"), "account_balance"),
        Item("payments.stateevent", gettext_lazy("State events"), "timeline"),
    ]),
    (gettext_lazy("Channels"), [
        Item("payments.channelaccount", gettext_lazy("Channel accounts"), "hub"),
        Item("payments.channelcertificate", gettext_lazy("Channel certificates"), "verified"),
        Item("payments.callback", gettext_lazy("Callbacks"), "call_received"),
        Item("payments.bill", gettext_lazy("Bills"), "request_quote"),
        Item("payments.billrow", gettext_lazy("Bill rows"), "table_rows"),
        Item("payments.case", gettext_lazy("Cases"), "report", open_cases_badge),
    ]),
    (gettext_lazy("Merchants"), [
        Item("openplatform.merchant", gettext_lazy("Merchants"), "storefront"),
        Item("openplatform.app", gettext_lazy("Apps"), "apps"),
        Item("openplatform.appkey", gettext_lazy("App keys"), "key"),
        Item("openplatform.platformkey", gettext_lazy("Platform keys"), "vpn_key"),
        Item("openplatform.keyevent", gettext_lazy("Key events"), "manage_history"),
        Item("openplatform.raterule", gettext_lazy("Rate rules"), "speed"),
        Item("payments.paycode", gettext_lazy("Pay codes"), "qr_code_2"),
        Item("payments.orderpolicy", gettext_lazy("Order policies"), "rule"),
    ]),
    (gettext_lazy("Access control"), [
        Item("openplatform.blockentry", gettext_lazy("Blacklist"), "block"),
        Item("openplatform.exemptaddress", gettext_lazy("Exempt addresses"), "verified_user"),
        Item("openplatform.appaddress", gettext_lazy("App addresses"), "location_on"),
        Item("openplatform.notifyhost", gettext_lazy("Notify hosts"), "dns"),
    ]),
    (gettext_lazy("Delivery"), [
        Item("openplatform.notification", gettext_lazy("Notifications"), "outgoing_mail"),
        Item("openplatform.notifyendpoint", gettext_lazy("Notify endpoints"), "lan"),
        Item("openplatform.alarm", gettext_lazy("Alarms"), "notification_important", open_alarms_badge),
    ]),
    (gettext_lazy("System"), [
        Item("auth.user", gettext_lazy("Operators"), "group"),
        Item("auth.group", gettext_lazy("Roles"), "badge"),
        Item("admin.logentry", gettext_lazy("Console log"), "history"),
        Item("idgen.workerlease", gettext_lazy("Worker ids"), "tag"),
    ]),
]  # fmt: skip


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, with only what this operator may see."""
    overview = {"title": _("Overview"), "icon": "monitoring", "link": reverse("admin:index")}
    first = [overview]
    if request.user.has_perms(["openplatform.view_alarm", "payments.view_payment"]):
        first.append({"title": _("Health"), "icon": "cardiology", "link": reverse("console_health")})
    groups: list[dict[str, Any]] = [{"items": first}]
    for title, items in GROUPS:
        shown = [_shown(request, item) for item in items if _may_see(request, item)]
        if shown:
            groups.append({"title": title, "items": shown, "separator": True})
    return groups


def environment(_request: HttpRequest) -> list[str]:
    """The badge at the top of every page: real money, or none."""
    return [_("Sandbox"), "warning"] if settings.CASHIER_SANDBOX else [_("Production"), "danger"]


def shared_context(request: HttpRequest) -> dict[str, Any]:
    """After switching the language one comes back to the same page: there is no referrer to tell which it was."""
    return {"redirect_to": request.get_full_path()}


def _shown(request: HttpRequest, item: Item) -> dict[str, Any]:
    link = reverse(f"admin:{item.model.replace('.', '_')}_changelist")
    shown = {"title": item.title, "icon": item.icon, "link": link}
    badge = item.badge(request) if item.badge else ""
    return shown | {"badge": badge, "badge_variant": "danger"} if badge else shown


def _may_see(request: HttpRequest, item: Item) -> bool:
    model = apps.get_model(item.model)
    allowed = request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
    return allowed and admin.site.is_registered(model)
