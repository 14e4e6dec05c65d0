"""The JSON form of an id: a string, in and out. A JavaScript number is wrong from 2^53 on."""

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from idgen.errors import InvalidIdError
from idgen.layout import from_str, to_str


class SnowflakeSerializerField(serializers.Field):  # type: ignore[type-arg]
    """Decimal digits in a JSON string. A JSON number is refused, whatever type the parser gives to it."""

    # What drf-spectacular's @extend_schema_field would set; idgen does not depend on it.
    _spectacular_annotation: ClassVar = {
        "field": {"type": "string", "pattern": "^[1-9][0-9]{0,18}$", "examples": ["250428769968324730"]}
    }
    default_error_messages = {"invalid": _("Must be an id: a string of 1 to 19 digits.")}

    def to_internal_value(self, data: Any) -> int:
        # Exactly str: a parser that keeps numbers as their literal text does so in a subclass.
        if type(data) is not str:
            self.fail("invalid")
        try:
            return from_str(data)
        except InvalidIdError:
            self.fail("invalid")

    def to_representation(self, value: Any) -> str:
        return to_str(value)
