"""Every run of the tests has its own PostgreSQL and its own Valkey, in a directory that is removed at the end.

The controller starts them; pytest-xdist's workers find them through the environment (config/settings_test.py).
"""

import os
import shutil
from pathlib import Path

import pytest

_servers: list = []


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    from config.runtime.postgres import Postgres
    from config.runtime.valkey import Valkey

    data_dir = Path(os.environ["FENPAY_LOCAL_DIR"])
    data_dir.chmod(0o711)  # the server's own user must be able to pass through
    for server in (Postgres(data_dir, fast=True), Valkey(data_dir)):
        server.start()
        _servers.append(server)


def pytest_unconfigure(config: pytest.Config) -> None:
    for server in reversed(_servers):
        server.stop()
    if _servers:
        shutil.rmtree(os.environ["FENPAY_LOCAL_DIR"], ignore_errors=True)
