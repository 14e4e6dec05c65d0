"""Shapes of requests. Yuan become fen here, once."""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from openplatform.serializers import MomentField, StrictSerializer
from payments.api.fields import MetadataField, NotifyUrlField, PayerField, ReturnUrlField, TextField, YuanField, pattern
from payments.channels.registry import CHANNELS
from payments.models import OrderWish, RefundWish
from payments.operations.schedules import AT_THE_TILL_FOR

EXPIRES_AFTER_MIN = timedelta(minutes=2)
OUT_NO = r"\A[A-Za-z0-9_-]+\Z"
ORDER_NO = r"\A[1-9][0-9]{0,18}\Z"


@extend_schema_serializer(component_name="CreateOrder")
class OrderSerializer(StrictSerializer):
    """`POST /orders`. The context holds `now`, and as `app_id` who sends it."""

    out_trade_no = pattern(OUT_NO, min_length=6, max_length=32)
    amount = YuanField()
    subject = TextField(max_length=127)
    channel = TextField(max_length=20, help_text=f"one of {', '.join(CHANNELS)}")
    method = TextField(max_length=10, help_text="what the channel knows: jsapi, native")
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
        needed = capabilities.methods[attrs["method"]]
        _check_payer(attrs.get("payer"), needed=needed)
        if "auth_code" in needed and "expires_at" in attrs:
            raise serializers.ValidationError({"expires_at": "is not yours to choose: a bar code is good for a moment"})
        if "expires_at" in attrs and (issue := expiry_issue(attrs["expires_at"], now=self.context["now"])):
            raise serializers.ValidationError({"expires_at": issue})
        return attrs

    def wish(self) -> OrderWish:
        data = self.validated_data
        payer = data.get("payer", {})
        lifetime = AT_THE_TILL_FOR if "auth_code" in payer else settings.ORDER_LIFETIME
        return OrderWish(
            out_trade_no=data["out_trade_no"], amount_fen=data["amount"], subject=data["subject"],
            channel=data["channel"], method=data["method"], payer_id=payer.get("openid") or payer.get("auth_code", ""),
            notify_url=data["notify_url"], return_url=data["return_url"], metadata=data["metadata"],
            expires_at=data.get("expires_at") or self.context["now"] + lifetime, digest=digest(data),
            client_ip=payer.get("client_ip", ""),
        )  # fmt: skip


def _check_payer(payer: dict[str, str] | None, *, needed: frozenset[str]) -> None:
    """Exactly what the method needs of the payer, and nothing that would be left aside in silence."""
    if payer is None and needed:
        raise serializers.ValidationError({"payer": f"must name {' and '.join(sorted(needed))}"})
    if payer is not None and not needed:
        raise serializers.ValidationError({"payer": "is not wanted with this method"})
    given = set(payer or {})
    wrong = dict.fromkeys(needed - given, "is required with this method")
    wrong |= dict.fromkeys(given - needed, "is not wanted with this method")
    if wrong:
        raise serializers.ValidationError({"payer": wrong})


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


def expiry_issue(expires_at: datetime, *, now: datetime) -> str:
    """What is wrong with the time at which an order is to expire; "" when nothing is."""
    if EXPIRES_AFTER_MIN <= expires_at - now <= settings.ORDER_LIFETIME_MAX:
        return ""
    return f"must be 2 minutes to {int(settings.ORDER_LIFETIME_MAX.total_seconds() // 3600)} hours from now"


def digest(content: dict[str, Any]) -> str:
    """SHA-256 of the content in one canonical form: what two requests must share to be one request."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return str(value.timestamp())
    raise TypeError(f"{type(value).__name__} has no canonical form")
