"""Shapes of requests. Yuan become fen here, once."""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from openplatform.serializers import MomentField, StrictSerializer
from payments.api.fields import MetadataField, NotifyUrlField, PayerField, ReturnUrlField, TextField, YuanField
from payments.channels.registry import CHANNELS
from payments.models import OrderWish, RefundWish

EXPIRES_AFTER_MIN = timedelta(minutes=2)
OUT_NO = r"\A[A-Za-z0-9_-]+\Z"
ORDER_NO = r"\A[1-9][0-9]{0,18}\Z"


def pattern(regex: str, **kwargs: Any) -> TextField:
    """A text that matches `regex` as a whole."""
    return TextField(validators=[RegexValidator(regex, message=f"must match {regex}")], **kwargs)


@extend_schema_serializer(component_name="CreateOrder")
class OrderSerializer(StrictSerializer):
    """`POST /orders`. The context holds `now`, and as `app_id` who sends it."""

    out_trade_no = pattern(OUT_NO, min_length=6, max_length=32)
    amount = YuanField()
    subject = TextField(max_length=127)
    channel = TextField(max_length=20)
    method = TextField(max_length=10)
    payer = PayerField(required=False)
    notify_url = NotifyUrlField(max_length=255, required=False, default="")
    return_url = ReturnUrlField(max_length=255, required=False, default="")
    expires_at = MomentField(required=False)
    metadata = MetadataField(required=False, default=dict)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        capabilities = CHANNELS[attrs["channel"]].capabilities if attrs["channel"] in CHANNELS else None
        if capabilities is None:
            raise serializers.ValidationError({"channel": f"must be one of {', '.join(CHANNELS)}"})
        if attrs["method"] not in capabilities.methods:
            raise serializers.ValidationError({"method": f"must be one of {', '.join(sorted(capabilities.methods))}"})
        if (attrs["method"] in capabilities.payer_id_methods) != ("payer" in attrs):
            raise serializers.ValidationError({"payer": "is required with method jsapi, and only then"})
        if "expires_at" in attrs:
            self._check_expiry(attrs["expires_at"])
        return attrs

    def _check_expiry(self, expires_at: datetime) -> None:
        left = expires_at - self.context["now"]
        if not EXPIRES_AFTER_MIN <= left <= settings.ORDER_LIFETIME_MAX:
            hours = int(settings.ORDER_LIFETIME_MAX.total_seconds() // 3600)
            raise serializers.ValidationError({"expires_at": f"must be 2 minutes to {hours} hours from now"})

    def wish(self) -> OrderWish:
        data = self.validated_data
        return OrderWish(
            out_trade_no=data["out_trade_no"], amount_fen=data["amount"], subject=data["subject"],
            channel=data["channel"], method=data["method"], payer_id=data.get("payer", {}).get("openid", ""),
            notify_url=data["notify_url"], return_url=data["return_url"], metadata=data["metadata"],
            expires_at=data.get("expires_at") or self.context["now"] + settings.ORDER_LIFETIME, digest=digest(data),
        )  # fmt: skip


@extend_schema_serializer(component_name="CreateRefund")
class RefundSerializer(StrictSerializer):
    """`POST /refunds`: of an order named by our number or by the merchant's."""

    out_refund_no = pattern(OUT_NO, min_length=6, max_length=64)
    order_no = pattern(ORDER_NO, required=False)
    out_trade_no = pattern(OUT_NO, max_length=32, required=False)
    amount = YuanField()
    reason = TextField(max_length=80, required=False, default="", allow_blank=True)
    notify_url = NotifyUrlField(max_length=255, required=False, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("order_no" in attrs) == ("out_trade_no" in attrs):
            raise serializers.ValidationError({"order_no": "name the order by order_no or by out_trade_no, not both"})
        return attrs

    def named_order(self) -> dict[str, str]:
        """The one number by which the order was named."""
        return {name: value for name, value in self.validated_data.items() if name in {"order_no", "out_trade_no"}}

    def wish(self, *, order_no: int) -> RefundWish:
        data = self.validated_data
        content = {name: data[name] for name in ("out_refund_no", "amount", "reason", "notify_url")}
        return RefundWish(
            out_refund_no=data["out_refund_no"], amount_fen=data["amount"], reason=data["reason"],
            notify_url=data["notify_url"], digest=digest(content | {"order_no": order_no}),
        )  # fmt: skip


def digest(content: dict[str, Any]) -> str:
    """SHA-256 of the content in one canonical form: what two requests must share to be one request."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return str(value.timestamp())
    raise TypeError(f"{type(value).__name__} has no canonical form")
