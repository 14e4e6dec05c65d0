"""The tables of notifications are changed beside the service: nothing is written anew, and nobody waits for long."""

import threading
from contextlib import contextmanager

import psycopg2
import pytest
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from openplatform.models import App, Notification, NotificationAttempt
from openplatform.models.notification import AttemptKind, told_host
from tests.migrating import schema_of
from tests.openplatform import harness
from tests.sandboxes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ("openplatform", "0010_public_app_ids")
DELIVERY = ("openplatform", "0011_delivery")
COLUMNS = ("openplatform", "0012_notification_columns")
INDEXES = ("openplatform", "0013_notification_indexes")
TABLES = ("openplatform_app", "openplatform_notification", "openplatform_notificationattempt")
URLS = ("https://a.example/n", "https://b.example:8443/n", "ftp://x.example/", "nonsense", "")


def rows_of(sql, params=()):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def columns_of(table):
    """Those that an INSERT may name."""
    return [name for (name,) in rows_of(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'"
        " AND is_identity = 'NO' ORDER BY ordinal_position", [table],
    )]  # fmt: skip


def files_of(tables):
    """Where the rows of each table are; a table that is written anew has another file."""
    return dict(
        rows_of("SELECT relname, pg_relation_filenode(oid) FROM pg_class WHERE relname = ANY(%s)", [list(tables)])
    )


def owe_as_before(app_id, url, *, number):
    """As a process of before writes it: without the columns that came later."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO openplatform_notification (id, app_id, event_type, object_no, object_version, data, shape,"
            " notify_url, status, attempts_count, schedule_step, next_attempt_at, traceparent, created_at)"
            " VALUES (%s, %s, 'order.succeeded', 5, 1, '{}', 'native', %s, 'owed', 1, 1, now(), '', now())",
            [number, app_id, url],
        )
        cursor.execute(
            "INSERT INTO openplatform_notificationattempt (notification_id, attempt_no, attempted_at, duration_ms,"
            " status_code, error, response_excerpt) VALUES (%s, 1, now(), 3, 500, '', '')", [number],
        )  # fmt: skip


@contextmanager
def another_session():
    """Somebody else's, who would rather hear an error than wait for a second."""
    session = psycopg2.connect(**connection.get_connection_params() | {"options": "-c lock_timeout=1000"})
    try:
        yield session
    finally:
        session.close()


def migrate(target):
    MigrationExecutor(connection).migrate([target])


def test_no_table_is_written_anew_and_what_was_there_is_told_at_its_hosts():
    app = harness.an_app()
    with schema_of(BEFORE):
        for number, url in enumerate(URLS, start=1):
            owe_as_before(app.pk, url, number=number)
        before = files_of(TABLES)
        assert len(before) == len(TABLES)
    assert files_of(TABLES) == before
    found = {row.notify_url: row.notify_host for row in Notification.objects.filter(app=app)}
    assert found == {
        "https://a.example/n": "a.example", "https://b.example:8443/n": "b.example:8443",
        "ftp://x.example/": "x.example",
        "nonsense": "", "": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    "url", ["https://a.example/n", "https://[2606:4700::1]:8443/n/m", "x//y", "//", "/", "a/b", "", "https://"]
)
def test_the_host_of_a_row_is_the_same_here_and_in_the_database(url):
    owe_as_before(harness.an_app().pk, url, number=1)
    row = Notification.objects.alias(host=told_host()).get(host=Notification(notify_url=url).notify_host)
    assert row.notify_url == url


@contextmanager
def under_way(target):
    """The migration to `target`, in a thread of its own."""
    failed = []

    def work():
        try:
            migrate(target)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield failed
    finally:
        thread.join()


def waits_for_a_lock():
    """Whether a session of ours does, which runs nothing but the migration."""
    return rows_of(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND application_name = 'fenpay'"
    )


