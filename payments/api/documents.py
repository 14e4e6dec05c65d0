"""What OpenAPI says about each operation: shapes, examples, and the errors that are to be expected."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiExample, OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers

from openplatform import envelopes
from openplatform.documents import answer, problems
from payments.api import examples
from payments.api.errors import ChannelRejected, problem_of
from payments.api.fields import PayerField, PayerSerializer
from payments.api.serializers import OrderSerializer, RefundSerializer
from payments.channels.registry import CHANNELS
from payments.errors import InvalidMove, PaymentsError
from payments.models import Refund
from payments.models.order import OrderNotPaid, RefundExceedsPaid
from payments.operations.accounts import ChannelNotAvailable
from payments.operations.orders import OutTradeNoReused
from payments.operations.refunds import OutRefundNoReused
from payments.states import OrderStatus, RefundStatus

TAG_ORDERS, TAG_REFUNDS = ["orders"], ["refunds"]


class PayerFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """The object, or an envelope of it."""

    target_class = PayerField

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        payer = auto_schema.resolve_serializer(PayerSerializer, direction)
        envelope = {"type": "string", "maxLength": envelopes.LENGTH_MAX, "description": "JWE compact of that object"}
        return {
            "oneOf": [payer.ref, envelope],
            "description": "The payer at the channel, or the same object as a JWE (RSA-OAEP-256, A256GCM; header alg,"
            " enc, kid: our key for encryption, iss: the app id).",
        }


_PREFER = OpenApiParameter(
    "Prefer", str, OpenApiParameter.HEADER,
    description="`wait=N` (seconds, at most 10) or `respond-async`. Without it we wait up to 3 seconds.",
)  # fmt: skip


def _text(**kwargs: Any) -> serializers.CharField:
    return serializers.CharField(**kwargs)


def _maybe(**kwargs: Any) -> serializers.CharField:
    return serializers.CharField(allow_null=True, **kwargs)


_BRIDGES = {channel.name: channel.wallet.bridge for channel in CHANNELS.values() if channel.wallet.bridge}
JSAPI_ANSWER = inline_serializer(
    "JsapiParameters",
    {name: _text(required=False) for bridge in _BRIDGES.values() for name in bridge.parameters},
    allow_null=True,
    help_text="There while the order is PAYING, at a channel with a bridge: hand it as it is to the bridge. "
    + " ".join(
        f"{name}: {bridge.object}.{bridge.method}('{bridge.call}', {{{', '.join(bridge.parameters)}}})."
        for name, bridge in _BRIDGES.items()
    ),
)

APP_ANSWER = inline_serializer(
    "AppParameters",
    {name: _text() for name in ("appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign")},
    allow_null=True,
    help_text="Hand it as it is to WeChat's SDK in your app. There while the order is PAYING.",
)

ORDER_ANSWER = inline_serializer(
    "Order",
    {
        "app_id": _text(), "order_no": _text(), "out_trade_no": _text(),
        "status": serializers.ChoiceField([status.value for status in OrderStatus]),
        "amount": _text(help_text="yuan, two decimals"), "amount_fen": serializers.IntegerField(),
        "refunded": _text(), "refunded_fen": serializers.IntegerField(), "currency": _text(), "subject": _text(),
        "channel": _text(), "method": _text(), "channel_trade_no": _maybe(),
        "failure_code": _maybe(help_text="in the channel's words"),
        "metadata": serializers.DictField(child=serializers.CharField(allow_blank=True)),
        "created_at": _text(), "expires_at": _text(), "paid_at": _maybe(), "closed_at": _maybe(),
        "version": serializers.IntegerField(help_text="of two views of one order, the higher is the newer"),
        "payer": _maybe(help_text="JWE of {\"openid\": …} to the app's newest key for encryption; null without one"),
        "cashier_url": _text(help_text="a page that pays it"), "jsapi": JSAPI_ANSWER, "app": APP_ANSWER,
        "code_url": _maybe(help_text="for a QR code, with method native"),
        "h5_url": _maybe(help_text="where a phone's browser goes to pay, with method h5"),
        "pay_url": _maybe(help_text="where a page in the payer's app goes to pay, at a channel without a bridge"),
        "next_check_at": _maybe(help_text="when we ask the channel next; ask us after that"),
        "resolve_by": _maybe(help_text="by when an open order is decided"), "trace_id": _maybe(),
    },
)  # fmt: skip

REFUND_ANSWER = inline_serializer(
    "Refund",
    {
        "app_id": _text(), "refund_no": _text(), "out_refund_no": _text(), "order_no": _text(),
        "out_trade_no": _text(),
        "kind": serializers.ChoiceField(
            Refund.Kind.values,
            help_text="`late` and `surplus` are ours: money that came too late, or twice, goes back by itself.",
        ),
        "status": serializers.ChoiceField([status.value for status in RefundStatus]),
        "amount": _text(), "amount_fen": serializers.IntegerField(), "currency": _text(),
        "reason": _text(allow_blank=True), "channel_refund_no": _maybe(), "failure_code": _maybe(),
        "created_at": _text(), "succeeded_at": _maybe(), "version": serializers.IntegerField(),
        "next_check_at": _maybe(), "trace_id": _maybe(),
    },
)  # fmt: skip


def _named(*errors: PaymentsError) -> Any:
    """The domain's refusals as the API shows them."""
    return [problem_of(error) for error in errors]


