"""What OpenAPI says about each operation: shapes, examples, and the errors that are to be expected."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers

from openplatform.documents import problems
from payments.api.serializers import OrderSerializer, RefundSerializer
from payments.states import OrderStatus, RefundStatus

TAG_ORDERS, TAG_REFUNDS = ["orders"], ["refunds"]

_PREFER = OpenApiParameter(
    "Prefer", str, OpenApiParameter.HEADER,
    description="`wait=N` (seconds, at most 10) or `respond-async`. Without it we wait up to 3 seconds.",
)  # fmt: skip


def _text(**kwargs: Any) -> serializers.CharField:
    return serializers.CharField(**kwargs)


def _maybe(**kwargs: Any) -> serializers.CharField:
    return serializers.CharField(allow_null=True, **kwargs)


JSAPI_ANSWER = inline_serializer(
    "JsapiParameters",
    {name: _text() for name in ("appId", "timeStamp", "nonceStr", "package", "signType", "paySign")},
    allow_null=True,
    help_text="Hand it as it is to WeixinJSBridge.invoke('getBrandWCPayRequest', …). There while the order is PAYING.",
)

ORDER_ANSWER = inline_serializer(
    "Order",
    {
        "app_id": _text(), "order_no": _text(), "out_trade_no": _text(),
        "status": serializers.ChoiceField([status.value for status in OrderStatus]),
        "amount": _text(help_text="yuan, two decimals"), "amount_fen": serializers.IntegerField(),
        "refunded": _text(), "refunded_fen": serializers.IntegerField(), "currency": _text(), "subject": _text(),
        "channel": _text(), "method": _text(), "channel_trade_no": _maybe(), "failure_code": _maybe(),
        "metadata": serializers.DictField(child=serializers.CharField()),
        "created_at": _text(), "expires_at": _text(), "paid_at": _maybe(), "closed_at": _maybe(),
        "version": serializers.IntegerField(),
        "payer": _maybe(help_text="JWE of {\"openid\": …} to the app's newest key for encryption; null without one"),
        "cashier_url": _text(), "jsapi": JSAPI_ANSWER, "code_url": _maybe(),
        "next_check_at": _maybe(help_text="when we ask the channel next; ask us after that"),
        "resolve_by": _maybe(help_text="by when an open order is decided"), "trace_id": _maybe(),
    },
)  # fmt: skip

REFUND_ANSWER = inline_serializer(
    "Refund",
    {
        "app_id": _text(), "refund_no": _text(), "out_refund_no": _text(), "order_no": _text(),
        "out_trade_no": _text(), "status": serializers.ChoiceField([status.value for status in RefundStatus]),
        "amount": _text(), "amount_fen": serializers.IntegerField(), "currency": _text(), "reason": _text(),
        "channel_refund_no": _maybe(), "failure_code": _maybe(), "created_at": _text(), "succeeded_at": _maybe(),
        "version": serializers.IntegerField(), "next_check_at": _maybe(), "trace_id": _maybe(),
    },
)  # fmt: skip

_ORDER_EXAMPLE = OpenApiExample(
    "JSAPI order over 40.30 yuan",
    value={
        "out_trade_no": "A20260102000001", "amount": "40.30", "subject": "两杯咖啡", "channel": "wechatpay",
        "method": "jsapi", "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
        "notify_url": "https://shop.example/notify", "metadata": {"table": "7"},
    },
    request_only=True,
)  # fmt: skip
_ENVELOPE_EXAMPLE = OpenApiExample(
    "The same with its payer in an envelope",
    value={
        "out_trade_no": "A20260102000001", "amount": "40.30", "subject": "两杯咖啡", "channel": "wechatpay",
        "method": "jsapi", "payer": "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoi….….….….…",
    },
    request_only=True,
)  # fmt: skip
_REFUND_EXAMPLE = OpenApiExample(
    "Return 10 yuan",
    value={"out_refund_no": "R20260102000001", "out_trade_no": "A20260102000001", "amount": "10", "reason": "洒了"},
    request_only=True,
)

create_order = extend_schema(
    tags=TAG_ORDERS, operation_id="createOrder", request=OrderSerializer, parameters=[_PREFER],
    examples=[_ORDER_EXAMPLE, _ENVELOPE_EXAMPLE],
    responses={201: ORDER_ANSWER, 200: ORDER_ANSWER, 202: ORDER_ANSWER, **problems(400, 422, 503)},
)  # fmt: skip
get_order = extend_schema(tags=TAG_ORDERS, responses={200: ORDER_ANSWER, **problems(404)})
close_order = extend_schema(
    tags=TAG_ORDERS, operation_id="closeOrder", request=None, parameters=[_PREFER],
    responses={200: ORDER_ANSWER, 202: ORDER_ANSWER, **problems(404, 409, 503)},
)  # fmt: skip
create_refund = extend_schema(
    tags=TAG_REFUNDS, operation_id="createRefund", request=RefundSerializer, parameters=[_PREFER],
    examples=[_REFUND_EXAMPLE],
    responses={201: REFUND_ANSWER, 200: REFUND_ANSWER, 202: REFUND_ANSWER, **problems(400, 404, 409, 422, 503)},
)  # fmt: skip
get_refund = extend_schema(tags=TAG_REFUNDS, responses={200: REFUND_ANSWER, **problems(404)})
