"""`manage.py up` with everything real: database, broker, sandbox, demo merchant, workers, beat and web."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from processes import ROOT, Program, python, running

from config.runtime import places

START_S = 120
STOP_S = 30
# What this test run has set for itself, and a clone does not have.
OURS = ("DJANGO_SETTINGS_MODULE", "SECRET_KEY", "MASTER_KEY", "IDGEN_PUBLIC_KEYS", "LOG_FORMAT", "TRACING")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="fenpay-up-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def ports() -> dict[str, str]:
    """Three ports that nobody has right now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(3)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        numbers = [str(probe.getsockname()[1]) for probe in probes]
    return dict(zip(("WEB_PORT", "SANDBOX_PORT", "DEMO_PORT"), numbers, strict=True))


def up(data_dir: Path, ports: Mapping[str, str], *, terminal: bool = False, **more: str):
    env = {**dict.fromkeys(OURS), "FENPAY_LOCAL_DIR": str(data_dir), **ports, **more}
    return running(python(str(ROOT / "manage.py"), "up"), env=env, terminal=terminal)


def ready(program: Program) -> str:
    return program.read_until("manage.py in the same world", within_s=START_S)


def seeded(text: str) -> dict[str, str]:
    (line,) = re.findall(r"seed\s*\| (?:\x1b\[0m)?(\{.*\})", text)
    return json.loads(line)


def status(port: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", path)
    return connection.getresponse().status


def is_a_whole_world(program: Program, text: str, *, data_dir: Path, ports: Mapping[str, str]) -> None:
    said = seeded(text)
    assert status(ports["WEB_PORT"], "/readyz") == 200
    for url in said["pay_code_urls"].values():
        # The page, or first off to the channel: who pays?
        assert status(ports["WEB_PORT"], url.partition(ports["WEB_PORT"])[2]) in {200, 302}
    assert status(ports["WEB_PORT"], "/console/login/") == 200
    assert status(ports["WEB_PORT"], "/static/config/error.css") == 200
    assert status(ports["SANDBOX_PORT"], "/phone/") == 200
    assert status(ports["DEMO_PORT"], "/") == 200
    login = json.loads((data_dir / "demo" / "console.json").read_text())
    wanted = (*said["pay_code_urls"].values(), said["console_url"], login["username"], login["password"])
    assert [each for each in (*wanted, "create-order") if each not in text] == []
    assert "Traceback" not in text
    assert "Received unregistered task" not in text


def test_one_command_brings_a_whole_world_up_that_no_death_of_a_part_leaves_in_pieces(
    data_dir: Path, ports: dict[str, str]
):
    """One world from its first start to its last, for a start is dear: the second `up`, the supervisor's death, the
    next start on the same data, and a worker's death.
    """
    with up(data_dir, ports) as first:
        text = ready(first)
        is_a_whole_world(first, text, data_dir=data_dir, ports=ports)

        with up(data_dir, dict.fromkeys(ports, "0")) as refused:
            assert refused.wait(within_s=30) == 1
            assert f"in use by another run (process {first.child.pid})" in refused.text
        assert status(ports["WEB_PORT"], "/healthz") == 200, "the first goes on"

        grandchildren = [pid for pid in first.alive() if _parent(pid) not in {first.child.pid, os.getpid()}]
        assert len(grandchildren) >= 10  # pool processes, web workers, the sandbox's, PostgreSQL's
        first.signal(signal.SIGKILL)
        first.child.wait()
        # At once, while they are still going: the lock waits for them.
        with up(data_dir, ports) as second:
            after = seeded(ready(second))
            first.wait_until_gone(within_s=1)
            assert after == seeded(text)

            (worker,) = [pid for pid in second.find("wechatpay@%h") if _parent(pid) == second.child.pid]
            os.kill(worker, signal.SIGKILL)
            assert second.wait(within_s=STOP_S) == 1
            assert "wechatpay exited with -9; stopping the rest" in second.text
            assert second.alive() == {}


def test_with_servers_of_somebody_else_ours_are_not_started_and_ctrl_c_takes_all_down(
    tmp_path: Path, ports: dict[str, str]
):
    theirs = Path(os.environ["FENPAY_LOCAL_DIR"])  # of this test run
    urls = {"DATABASE_URL": places.database_url(theirs), "REDIS_URL": places.redis_url(theirs)}
    with up(tmp_path, ports, terminal=True, BROKER_URL=places.broker_url(theirs), **urls) as program:
        is_a_whole_world(program, ready(program), data_dir=tmp_path, ports=ports)
        assert program.find("postgres -D") == []
        assert program.find("valkey-server") == []
        assert not (tmp_path / "postgres").exists()

        os.write(program.source, b"\x03")
        assert program.wait(within_s=STOP_S) == 0
        assert program.alive() == {}
        assert "does not stop" not in program.text


def test_a_port_that_is_taken_is_named_with_the_variable_that_chooses_another(tmp_path: Path, ports: dict[str, str]):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with up(tmp_path, {**ports, "SANDBOX_PORT": str(port)}) as program:
            assert program.wait(within_s=30) == 1
            assert f"port {port} is not free" in program.text
            assert "set SANDBOX_PORT to another" in program.text
            assert "Traceback" not in program.text
    assert not (tmp_path / "postgres").exists()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_there_is_a_worker_for_each_channel(tmp_path: Path):
    from config.runtime import development
    from payments.channels.registry import CHANNELS

    ports = development.Ports(web=1, sandbox=2, demo=3)
    jobs = [job for stage in development.stages(local_dir=tmp_path, ports=ports, seeded=[]) for job in stage]
    queues = {argument for job in jobs for argument in job.command}
    assert {f"channel.{name}" for name in CHANNELS} <= queues
