"""What is written down of keys and cannot be changed, and what happens when two change keys at once."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from openplatform import app_keys, key_states
from openplatform.models import AppKey, KeyChallenge, KeyEvent
from openplatform.scopes import Scope
from tests.openplatform import harness
from tests.openplatform.test_app_keys import BY, KEYS, offer, prove

pytestmark = pytest.mark.django_db


# --- what is written down ---------------------------------------------------------------------------------------------


def test_everything_leaves_an_event_that_says_who(manager):
    key = harness.a_key()
    pending = manager.post(KEYS, {"public_key_pem": harness.public_pem(key)}).json()
    url = f"{KEYS}/{pending['serial_no']}"
    manager.post(f"{url}/prove", {"proof": harness.sign(key, pending["challenge"]["text"].encode())})
    manager.post(f"{url}/retire", {})
    app_keys.revoke_key(app_id=manager.app.pk, serial_no=pending["serial_no"], by=BY, now=timezone.now())
    events = KeyEvent.objects.filter(key=pending["serial_no"]).order_by("id")
    assert [(event.kind, event.actor_kind, event.actor) for event in events] == [
        ("registered", "key", manager.serial_no), ("proven", "key", manager.serial_no),
        ("retired", "key", manager.serial_no), ("revoked", "operator", "op"),
    ]  # fmt: skip


def test_a_refused_deed_leaves_no_event(manager):
    before = KeyEvent.objects.count()
    manager.post(f"{KEYS}/{manager.serial_no}/revoke", {})
    manager.post(KEYS, {"public_key_pem": "x"})
    assert KeyEvent.objects.count() == before


def by_database(sql, params=()):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)


def test_the_database_keeps_events_challenges_and_states(manager):
    row, challenge = offer(manager.app)
    challenge.use(now=timezone.now())
    AppKey.objects.get(pk=manager.serial_no).retire(not_after=timezone.now() + timedelta(days=1), now=timezone.now())
    for sql in (
        "UPDATE openplatform_keyevent SET actor = 'somebody else'",
        "DELETE FROM openplatform_keyevent",
        "UPDATE openplatform_keychallenge SET used_at = NULL",
        "DELETE FROM openplatform_keychallenge",
        "UPDATE openplatform_appkey SET scopes = ARRAY['keys:manage']::varchar(32)[]",
        "UPDATE openplatform_appkey SET purpose = 'encrypt', scopes = '{}'",
        "UPDATE openplatform_appkey SET status = 'active' WHERE status = 'retiring'",
        "UPDATE openplatform_appkey SET not_after = not_after + interval '1 day' WHERE status = 'retiring'",
        "UPDATE openplatform_appkey SET status = 'active' WHERE status = 'pending'",
        "UPDATE openplatform_appkey SET proven_at = now() WHERE proven_at IS NOT NULL",
        "UPDATE openplatform_platformkey SET algorithm = 'ED25519'",
    ):
        with pytest.raises(Exception, match=r"(refused|violates)"):
            by_database(sql)
    assert row.events.count() == 1


# --- two at once ------------------------------------------------------------------------------------------------------


def together(*deeds):
    """Run each in a thread and a connection of its own; what they returned or raised."""
    barrier, outcomes = threading.Barrier(len(deeds)), []

    def run(deed):
        barrier.wait()
        try:
            outcomes.append(deed())
        except key_states.KeyRefused as error:
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[deed]) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.django_db(transaction=True)
def test_two_managers_that_end_each_other_at_once_leave_one():
    app = harness.an_app()
    rows = [
        AppKey.register(app=app, public_key_pem=harness.public_pem(key), scopes=Scope.values, now=timezone.now())
        for key in (harness.a_key(), harness.a_key())
    ]  # fmt: skip
    outcomes = together(
        *(
            lambda row=row: app_keys.revoke_key(app_id=app.pk, serial_no=row.pk, by=BY, now=timezone.now())
            for row in rows
        )
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AppKey", "LastManager"]


@pytest.mark.django_db(transaction=True)
def test_of_two_proofs_of_one_key_by_two_apps_exactly_one_counts():
    key = harness.a_key()
    pending = [offer(harness.an_app(), key) for _ in range(2)]
    outcomes = together(
        *(
            lambda row=row, challenge=challenge: prove(row, harness.sign(key, challenge.text.encode()))
            for row, challenge in pending
        )
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AppKey", "KnownFingerprint"]
    assert KeyChallenge.objects.filter(used_at=None).count() == 1
