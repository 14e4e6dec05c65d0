"""The composition root. Celery's application is made with it, so that every process publishes to the same broker."""

import gc

# Python looks for garbage after each 700 new objects: an eighth of a process's start, in which nearly all of them stay.
gc.set_threshold(20_000, 20, 20)

from config.celery import app as celery_app  # noqa: E402 - this is where the objects come from

__all__ = ["celery_app"]
