"""What `manage.py up` runs, in which order, and with which environment: a whole payment world on one machine."""

import http.client
import os
import shlex
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config import environment as env
from config.runtime import local_secrets
from config.runtime.postgres import START_TIMEOUT_S as POSTGRES_START_TIMEOUT_S
from config.runtime.postgres import Postgres
from config.runtime.supervisor import Job, Stage, python
from config.runtime.valkey import Valkey
from payments.channels.registry import CHANNELS

HOST = "127.0.0.1"
PROBE_TIMEOUT_S = 0.5


class PortInUseError(RuntimeError):
    """Somebody listens there already; the message names the port and the variable that chooses another."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where the three web servers listen, on this machine only."""

    web: int
    sandbox: int
    demo: int

    @classmethod
    def from_environment(cls) -> "Ports":
        return cls(
            web=env.number("WEB_PORT", 8000),
            sandbox=env.number("SANDBOX_PORT", 8001),
            demo=env.number("DEMO_PORT", 8002),
        )

    def check_free(self) -> None:
        """Raise PortInUseError now, instead of a traceback in the middle of a start."""
        for name, port in (("WEB_PORT", self.web), ("SANDBOX_PORT", self.sandbox), ("DEMO_PORT", self.demo)):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                    probe.listen(1)
                except OSError as error:
                    raise PortInUseError(
                        f"port {port} is not free ({error.strerror}): stop what listens there, or set {name} to another"
                    ) from error


def environment(*, local_dir: Path, ports: Ports) -> dict[str, str]:
    """The variables of all children: ours, over defaults for development, over nothing.

    What the operator has set wins over the defaults here, so a real database or broker needs only its URL.
    """
    web = f"http://{HOST}:{ports.web}"
    defaults = {
        "FENPAY_LOCAL_DIR": str(local_dir),
        "PUBLIC_BASE_URL": web,
        "NOTIFICATION_ALLOW_HTTP": "1",
        "NOTIFICATION_PRIVATE_HOSTS": f"{HOST}:{ports.demo}",
        "CHANNEL_PRIVATE_HOSTS": f"{HOST}:{ports.sandbox}",
        "CASHIER_SANDBOX": "1",
        "WEB_PORT": str(ports.web),
        "SANDBOX_PORT": str(ports.sandbox),
        "DEMO_PORT": str(ports.demo),
        "TRACING": "console",
        "LOG_FORMAT": "text",
        "ACCESS_LOG": "1",
        # The C library's resolver waits 10 s for a dead name server otherwise, outside every deadline of ours.
        "RES_OPTIONS": "timeout:1 attempts:1",
    }
    return {**local_secrets.environment(local_dir / "secrets"), **defaults, **_inherited(), "PYTHONUNBUFFERED": "1"}


def _inherited() -> Mapping[str, str]:
    # Each program names its own settings; the sandbox must not be given ours.
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}


def write_env_file(path: Path, variables: Mapping[str, str]) -> None:
    """Keep what a second terminal needs to run `manage.py` in the same world: `set -a; . .local/env`."""
    added = {name: value for name, value in variables.items() if os.environ.get(name) != value}
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in sorted(added.items())]
    path.write_text("".join(lines), encoding="utf-8")
    path.chmod(0o600)


def stages(*, local_dir: Path, ports: Ports, seeded: list[str]) -> Sequence[Stage]:
    """Servers, schema, demo data, the outside world, and then us. `seeded` takes the lines that the seed prints."""
    sandbox = ("--dir", str(local_dir / "sandbox"), "--base-url", f"http://{HOST}:{ports.sandbox}")
    notify_url = f"http://{HOST}:{ports.demo}/notify"
    return [
        _servers(local_dir),
        [
            Job(name="migrate", command=_manage("migrate", "--verbosity", "0"), is_task=True),
            Job(name="sandbox", command=python("-m", "sandbox", "init", *sandbox), is_task=True),
        ],
        [Job(name="seed", command=_manage("seed_demo", "--notify-url", notify_url), is_task=True, collect=seeded)],
        [_sandbox(sandbox, port=ports.sandbox), _demo_merchant(local_dir / "demo", port=ports.demo)],
        [
            _worker("worker", queues=("default", "notifications"), concurrency=4),
            # One each, as in production: a channel that hangs holds up nobody but itself.
            *(_worker(channel, queues=(f"channel.{channel}",), concurrency=2) for channel in CHANNELS),
            _worker("bills", queues=("bills",), concurrency=1),
            _beat(),
            _web(port=ports.web),
        ],
    ]


def _sandbox(arguments: Sequence[str], *, port: int) -> Job:
    command = python("-m", "sandbox", "serve", *arguments, "--bind", f"{HOST}:{port}", "--allow-http-notify")
    return Job(name="sandbox", command=command, ready=answers(port, "/healthz"))


def _demo_merchant(directory: Path, *, port: int) -> Job:
    command = python(
        "-m", "sandbox", "demo-merchant", "--dir", str(directory / "merchant"),
        "--config", str(directory / "merchant.json"), "--bind", f"{HOST}:{port}",
    )  # fmt: skip
    return Job(name="demo", command=command, ready=answers(port, "/healthz"))


def _worker(name: str, *, queues: Sequence[str], concurrency: int) -> Job:
    command = python(
        "-W", "ignore:You're running the worker with superuser privileges",  # on a machine of one's own that is fine
        "-m", "celery", "--quiet", "-A", "config.celery", "worker", "-n", f"{name}@%h", "-Q", ",".join(queues),
        "--concurrency", str(concurrency), "--loglevel", "INFO",
        "--without-gossip", "--without-mingle", "--without-heartbeat",
    )  # fmt: skip
    # Killed with us: a cold stop, because the broker that a warm one wants to talk to is going too.
    return Job(name=name, command=command, ready_line=b" ready.", death_signal=signal.SIGQUIT)


def _beat() -> Job:
    command = python("-m", "celery", "--quiet", "-A", "config.celery", "beat", "--pidfile=")
    return Job(name="beat", command=command)


def _web(*, port: int) -> Job:
    command = python("-m", "gunicorn", "-c", "python:config.gunicorn", "config.wsgi:application")
    return Job(name="web", command=command, ready=answers(port, "/healthz"))


def _servers(local_dir: Path) -> Stage:
    """The embedded servers, each unless its URL was set: then somebody else's is used."""
    jobs = []
    if not env.text("DATABASE_URL"):
        postgres = Postgres(local_dir)
        jobs.append(
            Job(
                name="postgres",
                command=postgres.command(),
                prepare=postgres.prepare,
                ready=postgres.is_ready,
                ready_timeout_s=POSTGRES_START_TIMEOUT_S,
                cwd=postgres.cwd,
                user=postgres.user,
                stop_signal=signal.SIGINT,  # its fast shutdown; SIGTERM would wait for clients to leave
                death_signal=signal.SIGINT,
            )
        )
    if not env.text("REDIS_URL"):
        valkey = Valkey(local_dir)
        jobs.append(
            Job(name="valkey", command=valkey.command(), prepare=valkey.prepare, ready=valkey.is_ready, cwd=valkey.cwd)
        )
    return jobs


def _manage(*arguments: str) -> Sequence[str]:
    return python(str(env.BASE_DIR / "manage.py"), *arguments)


def answers(port: int, path: str) -> Callable[[], bool]:
    """Whether a GET of `path` gives 200."""

    def probe() -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe
