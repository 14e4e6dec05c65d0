"""A worker killed at each step of a delivery, as by the kernel: the merchant is told, and nobody else waits for it."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as current
from django.db import connection
from django.utils import timezone

from openplatform.key_material import new_pair
from openplatform.keys import LIFETIME
from openplatform.models import Notification, NotificationAttempt, PlatformKey
from openplatform.models.keys import PlatformKeyStatus
from openplatform.models.notification import LEASE, NotificationStatus
from openplatform.notifications.sweep import sweep_notifications
from openplatform.notifications.turns import claim
from tests.openplatform import harness
from tests.openplatform.merchants import answers
from tests.openplatform.notices import deliver, owed, serve

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["serve"]
ROOT = Path(__file__).parents[2]
PROGRAM = (
    "import django; django.setup()\n"
    "from django.utils import timezone\n"
    "from openplatform.notifications.delivery import deliver_notification\n"
    "print(deliver_notification(notification_id={}, clock=timezone.now))\n"
)
# Where it dies: how often the merchant was told by then, and in the end; the row's attempts that are written down.
STEPS = {"notification.claimed": (0, 1, [2]), "notification.sent": (1, 2, [2]), "notification.recorded": (1, 1, [1])}


@pytest.fixture
def app():
    now = timezone.now()
    PlatformKey.publish(pair=new_pair(), status=PlatformKeyStatus.CURRENT, now=now, lifetime=LIFETIME)
    return harness.an_app()


def work(notification, *, dies_at="", server):
    """One task in a process of its own, on this test's database."""
    database = connection.settings_dict
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings", "FENPAY_FAULT": dies_at,
        "DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}",
        "MASTER_KEY": current.MASTER_KEY, "NOTIFICATION_ALLOW_HTTP": "1", "NOTIFICATION_PRIVATE_HOSTS": server.host,
        "NOTIFICATION_IN_FLIGHT_MAX": "1", "BROKER_URL": "redis://127.0.0.1:1/0",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(notification.pk)], cwd=ROOT, env=environment, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("dies_at", STEPS)
def test_whoever_dies_at_a_step_holds_its_place_for_its_lease_and_the_merchant_is_told(
    app, serve, settings, monkeypatch, dies_at
):
    settings.NOTIFICATION_IN_FLIGHT_MAX = 1
    monkeypatch.setattr("openplatform.notifications.turns.send_now", lambda *args, **kwargs: True)
    told_before, told_in_the_end, attempts = STEPS[dies_at]
    server = serve(answers(200))
    first, second = owed(app, server.url), owed(app, server.url, object_no=18)
    done = work(first, dies_at=dies_at, server=server)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(server.requests) == told_before

    now = timezone.now()
    if dies_at != "notification.recorded":
        assert sweep_notifications(now=now) == 0
        assert claim(second.pk, now=now) is None, "its place is still taken"
    now += LEASE + timedelta(seconds=1)
    assert sweep_notifications(now=now) == 1, "one place, and it is free"
    deliver(first, now=now)
    deliver(second, now=now)
    assert {row.status for row in Notification.objects.all()} == {NotificationStatus.DELIVERED}
    events = [request.document["event_id"] for request in server.requests]
    assert (events.count(str(first.pk)), events.count(str(second.pk))) == (told_in_the_end, 1)
    assert [one.attempt_no for one in NotificationAttempt.objects.filter(notification=first)] == attempts


def test_with_the_broker_gone_a_delivery_is_made_and_the_next_waits_for_the_sweep(app, serve):
    """It was woken by a message that came before; there is nobody to whom the next one could be handed."""
    server = serve(answers(200))
    first, second = owed(app, server.url), owed(app, server.url, object_no=18)
    done = work(first, server=server)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    assert "the broker does not take hints" in done.stderr
    second.refresh_from_db()
    assert (second.status, second.hinted_at, second.lease_until) == (NotificationStatus.OWED, None, None)
