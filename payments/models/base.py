"""What every row of money shares."""

from typing import Any

from django.db import models


def status_field(choices: type[Any], **kwargs: Any) -> "models.CharField[str, str]":
    """A column for a status of payments.states; the database refuses any other word through a check constraint."""
    return models.CharField(max_length=20, choices=[(value.value, value.value) for value in choices], **kwargs)


def status_check(choices: type[Any], *, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=models.Q(status__in=[value.value for value in choices]), name=name)


class AppendOnly(models.Model):
    """A row that is written once. The database enforces it by trigger; this only says so earlier."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError(f"{type(self).__name__} is append-only")
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError(f"{type(self).__name__} is append-only")
