"""Which notifications are next: of each app the ones that have waited longest, at hosts that are not paused.

What a paused host is owed is never looked at, however much it is: the index of owed rows is read from one pair of app
and host to the next, HOSTS_MAX of each app, and at each only as far as there are places.
"""

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import BigIntegerField, CharField, QuerySet
from django.db.models.expressions import RawSQL

from openplatform.models import Notification, NotifyEndpoint
from openplatform.models.notification import NotificationStatus, in_hand, in_queue, told_host

HOSTS_MAX = 5_000  # of one app: whoever gives each order a host of its own must not hold up the others
_HOST = "split_part(notify_url, '/', 3)"  # as told_host() has it, and the index
_SQL = """
WITH RECURSIVE place (app_id, host, hosts_count) AS (
    (SELECT app_id, {host}, 1 FROM {notification} WHERE status = 'owed' AND {of_app} ORDER BY app_id, {host} LIMIT 1)
    UNION ALL
    SELECT following.app_id, following.host,
        CASE WHEN following.app_id = place.app_id THEN place.hosts_count + 1 ELSE 1 END
    FROM place CROSS JOIN LATERAL (
        SELECT app_id, {host} AS host FROM {notification}
        WHERE status = 'owed' AND {of_app} AND (app_id, {host}) > (
            CASE WHEN place.hosts_count < %s THEN place.app_id ELSE place.app_id + 1 END,
            CASE WHEN place.hosts_count < %s THEN place.host ELSE '' END
        )
        ORDER BY app_id, {host} LIMIT 1
    ) AS following
), place_that_answers AS MATERIALIZED (
    SELECT * FROM place WHERE NOT EXISTS (
        SELECT 1 FROM {endpoint} AS endpoint
        WHERE endpoint.app_id = place.app_id AND endpoint.host = place.host AND endpoint.paused_at IS NOT NULL
    )
), waiting AS (
    SELECT found.*, row_number() OVER (PARTITION BY place.app_id ORDER BY found.next_attempt_at, found.id) AS turn
    FROM place_that_answers AS place CROSS JOIN LATERAL ({first_of_place}) AS found
)
SELECT id FROM waiting WHERE turn <= %s ORDER BY next_attempt_at, id LIMIT %s
"""


def foremost(*, now: datetime, places: int, limit: int, app_id: int | None = None) -> list[int]:
    """Ids of what is due and in nobody's hands, at most `places` of each app, `limit` in all; of one app with `app_id`.

    Others may be faster: look again under the lock.
    """
    of_place = {"app_id": RawSQL("place.app_id", [], BigIntegerField()), "host": RawSQL("place.host", [], CharField())}
    due = free(now=now, **of_place).filter(next_attempt_at__lte=now).order_by("next_attempt_at", "pk")
    first_of_place, parameters = due.values("id", "next_attempt_at")[:places].query.sql_with_params()
    of_app = [] if app_id is None else [app_id]
    sql = _SQL.format(
        host=_HOST, of_app="app_id = %s" if of_app else "TRUE", first_of_place=first_of_place,
        notification=Notification._meta.db_table, endpoint=NotifyEndpoint._meta.db_table,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(sql, [*of_app, *of_app, HOSTS_MAX, HOSTS_MAX, *parameters, places, limit])
        return [found for (found,) in cursor.fetchall()]


def free(*, now: datetime, **place: Any) -> QuerySet[Notification]:
    """Owed, in nobody's hands, and nobody was woken for it a moment ago; of a `place`: `app`, `app_id`, `host`."""
    owed = Notification.objects.alias(host=told_host()).filter(status=NotificationStatus.OWED, **place)
    return owed.exclude(in_hand(now=now)).exclude(in_queue(now=now))
