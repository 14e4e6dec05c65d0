"""Housekeeping of the composition root."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from config.models import SpanRow


@shared_task(name="config.delete_old_spans")
def delete_old_spans() -> None:
    SpanRow.delete_old(now=timezone.now(), keep=settings.TRACING_RETENTION)
