"""How a transactional test leaves the database as it found it, in some milliseconds.

Django empties every table and then makes all permissions and content types anew: a third of a second, more than a
thousand times. Here only what is not empty is emptied, and what every test finds from the beginning stays, unless the
test has changed it: then Django does it in its own way.
"""

from django.db import connection, transaction
from django.test import TransactionTestCase

KEPT = ("django_content_type", "auth_permission", "auth_group", "auth_group_permissions")


class Emptying:
    """Made when the tables have been made and nothing else is in them."""

    def __init__(self) -> None:
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        self.emptied = sorted(set(tables) - set(KEPT))
        self.kept = self._kept_rows()

    def take_over(self) -> None:
        """Be what a transactional test does at its end."""
        in_their_way, quickly = TransactionTestCase._fixture_teardown, self._quickly

        def _fixture_teardown(case: TransactionTestCase) -> None:
            if not quickly():
                in_their_way(case)

        TransactionTestCase._fixture_teardown = _fixture_teardown

    def _quickly(self) -> bool:
        if self._kept_rows() != self.kept:
            return False
        quote = connection.ops.quote_name
        looks = " UNION ALL ".join(f"(SELECT '{table}' FROM {quote(table)} LIMIT 1)" for table in self.emptied)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(looks)
            if filled := [quote(table) for (table,) in cursor.fetchall()]:
                # Neither triggers nor foreign keys: what is left is left everywhere. TRUNCATE would make new files of
                # all tables that refer to one of these.
                cursor.execute("SET LOCAL session_replication_role = replica")
                cursor.execute("; ".join(f"DELETE FROM {table}" for table in filled))
        return True

    def _kept_rows(self) -> list[tuple[str, str]]:
        texts = " UNION ALL ".join(
            f"SELECT '{table}', coalesce(string_agg(t::text, ' ' ORDER BY t::text), '') FROM {table} t"
            for table in KEPT
        )
        with connection.cursor() as cursor:
            cursor.execute(texts)
            return cursor.fetchall()
