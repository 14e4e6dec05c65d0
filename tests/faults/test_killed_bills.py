"""SIGKILL while a bill is fetched: it is stored whole or not at all, and the next worker does the rest."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from payments.channels.days import day_of
from payments.models import Bill, BillFile, BillFilePart, BillRow, ChannelAccount
from payments.operations import bills, schedules
from payments.states import BillStatus
from tests.factories import the_payment

ROOT = Path(__file__).parents[2]


@pytest.fixture
def day(shop):
    """Some days ago, in real time, one order was paid: its bill has been there for long."""
    shop.control.options(clock_offset_s=-timedelta(days=3).total_seconds())
    order = shop.paid_order()
    shop.control.options(clock_offset_s=0.0)
    ChannelAccount.objects.update(created_at=timezone.now() - timedelta(days=9))
    return day_of(the_payment(order).paid_at)


def fetch(shop, day, *, dies_at: str) -> subprocess.CompletedProcess[str]:
    database = connection.settings_dict
    return subprocess.run(
        [sys.executable, "manage.py", "bills", "fetch", "--date", day.isoformat(), "--kind", "trade"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}",
            "CHANNEL_PRIVATE_HOSTS": shop.sandbox.host,
            "FENPAY_FAULT": dies_at,
        },
    )  # fmt: skip


def test_killed_between_download_and_store_nothing_is_there_and_the_next_worker_stores_it_once(shop, day):
    done = fetch(shop, day, dies_at="bill.downloaded")
    assert done.returncode == -signal.SIGKILL, done.stderr
    bill = Bill.objects.get()
    assert bill.status == BillStatus.WAITED_FOR
    assert not BillFile.objects.exists()
    assert not bills.fetch_bill(bill_id=bill.pk, clock=timezone.now), "the dead one's lease runs still"

    passed = schedules.bill_lease() + timedelta(seconds=1)
    shop.control.options(clock_skew_s=passed.total_seconds())
    assert bills.fetch_bill(bill_id=bill.pk, clock=lambda: timezone.now() + passed)
    assert Bill.objects.get().status == BillStatus.FETCHED
    assert [model.objects.count() for model in (BillFile, BillFilePart, BillRow)] == [1, 1, 1]


def test_killed_after_it_was_stored_it_is_not_fetched_again(shop, day):
    done = fetch(shop, day, dies_at="bill.stored")
    assert done.returncode == -signal.SIGKILL, done.stderr
    bill = Bill.objects.get()
    assert (bill.status, bill.next_check_at, bill.lease_until) == (BillStatus.FETCHED, None, None)
    assert BillRow.objects.count() == 1
    assert not bills.fetch_bill(bill_id=bill.pk, clock=timezone.now)


def test_the_command_says_what_became_of_it(shop, day):
    done = fetch(shop, day, dies_at="")
    assert done.returncode == 0, done.stderr
    assert "FETCHED     v1, 1 rows" in done.stdout
