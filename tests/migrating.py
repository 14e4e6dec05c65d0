"""Going back to an earlier schema for the length of a test, and forward again to the newest one."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.conftest import rest_truncate_triggers


@contextmanager
def schema_of(*targets: tuple[str, str]) -> Iterator[None]:
    """The database as it was at these migrations; after the block every migration is applied again."""
    try:
        MigrationExecutor(connection).migrate(list(targets))
        yield
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
        rest_truncate_triggers()
