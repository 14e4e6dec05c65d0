"""The merchant's door. Each view checks the shape, makes one domain call and translates its answer."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from openplatform.api import OpenApiView
from openplatform.models import App
from openplatform.scopes import Scope
from openplatform.serializers import NoFields
from payments import queries, waiting
from payments.api import documents
from payments.api.errors import ChannelRejected
from payments.api.prefer import a_place_to_wait, preferred_wait_s
from payments.api.presenters import present_order, present_refund
from payments.api.serializers import OrderSerializer, RefundSerializer
from payments.models import Order, Refund
from payments.operations import orders, refunds
from payments.states import OrderStatus, RefundStatus


class MerchantView(OpenApiView):
    """A view of payments: it knows the app that signed the request."""

    @property
    def app(self) -> App:
        return queries.calling_app(app_id=self.caller.app_id)


class OrdersView(MerchantView):
    """Create an order."""

    scopes = {"POST": Scope.PAYMENTS_WRITE}
    limit_route = "orders.create"

    @documents.create_order
    def post(self, request: Request) -> Response:
        now = timezone.now()
        serializer = OrderSerializer(data=request.data, context={"now": now, "app_id": self.caller.app_id})
        serializer.is_valid(raise_exception=True)
        order, created = orders.create_order(app=self.app, wish=serializer.wish(), now=now)
        order = _wait_for_order(request, order, in_states=waiting.ORDER_IN_FLIGHT)
        if order.status == OrderStatus.FAILED:
            raise ChannelRejected(order=present_order(order, now=timezone.now()))
        in_flight = order.status in {OrderStatus.SUBMITTING, OrderStatus.UNKNOWN}
        return _answer(present_order(order, now=timezone.now()), created=created, in_flight=in_flight)


class OrderView(MerchantView):
    """One order, by our number."""

    scopes = {"GET": Scope.QUERIES_READ}

    @documents.get_order
    def get(self, request: Request, order_no: int) -> Response:
        return Response(present_order(queries.own_order(app=self.app, order_no=order_no), now=timezone.now()))


class OrderByOutTradeNoView(MerchantView):
    """One order, by the merchant's number."""

    scopes = {"GET": Scope.QUERIES_READ}

    @documents.get_order_by_out_trade_no
    def get(self, request: Request, out_trade_no: str) -> Response:
        order = queries.own_order_by_out_trade_no(app=self.app, out_trade_no=out_trade_no)
        return Response(present_order(order, now=timezone.now()))


class CloseOrderView(MerchantView):
    """Close an order: upstream first, confirmed by a query."""

    scopes = {"POST": Scope.PAYMENTS_WRITE}

    @documents.close_order
    def post(self, request: Request, order_no: int) -> Response:
        NoFields(data=request.data).is_valid(raise_exception=True)
        order = orders.close_order(app=self.app, order_no=order_no, now=timezone.now())
        order = _wait_for_order(request, order, in_states=waiting.ORDER_ENDING)
        in_flight = order.status == OrderStatus.CLOSING
        return _answer(present_order(order, now=timezone.now()), created=False, in_flight=in_flight)


class RefundsView(MerchantView):
    """Ask for a refund."""

    scopes = {"POST": Scope.REFUNDS_WRITE}
    limit_route = "refunds.create"

    @documents.create_refund
    def post(self, request: Request) -> Response:
        now = timezone.now()
        serializer = RefundSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        app = self.app
        order_no = queries.order_no_of(app=app, **serializer.named_order())
        wish = serializer.wish(order_no=order_no)
        refund, created = refunds.create_refund(app=app, order_no=order_no, wish=wish, now=now)
        refund = _wait_for_refund(request, refund)
        in_flight = refund.status in {RefundStatus.SUBMITTING, RefundStatus.UNKNOWN}
        return _answer(present_refund(refund), created=created, in_flight=in_flight)


class RefundView(MerchantView):
    """One refund, by our number."""

    scopes = {"GET": Scope.QUERIES_READ}

    @documents.get_refund
    def get(self, request: Request, refund_no: int) -> Response:
        return Response(present_refund(queries.own_refund(app=self.app, refund_no=refund_no)))


class RefundByOutRefundNoView(MerchantView):
    """One refund, by the merchant's number."""

    scopes = {"GET": Scope.QUERIES_READ}

    @documents.get_refund_by_out_refund_no
    def get(self, request: Request, out_refund_no: str) -> Response:
        return Response(present_refund(queries.own_refund_by_out_refund_no(app=self.app, out_refund_no=out_refund_no)))


def _wait_for_order(request: Request, order: Order, *, in_states: frozenset[OrderStatus]) -> Order:
    """What has become of the order while the caller was willing to wait."""
    with a_place_to_wait(preferred_wait_s(request.headers.get("Prefer", ""))) as wait_s:
        return waiting.wait_for_order(order, in_states=in_states, wait_s=wait_s)


def _wait_for_refund(request: Request, refund: Refund) -> Refund:
    with a_place_to_wait(preferred_wait_s(request.headers.get("Prefer", ""))) as wait_s:
        return waiting.wait_for_refund(refund, in_states=waiting.REFUND_IN_FLIGHT, wait_s=wait_s)


def _answer(data: dict[str, Any], *, created: bool, in_flight: bool) -> Response:
    """202 while the outcome is not known, 201 for what is new, 200 for what was there."""
    return Response(data, status=202 if in_flight else 201 if created else 200)
