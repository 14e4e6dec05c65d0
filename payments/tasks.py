"""Celery tasks: each makes one domain call. They take ids, never rows, and may run twice, late or never."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from payments.operations import bills, channel_certificates, payments, rechecks, refunds, sweeps
from payments.operations import watch as watching


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


@shared_task(name="payments.fetch_certificates")
def fetch_certificates(*, account_id: int) -> None:
    channel_certificates.fetch_certificates(account_id=account_id, clock=timezone.now)


@shared_task(name="payments.sweep_certificates")
def sweep_certificates() -> None:
    channel_certificates.sweep_certificates(now=timezone.now())


@shared_task(name="payments.fetch_bill")
def fetch_bill(*, bill_id: int) -> None:
    bills.fetch_bill(bill_id=bill_id, clock=timezone.now)


@shared_task(name="payments.plan_bills")
def plan_bills() -> None:
    bills.plan_bills(now=timezone.now())


@shared_task(name="payments.sweep_bills")
def sweep_bills() -> None:
    bills.sweep_bills(now=timezone.now())


@shared_task(name="payments.watch")
def watch() -> None:
    """Only when beat, which looks by itself, has been silent for a while: config/watch.py."""
    watching.watch(clock=timezone.now, older_than_s=settings.ALARM_CHECK_S)
