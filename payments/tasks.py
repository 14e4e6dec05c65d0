"""Celery tasks: each makes one domain call. They take ids, never rows, and may run twice, late or never."""

from celery import shared_task
from django.utils import timezone

from payments.operations import payments, rechecks, refunds, sweeps


@shared_task(name="payments.drive_payment")
def drive_payment(*, payment_no: int) -> None:
    payments.drive_payment(payment_no=payment_no, clock=timezone.now)


@shared_task(name="payments.drive_refund")
def drive_refund(*, refund_no: int) -> None:
    refunds.drive_refund(refund_no=refund_no, clock=timezone.now)


@shared_task(name="payments.recheck_payment")
def recheck_payment(*, payment_no: int) -> None:
    rechecks.recheck_payment(payment_no=payment_no, clock=timezone.now)


@shared_task(name="payments.sweep_rechecks")
def sweep_rechecks() -> None:
    rechecks.sweep_rechecks(now=timezone.now())


@shared_task(name="payments.sweep_payments")
def sweep_payments() -> None:
    sweeps.sweep_payments(now=timezone.now())


@shared_task(name="payments.sweep_refunds")
def sweep_refunds() -> None:
    sweeps.sweep_refunds(now=timezone.now())
