"""What every row of money shares."""

from typing import Any

from django.db import models


def status_field(choices: type[Any], **kwargs: Any) -> "models.CharField[str, str]":
    """A column for a status of payments.states; the database refuses any other word through a check constraint."""
    return models.CharField(max_length=20, choices=[(value.value, value.value) for value in choices], **kwargs)


def status_check(choices: type[Any], *, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=models.Q(status__in=[value.value for value in choices]), name=name)
