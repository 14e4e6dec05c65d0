"""Settings of a real web process of ours on a test's own database; a test decides when a worker runs."""

from config.settings import *  # noqa: F403

HINTS_ENABLED = False
