"""Settings of a test run: the same file, on servers of its own in a fresh directory.

pytest-django imports settings before any conftest runs, so the directory is chosen here; worker processes of
pytest-xdist inherit it through the environment. conftest.py starts the servers.
"""

import base64
import os
import tempfile

if "FENPAY_LOCAL_DIR" not in os.environ:
    os.environ["FENPAY_LOCAL_DIR"] = tempfile.mkdtemp(prefix="fenpay-test-")
os.environ.setdefault("SECRET_KEY", "only-for-tests-only-for-tests-only-for-tests-00")
os.environ.setdefault("MASTER_KEY", base64.b64encode(bytes(range(32))).decode())
os.environ.setdefault("IDGEN_PUBLIC_KEYS", "T:" + base64.b64encode(bytes(range(32, 64))).decode())
os.environ.setdefault("LOG_FORMAT", "text")

from config.settings import *  # noqa: F403

TARGET_FROM_PATH = True
WHITENOISE_AUTOREFRESH = True  # every test's client is a server that starts: none of them reads all static files
REDIS_TIMEOUT_S = 2.0  # on a busy machine a store that is well answers late
HINTS_ENABLED = False  # a test decides itself when a worker runs
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # operators' logins in tests only
