"""What the demo merchant remembers: each verified event once."""

from typing import ClassVar

from django.db import models


class Received(models.Model):
    """One event, whatever number of times it came. `data` is the notification's object, amounts in yuan as text."""

    event_id = models.CharField(max_length=64, unique=True)
    event_type = models.CharField(max_length=64)
    out_trade_no = models.CharField(max_length=64, db_index=True)
    data = models.JSONField()
    object_version = models.IntegerField()
    created_at = models.CharField(max_length=40)  # as the notification writes it
    received_at = models.DateTimeField()
    times = models.IntegerField(default=1)
    is_test = models.BooleanField(default=False)  # made up by fenpay: nothing is paid, nothing is shipped

    objects: ClassVar[models.Manager["Received"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"