def test_while_indexes_are_built_others_read_and_write():
    """A build that locks would stand behind the slow one, and everybody behind the build."""
    app = harness.an_app()
    with schema_of(COLUMNS), another_session() as slow, another_session() as other:
        owe_as_before(app.pk, URLS[0], number=1)
        for session in (slow, other):
            session.cursor().execute("UPDATE openplatform_notification SET hinted_at = now() WHERE false")
        other.commit()
        with under_way(INDEXES) as failed:
            try:
                wait_until(waits_for_a_lock, within_s=30)
                with other.cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM openplatform_notification")
                    cursor.execute("UPDATE openplatform_notification SET hinted_at = now()")
                    cursor.execute("INSERT INTO openplatform_notificationattempt (notification_id, attempt_no,"
                                   " attempted_at, duration_ms, status_code, error, response_excerpt, kind)"
                                   " VALUES (1, 2, now(), 3, 500, '', '', 'probe')")  # fmt: skip
                other.commit()
            finally:
                slow.commit()
        assert failed == []
    names = {
        name for (name,) in rows_of("SELECT relname FROM pg_class JOIN pg_index ON oid = indexrelid WHERE indisvalid")
    }
    assert names >= {"notification_owed_by_host", "notification_in_flight"}
    assert rows_of("SELECT convalidated FROM pg_constraint WHERE conname = 'notification_attempt_kind_known'") == [
        (True,)
    ]


@pytest.mark.parametrize(("before", "target"), [(BEFORE, DELIVERY), (DELIVERY, COLUMNS)])
def test_a_change_that_must_wait_for_a_slow_reader_gives_up_and_is_made_later(before, target):
    """Everybody would stand behind it: so it waits for no longer than LOCK_TIMEOUT_MS."""
    with schema_of(before), another_session() as slow:
        slow.cursor().execute("SELECT count(*) FROM openplatform_notificationattempt, openplatform_notification")
        with pytest.raises(OperationalError, match="lock timeout"):
            migrate(target)
        slow.commit()
        migrate(target)


def test_a_database_that_has_the_first_edition_comes_to_the_same():
    """It computed the host into a column of the table."""
    wanted = columns_of("openplatform_notification")
    with schema_of(DELIVERY), connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE openplatform_notification ADD COLUMN notify_host varchar(512) GENERATED ALWAYS AS"
            " (COALESCE(substring(notify_url, '^https?://([^/]+)'), '')) STORED"
        )
        cursor.execute("CREATE INDEX notification_owed_by_host ON openplatform_notification (app_id, notify_host, id)")
        cursor.execute("CREATE INDEX notification_in_flight ON openplatform_notification (app_id)")
    assert sorted(columns_of("openplatform_notification")) == sorted(wanted)
    (definition,) = rows_of("SELECT indexdef FROM pg_indexes WHERE indexname = 'notification_owed_by_host'")
    assert "split_part" in definition[0]


def test_an_older_process_that_knows_none_of_the_new_columns_goes_on_writing():
    """During a release both run. What it leaves out has a default in the database."""
    with schema_of(BEFORE):
        known = {table: columns_of(table) for table in TABLES}
    new = {table: sorted(set(columns_of(table)) - set(known[table])) for table in TABLES}
    assert new == {
        "openplatform_app": ["is_sign_tested"], "openplatform_notification": ["replayed_at", "troubles_count"],
        "openplatform_notificationattempt": ["kind"],
    }  # fmt: skip
    app = harness.an_app()
    owe_as_before(app.pk, URLS[0], number=1)
    with connection.cursor() as cursor:
        names = ", ".join(known["openplatform_app"])
        values = names.replace("app_id", "app_id + 1", 1)
        cursor.execute(f"INSERT INTO openplatform_app ({names}) SELECT {values} FROM openplatform_app")
    row, attempt = Notification.objects.get(), NotificationAttempt.objects.get()
    assert (row.troubles_count, row.replayed_at, attempt.kind) == (0, None, AttemptKind.SCHEDULED)
    assert App.objects.get(pk=app.pk + 1).is_sign_tested is False
