"""The model field for a snowflake id."""

from typing import TYPE_CHECKING, Any

from django.db import models

from idgen import next_id

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable

    _BigIntegerField = models.BigIntegerField[int | str | Combinable, int]
else:
    _BigIntegerField = models.BigIntegerField


class SnowflakeField(_BigIntegerField):
    """A BIGINT that is given a new id when the object is made. In JSON it is a string (`idgen.drf`)."""

    description = "snowflake id"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", next_id)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, path, args, kwargs = super().deconstruct()
        if kwargs.get("default") is next_id:
            del kwargs["default"]
        if kwargs.get("editable") is False:
            del kwargs["editable"]
        return name, path, args, kwargs
