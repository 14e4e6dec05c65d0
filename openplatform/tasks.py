"""Celery tasks: each makes one call. They take ids, never rows, and may run twice, late or never."""

from celery import shared_task
from django.utils import timezone

from openplatform import idempotency
from openplatform.conformance import run
from openplatform.conformance import sweep as conformance_sweep
from openplatform.notifications import delivery, sweep


@shared_task(name="openplatform.deliver_notification")
def deliver_notification(*, notification_id: int) -> None:
    delivery.deliver_notification(notification_id=notification_id, clock=timezone.now)


@shared_task(name="openplatform.sweep_notifications")
def sweep_notifications() -> None:
    sweep.sweep_notifications(now=timezone.now())


@shared_task(name="openplatform.delete_old_idempotency_keys")
def delete_old_idempotency_keys() -> None:
    idempotency.delete_old_keys(now=timezone.now())


@shared_task(name="openplatform.run_conformance")
def run_conformance(*, run_id: int) -> None:
    run.run_conformance(run_id=run_id, clock=timezone.now, budget=run.task_budget())


@shared_task(name="openplatform.sweep_conformance")
def sweep_conformance() -> None:
    conformance_sweep.sweep_conformance(now=timezone.now())
