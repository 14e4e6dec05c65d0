"""WeChat Pay's request bodies. Money is integer fen here already; source: doc/v3/merchant/4012791856 and 4013071036.

Each field that they document has one of three fates: it is carried; it is checked in type and left aside, because
nothing about the money depends on it; or it is refused by name, because leaving it aside would change who pays what.
"""

import re
from typing import Any

from django.conf import settings
from rest_framework import serializers

from openplatform.serializers import MomentField, StrictSerializer
from openplatform.strictjson import JsonNumber
from payments.api.fields import NotifyUrlField, TextField, pattern
from payments.api.serializers import digest, expiry_issue
from payments.models import Door, OrderWish, RefundWish

OUT_TRADE_NO = r"\A[A-Za-z0-9_|*-]+\Z"
OUT_REFUND_NO = r"\A[A-Za-z0-9_|*@-]+\Z"
TRANSACTION_ID = r"\A[A-Za-z0-9]+\Z"
_FEN = re.compile(r"[1-9][0-9]{0,17}")


class FenField(serializers.Field[int, Any, int, Any]):
    """A JSON number that is a whole number of fen: no string, no true, no 1.0, no 1e2."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, JsonNumber) or not _FEN.fullmatch(data):
            raise serializers.ValidationError("must be a whole number of fen, at least 1")
        if int(data) > settings.ORDER_AMOUNT_MAX_FEN:
            raise serializers.ValidationError(f"must be at most {settings.ORDER_AMOUNT_MAX_FEN}")
        return int(data)


class NotHereField(serializers.Field[None, Any, None, Any]):
    """Something that would change who pays what, and that we do not hand on: refused unless it is empty."""

    def __init__(self) -> None:
        super().__init__(required=False)

    def to_internal_value(self, data: Any) -> None:
        if data not in ("", [], {}, False):
            raise serializers.ValidationError("is not supported here, and changes who pays what: leave it out")


class Mchid(TextField):
    """Who they are at WeChat Pay is who they are here: their app id."""

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if value != self.context["mchid"]:
            raise serializers.ValidationError("is not the mchid of the Authorization header")
        return value


class AmountSerializer(StrictSerializer):
    total = FenField()
    currency = serializers.ChoiceField(["CNY"], required=False)


class SettleSerializer(StrictSerializer):
    profit_sharing = NotHereField()


class OrderSerializer(StrictSerializer):
    """What the two products share. The subclass says which it is."""

    method = ""

    appid = TextField(max_length=32)
    mchid = Mchid(max_length=32)
    description = TextField(max_length=127)
    out_trade_no = pattern(OUT_TRADE_NO, min_length=6, max_length=32)
    notify_url = NotifyUrlField(max_length=255)
    amount = AmountSerializer()
    time_expire = MomentField(required=False)
    attach = TextField(max_length=128, required=False, allow_blank=True)
    settle_info = SettleSerializer(required=False)
    # Nothing about the money depends on these two.
    scene_info = serializers.DictField(required=False)
    support_fapiao = serializers.BooleanField(required=False)
    # These choose discounts, or who may pay with what.
    goods_tag = NotHereField()
    detail = NotHereField()
    limit_pay = NotHereField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "time_expire" in attrs and (issue := expiry_issue(attrs["time_expire"], now=self.context["now"])):
            raise serializers.ValidationError({"time_expire": issue})
        return attrs

    def wish(self) -> OrderWish:
        data = self.validated_data
        return OrderWish(
            out_trade_no=data["out_trade_no"], amount_fen=data["amount"]["total"], subject=data["description"],
            channel="wechatpay", method=self.method, payer_id=data.get("payer", {}).get("openid", ""),
            notify_url=data["notify_url"], return_url="", door=Door.WECHATPAY, channel_appid=data["appid"],
            metadata={"attach": data["attach"]} if data.get("attach") else {},
            expires_at=data.get("time_expire") or self.context["now"] + settings.ORDER_LIFETIME,
            digest=digest({"method": self.method, **data}),
        )  # fmt: skip


class PayerSerializer(StrictSerializer):
    openid = TextField(max_length=128)


class JsapiSerializer(OrderSerializer):
    method = "jsapi"
    payer = PayerSerializer()


class NativeSerializer(OrderSerializer):
    method = "native"


class CloseSerializer(StrictSerializer):
    mchid = Mchid(max_length=32)


class RefundAmountSerializer(StrictSerializer):
    refund = FenField()
    total = FenField()
    currency = serializers.ChoiceField(["CNY"])

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": NotHereField()}  # a word of Python's

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["refund"] > attrs["total"]:
            raise serializers.ValidationError({"refund": "must not be more than total"})
        return attrs


class RefundSerializer(StrictSerializer):
    """A refund of an order that is named by their number of it, by the merchant's, or by both."""

    transaction_id = pattern(TRANSACTION_ID, max_length=32, required=False, default="")
    out_trade_no = pattern(OUT_TRADE_NO, max_length=32, required=False, default="")
    out_refund_no = pattern(OUT_REFUND_NO, max_length=64)
    amount = RefundAmountSerializer()
    reason = TextField(max_length=80, required=False, default="", allow_blank=True)
    notify_url = NotifyUrlField(max_length=255, required=False, default="")
    funds_account = serializers.ChoiceField(["UNSETTLED"], required=False)  # as it is without
    goods_detail = NotHereField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["transaction_id"] and not attrs["out_trade_no"]:
            raise serializers.ValidationError({"transaction_id": "or out_trade_no must name the order"})
        return attrs

    def named_order(self) -> dict[str, str]:
        data = self.validated_data
        return {"channel_trade_no": data["transaction_id"], "out_trade_no": data["out_trade_no"]}

    def wish(self, *, order_no: int) -> RefundWish:
        data = self.validated_data
        content = {name: data[name] for name in ("out_refund_no", "amount", "reason", "notify_url")}
        return RefundWish(
            out_refund_no=data["out_refund_no"], amount_fen=data["amount"]["refund"], reason=data["reason"],
            notify_url=data["notify_url"], order_fen=data["amount"]["total"],
            digest=digest(content | {"order_no": order_no}),
        )  # fmt: skip
