"""Writing to SQLite: one writer at a time, briefly.

SQLite lets one connection write and makes others poll for the lock; a lock inside the process queues them fairly.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

_writer = threading.RLock()


@contextmanager
def writing() -> Iterator[None]:
    """One short transaction. Never call the network in here."""
    with _writer, transaction.atomic():
        yield
