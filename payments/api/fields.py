"""Fields stricter than the framework's: text is text, a number keeps its literal, nothing is converted kindly."""

import ipaddress
from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from openplatform import envelopes, notify_urls
from openplatform.serializers import StrictSerializer
from payments.money import AmountError, fen_from_literal
from payments.return_urls import ReturnUrlRefused, shown_host

METADATA_KEYS_MAX, METADATA_KEY_LENGTH_MAX, METADATA_LENGTH_MAX = 20, 40, 200


@extend_schema_field(
    {
        "oneOf": [{"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}, {"type": "number"}],
        "description": "Yuan, read from its literal text. Not zero, no part of a fen.",
        "example": "40.30",
    }
)
class YuanField(serializers.Field[int, Any, str, Any]):
    """Yuan as a JSON number or a decimal string, read from the literal text; the value is integer fen."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str):  # JsonNumber is the text of a number
            raise serializers.ValidationError("AMOUNT_MALFORMED", code="AMOUNT_MALFORMED")
        try:
            return fen_from_literal(str(data), max_fen=settings.ORDER_AMOUNT_MAX_FEN)
        except AmountError as error:
            raise serializers.ValidationError(error.reason, code=error.reason) from error


class TextField(serializers.CharField):
    """A JSON string, as it is: not trimmed, without control characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if type(data) is not str:
            raise serializers.ValidationError("must be a string", code="invalid")
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in data):
            raise serializers.ValidationError("must not hold control characters", code="invalid")
        value: str = super().to_internal_value(data)
        return value


def pattern(regex: str, **kwargs: Any) -> TextField:
    """A text that matches `regex` as a whole."""
    return TextField(validators=[RegexValidator(regex, message=f"must match {regex}")], **kwargs)


@extend_schema_field({"type": "string", "maxLength": 45})
class IpAddressField(TextField):
    """An IPv4 or IPv6 address."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return str(ipaddress.ip_address(text))
        except ValueError as error:
            raise serializers.ValidationError("must be an IP address") from error


@extend_schema_field({"type": "string", "format": "uri", "pattern": "^https?://.+/", "maxLength": 255})
class NotifyUrlField(TextField):
    """Where we tell the merchant; the rules are the open platform's."""

    def to_internal_value(self, data: Any) -> str:
        url = super().to_internal_value(data)
        try:
            notify_urls.validate(url)
        except notify_urls.NotifyUrlRefused as error:
            raise serializers.ValidationError(str(error)) from error
        return url


@extend_schema_field({"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": 255})
class ReturnUrlField(TextField):
    """Where the payer's browser goes afterwards: a plain web address, shown as a link and never followed by us."""

    def to_internal_value(self, data: Any) -> str:
        url = super().to_internal_value(data)
        try:
            shown_host(url)
        except ReturnUrlRefused as error:
            raise serializers.ValidationError("must be an http(s) URL without user information") from error
        return url


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": METADATA_LENGTH_MAX},
        "maxProperties": METADATA_KEYS_MAX,
    }
)
class MetadataField(serializers.Field[dict[str, str], Any, dict[str, str], Any]):
    """The merchant's own notes: up to 20 pairs of text, given back as they are."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if type(data) is not dict or len(data) > METADATA_KEYS_MAX:
            raise serializers.ValidationError(f"must be an object of at most {METADATA_KEYS_MAX} pairs")
        for key, value in data.items():
            if not 0 < len(key) <= METADATA_KEY_LENGTH_MAX:
                raise serializers.ValidationError(f"keys have 1 to {METADATA_KEY_LENGTH_MAX} characters")
            if type(value) is not str or len(value) > METADATA_LENGTH_MAX:
                raise serializers.ValidationError(f"values are strings of at most {METADATA_LENGTH_MAX} characters")
        return dict(data)


class PayerField(serializers.Field[dict[str, str], Any, Any, Any]):
    """An object, or an envelope of one; the value is the object either way, so both are one content."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if type(data) is str:
            data = self._opened(data)
        payer = PayerSerializer(data=data)
        payer.is_valid(raise_exception=True)
        return dict(payer.validated_data)

    def _opened(self, text: str) -> dict[str, Any]:
        try:
            return envelopes.open_envelope(text, app_id=self.context["app_id"], now=self.context["now"])
        except envelopes.EnvelopeRefused as error:
            raise serializers.ValidationError(error.reason, code=error.reason) from error


class PayerSerializer(StrictSerializer):
    """The payer at the channel: who it is under the app id of the merchant's account, or the bar code that it shows."""

    openid = TextField(max_length=128, required=False)
    auth_code = pattern(r"\A[0-9]{16,24}\Z", required=False)
    client_ip = IpAddressField(max_length=45, required=False)
