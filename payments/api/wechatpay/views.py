"""WeChat Pay's door. Each view checks the shape, makes one domain call and says its answer in their words."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from openplatform import apiv3
from openplatform.api.checks import WECHATPAY_DIALECT, Dialect
from openplatform.scopes import ANY_KEY, Scope
from payments import queries, waiting
from payments.api.prefer import a_place_to_wait
from payments.api.views import MerchantView
from payments.api.wechatpay.errors import Refused, exception_handler
from payments.api.wechatpay.presenters import present_prepay
from payments.api.wechatpay.serializers import (
    CloseSerializer,
    JsapiSerializer,
    NativeSerializer,
    OrderSerializer,
    RefundSerializer,
)
from payments.models import Order
from payments.operations import orders, refunds, wechatpay_shapes
from payments.states import ORDER_PAID, ORDER_UNPAID, OrderStatus, RefundStatus

CHANNEL = "wechatpay"
_NOT_HEARD_YET = frozenset({RefundStatus.SUBMITTING, RefundStatus.UNKNOWN})


class FaceView(MerchantView):
    """A view at one of WeChat Pay's addresses: their scheme name alone, their errors, and mchid is the app's id."""

    dialect: ClassVar[Dialect] = WECHATPAY_DIALECT
    refusals: ClassVar[Mapping[str, tuple[str, str]]] = {"NOT_FOUND": ("ORDER_NOT_EXIST", "")}

    def get_exception_handler(self) -> Callable[..., Response]:
        return exception_handler

    @property
    def mchid(self) -> str:
        return str(self.caller.app_id)

    def check_query_mchid(self, request: Request) -> None:
        told = request.query_params.get("mchid", "")
        if told != self.mchid:
            issue = "is not the mchid of the Authorization header" if told else "is required"
            raise Refused("PARAM_ERROR", detail={"location": "uri_template", "field": "/mchid", "issue": issue})

    def own_order(self, **named: str) -> Order:
        """The app's own order at this channel, by either number. Raises NotFound."""
        return queries.own_order_at_channel(app=self.app, channel=CHANNEL, **named)


class _CreateView(FaceView):
    scopes = {"POST": Scope.PAYMENTS_WRITE}
    limit_route = "orders.create"
    serializer: ClassVar[type[OrderSerializer]]

    def post(self, request: Request) -> Response:
        now = timezone.now()
        serializer = self.serializer(data=request.data, context={"now": now, "mchid": self.mchid})
        serializer.is_valid(raise_exception=True)
        order, _created = orders.create_order(app=self.app, wish=serializer.wish(), now=now)
        with a_place_to_wait(settings.CREATE_WAIT_S) as wait_s:
            order = waiting.wait_for_order(order, in_states=waiting.ORDER_IN_FLIGHT, wait_s=wait_s)
        return Response(present_prepay(order, now=timezone.now()))


class JsapiView(_CreateView):
    serializer = JsapiSerializer


class NativeView(_CreateView):
    serializer = NativeSerializer


class OrderByTransactionIdView(FaceView):
    scopes = {"GET": Scope.QUERIES_READ}
    query_names = frozenset({"mchid"})

    def get(self, request: Request, transaction_id: str) -> Response:
        self.check_query_mchid(request)
        return Response(wechatpay_shapes.trade(self.own_order(channel_trade_no=transaction_id)))


class OrderByOutTradeNoView(FaceView):
    scopes = {"GET": Scope.QUERIES_READ}
    query_names = frozenset({"mchid"})

    def get(self, request: Request, out_trade_no: str) -> Response:
        self.check_query_mchid(request)
        return Response(wechatpay_shapes.trade(self.own_order(out_trade_no=out_trade_no)))


class CloseView(FaceView):
    """204 when nobody can pay it any more: closed upstream and confirmed, or never accepted there."""

    scopes = {"POST": Scope.PAYMENTS_WRITE}
    refusals = {**FaceView.refusals, "INVALID_STATE": ("ORDER_PAID", "")}

    def post(self, request: Request, out_trade_no: str) -> Response:
        CloseSerializer(data=request.data, context={"mchid": self.mchid}).is_valid(raise_exception=True)
        order = self.own_order(out_trade_no=out_trade_no)
        if queries.decided_status(order) in ORDER_UNPAID:
            return Response(status=204)
        status = queries.decided_status(self._closed(order))
        if status in ORDER_PAID:
            raise Refused("ORDER_PAID")
        if status is OrderStatus.CLOSING:
            raise Refused("SYSTEM_ERROR")
        return Response(status=204)

    def _closed(self, order: Order) -> Order:
        order = orders.close_order(app=self.app, order_no=order.pk, now=timezone.now())
        with a_place_to_wait(settings.CREATE_WAIT_S) as wait_s:
            return waiting.wait_for_order(order, in_states=waiting.ORDER_ENDING, wait_s=wait_s)


class RefundsView(FaceView):
    scopes = {"POST": Scope.REFUNDS_WRITE}
    limit_route = "refunds.create"
    refusals = {
        "NOT_FOUND": ("RESOURCE_NOT_EXISTS", "订单不存在"),
        "INVALID_STATE": ("INVALID_REQUEST", "订单未支付，不能发起退款"),
    }

    def post(self, request: Request) -> Response:
        serializer = RefundSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        order_no = self.own_order(**serializer.named_order()).pk
        wish = serializer.wish(order_no=order_no)
        refund, _created = refunds.create_refund(app=self.app, order_no=order_no, wish=wish, now=timezone.now())
        with a_place_to_wait(settings.CREATE_WAIT_S) as wait_s:
            refund = waiting.wait_for_refund(refund, in_states=waiting.REFUND_IN_FLIGHT, wait_s=wait_s)
        if RefundStatus(refund.status) in _NOT_HEARD_YET:
            raise Refused("SYSTEM_ERROR")
        return Response(wechatpay_shapes.refund(refund))


class RefundView(FaceView):
    scopes = {"GET": Scope.QUERIES_READ}
    refusals = {"NOT_FOUND": ("RESOURCE_NOT_EXISTS", "退款单不存在")}

    def get(self, _request: Request, out_refund_no: str) -> Response:
        refund = queries.own_refund_by_out_refund_no(app=self.app, out_refund_no=out_refund_no)
        return Response(wechatpay_shapes.refund(refund))


class CertificatesView(FaceView):
    """Our certificates, for clients that verify by certificates, encrypted under the app's APIv3 key."""

    scopes = {"GET": ANY_KEY}

    def get(self, _request: Request) -> Response:
        data: list[dict[str, Any]] = apiv3.certificates(self.app, now=timezone.now())
        if not data:
            raise Refused("RESOURCE_NOT_EXISTS", "无可用的平台证书，请使用平台公钥")
        return Response({"data": data})
