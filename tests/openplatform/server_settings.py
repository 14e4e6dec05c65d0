"""Settings of a real web server that serves the tests' own views: nothing of the test client's allowances is on."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "tests.openplatform.echo_urls"
HINTS_ENABLED = False
