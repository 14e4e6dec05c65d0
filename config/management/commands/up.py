"""`manage.py up`: the whole of fenpay in one terminal, with servers of its own and the outside world in a box."""

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import environment as env
from config.runtime import development, lock, places, welcome
from config.runtime.postgres import EmbeddedPostgresUnavailableError
from config.runtime.supervisor import Supervisor
from config.runtime.valkey import EmbeddedValkeyUnavailableError

REFUSALS = (
    lock.DataDirectoryInUseError,
    places.UnsafeDirectoryError,
    development.PortInUseError,
    EmbeddedPostgresUnavailableError,
    EmbeddedValkeyUnavailableError,
)


class Command(BaseCommand):
    help = "Run everything on this machine: database, broker, sandbox, demo merchant, workers and web. Ctrl-C stops it."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        local_dir = Path(settings.LOCAL_DIR).absolute()
        local_dir.mkdir(parents=True, exist_ok=True)
        try:
            status = self._run(local_dir)
        except REFUSALS as refusal:
            raise CommandError(str(refusal)) from refusal
        if status:
            raise SystemExit(status)

    def _run(self, local_dir: Path) -> int:
        held = lock.acquire(local_dir)
        try:
            ports = development.Ports.from_environment()
            ports.check_free()
            variables = development.environment(local_dir=local_dir, ports=ports)
            development.write_env_file(local_dir / "env", variables)
            seeded: list[str] = []
            supervisor = Supervisor(env=variables, cwd=env.BASE_DIR, out=sys.stdout, keep_open=[held])
            return supervisor.run(
                development.stages(local_dir=local_dir, ports=ports, seeded=seeded),
                announce=lambda: print(
                    welcome.text(seeded=seeded, local_dir=local_dir, ports=ports), file=sys.stdout, flush=True
                ),
            )
        finally:
            os.close(held)