_ORDER_EXAMPLES = [
    OpenApiExample(
        "jsapi",
        value={
            "out_trade_no": "A20260102000001", "amount": "40.30", "subject": "两杯咖啡", "channel": "wechatpay",
            "method": "jsapi", "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
            "notify_url": "https://shop.example/notify", "metadata": {"table": "7"},
        },
        request_only=True,
    ),
    OpenApiExample(
        "native",
        value={
            "out_trade_no": "A20260102000002", "amount": 40, "subject": "coffee", "channel": "wechatpay",
            "method": "native",
        },
        request_only=True,
    ),
    OpenApiExample(
        "envelope",
        value={
            "out_trade_no": "A20260102000001", "amount": "40.30", "subject": "两杯咖啡", "channel": "wechatpay",
            "method": "jsapi", "payer": "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoi….….….….…",
        },
        request_only=True,
    ),
]  # fmt: skip
_REFUND_EXAMPLE = OpenApiExample(
    "ten yuan",
    value={"out_refund_no": "R20260102000001", "out_trade_no": "A20260102000001", "amount": "10", "reason": "洒了"},
    request_only=True,
)

create_order = extend_schema(
    tags=TAG_ORDERS, operation_id="createOrder", summary="Create an order", request=OrderSerializer,
    description="The same `out_trade_no` with the same content is the same order, whatever became of it meanwhile.",
    parameters=[_PREFER], examples=_ORDER_EXAMPLES,
    responses={
        201: answer(ORDER_ANSWER, "Created, and the payer can pay.", created=examples.ORDER),
        200: answer(ORDER_ANSWER, "It was there already: this is it.", repeated=examples.PAID),
        202: answer(ORDER_ANSWER, "Written down; the channel has not answered yet.", not_known_yet=examples.SUBMITTING),
        **problems(
            400, also=_named(OutTradeNoReused(), ChannelNotAvailable(), ChannelRejected(order=examples.FAILED)),
        ),
    },
)  # fmt: skip
get_order = extend_schema(
    tags=TAG_ORDERS, operation_id="getOrder", summary="An order, by our number",
    responses={200: answer(ORDER_ANSWER, "The order.", paid=examples.WITH_MONEY_BACK), **problems(404)},
)  # fmt: skip
get_order_by_out_trade_no = extend_schema(
    tags=TAG_ORDERS, operation_id="getOrderByOutTradeNo", summary="An order, by your number",
    responses={200: answer(ORDER_ANSWER, "The order.", waiting_for_the_payer=examples.ORDER), **problems(404)},
)  # fmt: skip
close_order = extend_schema(
    tags=TAG_ORDERS, operation_id="closeOrder", summary="Close an order", request=None,
    description="Upstream first, confirmed by a query. The payer may be faster: look at `status`.",
    parameters=[_PREFER],
    responses={
        200: answer(ORDER_ANSWER, "Closed, or ended before.", closed=examples.CLOSED),
        202: answer(ORDER_ANSWER, "Being closed.", closing=examples.CLOSING),
        **problems(404, also=_named(InvalidMove("The order is SUCCEEDED and cannot take CLOSE_ASKED."))),
    },
)  # fmt: skip
create_refund = extend_schema(
    tags=TAG_REFUNDS, operation_id="createRefund", summary="Give money back", request=RefundSerializer,
    description="Name the order by `order_no` or by `out_trade_no`. One `out_refund_no` is one refund.",
    parameters=[_PREFER], examples=[_REFUND_EXAMPLE],
    responses={
        201: answer(REFUND_ANSWER, "The channel has taken it.", taken=examples.REFUND),
        200: answer(REFUND_ANSWER, "It was there already: this is it.", repeated=examples.DONE_REFUND),
        202: answer(
            REFUND_ANSWER, "Written down; the channel has not answered yet.", not_known_yet=examples.SUBMITTED_REFUND
        ),
        **problems(400, 404, also=_named(OrderNotPaid(), RefundExceedsPaid(), OutRefundNoReused())),
    },
)  # fmt: skip
get_refund = extend_schema(
    tags=TAG_REFUNDS, operation_id="getRefund", summary="A refund, by our number",
    responses={200: answer(REFUND_ANSWER, "The refund.", done=examples.DONE_REFUND), **problems(404)},
)  # fmt: skip
get_refund_by_out_refund_no = extend_schema(
    tags=TAG_REFUNDS, operation_id="getRefundByOutRefundNo", summary="A refund, by your number",
    responses={200: answer(REFUND_ANSWER, "The refund.", under_way=examples.REFUND), **problems(404)},
)  # fmt: skip
