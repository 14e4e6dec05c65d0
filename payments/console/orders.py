"""Orders: the list, and the page that tells the whole story of one."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from payments.console import cells, columns, search
from payments.console.answers import answers
from payments.console.base import ReadOnlyAdmin
from payments.console.filters import ChannelFilter, MomentFilter, YuanFilter, status_filter
from payments.console.order_file import read_order_file
from payments.console.timeline import timeline
from payments.models import Order
from payments.states import OrderStatus

OUT_TRADE_NO = cells.column("out_trade_no", cells.number, title=gettext_lazy("merchant's order no."))
REFUNDED = cells.column("refunded_fen", cells.yuan, title=gettext_lazy("refunded (yuan)"))
REFUNDED_IF_ANY = cells.column("refunded_fen", cells.yuan_if_any, title=gettext_lazy("refunded (yuan)"))
RESERVED = cells.column("refund_reserved_fen", cells.yuan, title=gettext_lazy("refunds under way (yuan)"))
CLOSED = cells.column("closed_at", cells.moment, title=gettext_lazy("closed at"))
EXPIRES = cells.column("expires_at", cells.moment, title=gettext_lazy("expires at"))


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    change_form_template = "console/order.html"
    list_display = [
        cells.own_number(title=gettext_lazy("order no.")), OUT_TRADE_NO, columns.APP_NAME, columns.AMOUNT,
        REFUNDED_IF_ANY, columns.STATUS, columns.CHANNEL, columns.CREATED_SORTED, columns.PAID,
    ]  # fmt: skip
    list_filter = [
        status_filter(OrderStatus), ChannelFilter, ("created_at", MomentFilter), ("amount_fen", YuanFilter),
    ]  # fmt: skip
    list_select_related = ["app"]
    ordering = ["-created_at"]
    own_numbers = ("pk",)
    own_texts = ("out_trade_no",)
    order_path = "pk"
    app_path = "app"
    fieldsets = [
        (gettext_lazy("Order"), {"fields": [
            (cells.own_number(title=gettext_lazy("order no.")), OUT_TRADE_NO),
            (columns.APP, cells.column("app.merchant", cells.link, title=gettext_lazy("merchant"))),
            (columns.AMOUNT, columns.STATUS), (REFUNDED, RESERVED),
            ("subject", cells.column("pay_code", cells.link, title=gettext_lazy("pay code"))),
            (columns.CHANNEL, columns.METHOD), (columns.CREATED, EXPIRES), (columns.PAID, CLOSED),
            (columns.FAILURE, columns.VERSION), (columns.TRACE, "currency"),
        ]}),
        (gettext_lazy("As the merchant sent it"), {"classes": ["collapse"], "fields": [
            columns.NOTIFY_URL, "return_url", cells.column("metadata", cells.document, title=gettext_lazy("metadata")),
        ]}),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("app__merchant", "pay_code")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        order: Order = kwargs["obj"]
        file = read_order_file(order)
        context |= {
            "file": file,
            "answers": answers(file, now=timezone.now()),
            "timeline": timeline(file),
            "title": _("Order %(number)s") % {"number": order.pk},
        }
        return super().render_change_form(request, context, **kwargs)  # type: ignore[no-any-return]

    def get_urls(self) -> list[URLPattern]:
        find = path("find/", self.admin_site.admin_view(self.find), name="payments_order_find")
        return [find, *super().get_urls()]

    def find(self, request: HttpRequest) -> HttpResponse:
        """From any number to the order that it belongs to: its page if there is one, else the list of what fits."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        told = search.Told.read(request.GET.get("number", ""))
        orders = search.orders_about(told) if told.text else []
        if not orders and told.number is not None and (order_no := search.order_of_number(told.number)) is not None:
            orders = [order_no]
        if len(orders) == 1:
            return redirect("admin:payments_order_change", orders[0])
        if told.text and not orders and search.app_id_of(told) is None:
            messages.warning(request, _("There is no order with the number “%(number)s”.") % {"number": told.text})
            return redirect("admin:index")
        return redirect(f"{reverse('admin:payments_order_changelist')}?{urlencode({'q': told.text})}")
