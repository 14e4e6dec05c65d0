"""Serializers that convert nothing kindly: an unknown field is a mistake, a string is a string."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from openplatform.strictjson import JsonNumber

_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")


def is_text(value: Any) -> bool:
    """A JSON string, and not the text of a number."""
    return type(value) is str


def _is_integer(value: Any) -> bool:
    return type(value) is int or (isinstance(value, JsonNumber) and bool(_INTEGER.fullmatch(value)))


_SHAPES: tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], Any, str], ...] = (
    (serializers.CharField, is_text, "must be a string"),
    (serializers.ChoiceField, is_text, "must be a string"),
    (serializers.DateTimeField, is_text, "must be a string"),
    (serializers.BooleanField, lambda value: type(value) is bool, "must be true or false"),
    (serializers.IntegerField, _is_integer, "must be a whole number, not a string"),
)


class StrictSerializer(serializers.Serializer[Any]):
    """A base for everything that reads a request's body.

    The framework's CharField takes 1 and true for text, its IntegerField takes "1.0" and full-width digits, and
    unknown names are dropped in silence; here each is an error on its field.
    """

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            errors = self._unknown(data) | self._misshapen(data)
            if errors:
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)

    def _unknown(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        known = {name for name, field in self.fields.items() if not field.read_only}
        return {name: ["unknown field"] for name in data if name not in known}

    def _misshapen(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        errors: dict[str, list[str]] = {}
        for name, field in self.fields.items():
            value = data.get(name)
            for field_type, fits, reason in _SHAPES:
                if value is not None and isinstance(field, field_type) and not fits(value):
                    errors[name] = [reason]
        return errors


class NoFields(StrictSerializer):
    """The body of an operation that is told nothing: none, or {}."""


@extend_schema_field({"type": "string", "format": "date-time"})
class MomentField(serializers.Field[datetime, Any, str, Any]):
    """RFC 3339 with an offset."""

    def to_internal_value(self, data: Any) -> datetime:
        if type(data) is not str or not _RFC3339.fullmatch(data):
            raise serializers.ValidationError("must be RFC 3339 with an offset, such as 2026-01-02T10:34:56+08:00")
        try:
            return datetime.fromisoformat(data)
        except ValueError as error:
            raise serializers.ValidationError("is not a date and time") from error
