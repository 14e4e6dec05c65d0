"""The supervisor over small real programs. The same promises over the real ones: test_up.py."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from processes import python, running

DRIVER = Path(__file__).with_name("drive_supervisor.py")

SERVICE = "import time; print('serving', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('serving', flush=True)\ntime.sleep(600)"
)
WITH_CHILD = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print('serving', flush=True)\n"
    "time.sleep(600)"
)
SAYS_GOODBYE = (
    "import signal, sys, time\n"
    "def bye(*_):\n"
    "    print('bye', flush=True)\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, bye)\n"
    "print('serving', flush=True)\n"
    "time.sleep(600)"
)


def service(name: str, code: str = SERVICE, **more: object) -> dict[str, object]:
    return {"name": name, "code": code, "ready_line": "serving", **more}


def task(name: str, code: str) -> dict[str, object]:
    return {"name": name, "code": code, "is_task": True}


def drive(*stages: list[dict[str, object]], terminal: bool = False):
    return running(python(str(DRIVER), json.dumps(stages)), terminal=terminal)


def test_a_stage_starts_only_when_the_one_before_it_is_ready_and_its_tasks_are_done():
    slow = "import time; time.sleep(0.5); print('serving', flush=True); time.sleep(600)"
    with drive(
        [service("first", slow), task("job", "import time; time.sleep(0.7); print('done')")], [service("last")]
    ) as up:
        printed = up.read_until("ALL READY", within_s=20)

        assert printed.index("first | serving") < printed.index("last  | serving")
        assert printed.index("job   | done") < printed.index("last  | serving")


def test_ctrl_c_in_a_terminal_stops_everything_in_reverse_order_with_status_0():
    with drive([service("database", SAYS_GOODBYE)], [service("web", SAYS_GOODBYE)], terminal=True) as up:
        up.read_until("ALL READY", within_s=20)
        os.write(up.source, b"\x03")

        assert up.wait(within_s=10) == 0
        lines = [line.split("\x1b[0m")[-1].strip() for line in up.text.splitlines() if "bye" in line]
        order = [line for line in up.text.splitlines() if "bye" in line]
        assert lines == ["bye", "bye"]
        assert "web" in order[0]
        assert "database" in order[1]
        assert up.alive() == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_from_outside_stops_everything_with_status_0(number: signal.Signals):
    with drive([service("web")]) as up:
        up.read_until("ALL READY", within_s=20)
        up.signal(number)

        assert up.wait(within_s=10) == 0
        assert up.alive() == {}


def test_a_signal_while_a_service_is_not_ready_yet_stops_everything_too():
    with drive([service("web", "import time; time.sleep(600)")]) as up:
        deadline = time.monotonic() + 20
        while len(up.alive()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        up.signal(signal.SIGINT)

        assert up.wait(within_s=10) == 0
        assert up.alive() == {}


def test_when_one_child_is_killed_the_rest_stop_and_the_reason_is_printed():
    with drive([service("database")], [service("web"), service("worker", SERVICE + "  # worker")]) as up:
        up.read_until("ALL READY", within_s=20)
        (worker,) = up.find("# worker")[-1:]
        os.kill(worker, signal.SIGKILL)

        assert up.wait(within_s=10) == 1
        assert "worker exited with -9; stopping the rest" in up.text
        assert up.alive() == {}


def test_a_service_that_ends_by_itself_is_a_failure_even_with_status_0():
    with drive([service("web", "import time; print('serving', flush=True); time.sleep(0.5)")]) as up:
        assert up.wait(within_s=20) == 1
        assert "web exited with 0; stopping the rest" in up.text


def test_a_task_that_fails_stops_the_start_and_shows_its_last_words():
    with drive(
        [service("database")], [task("migrate", "import sys; sys.exit('no such table')")], [service("web")]
    ) as up:
        assert up.wait(within_s=20) == 1
        assert "migrate  | no such table" in up.text
        assert "migrate exited with 1; stopping the rest" in up.text
        assert "web" not in up.text.replace("stopping", "")
        assert up.alive() == {}


def test_a_service_that_never_gets_ready_is_given_up():
    with drive([service("web", "import time; time.sleep(600)", ready_timeout_s=0.5)]) as up:
        assert up.wait(within_s=20) == 1
        assert "web was not ready within 0 s" in up.text or "web was not ready within 1 s" in up.text
        assert up.alive() == {}


def test_killing_the_supervisor_itself_leaves_no_child():
    with drive([service("database"), service("web")]) as up:
        up.read_until("ALL READY", within_s=20)
        assert len(up.alive()) == 3
        up.signal(signal.SIGKILL)

        up.wait_until_gone(within_s=5)


def test_what_a_killed_child_has_started_is_killed_with_it():
    with drive([service("pool", WITH_CHILD)], [service("web")]) as up:
        up.read_until("ALL READY", within_s=20)
        (pool,) = up.find("subprocess.Popen")[-1:]
        os.kill(pool, signal.SIGKILL)

        assert up.wait(within_s=10) == 1
        assert up.alive() == {}


def test_a_second_ctrl_c_does_not_wait_for_a_child_that_will_not_go():
    with drive([service("stubborn", STUBBORN)]) as up:
        up.read_until("ALL READY", within_s=20)
        up.signal(signal.SIGINT)
        up.read_until("stopping", within_s=5)
        time.sleep(1.2)
        up.signal(signal.SIGINT)

        assert up.wait(within_s=5) == 0
        assert "stubborn does not stop: killed" in up.text
        assert up.alive() == {}


def test_a_line_without_an_end_is_shown_and_a_flood_does_not_block_anybody():
    flood = "print('x' * 5_000_000); print('serving', flush=True); import time; time.sleep(600)"
    with drive([service("web", flood)], [task("last", "import sys; sys.stdout.write('no newline')")]) as up:
        up.read_until("ALL READY", within_s=20)
        assert "last | no newline" in up.text


def test_prefixes_are_coloured_on_a_terminal_and_plain_in_a_pipe():
    with drive([service("web")], terminal=True) as up:
        assert "\x1b[36mweb | \x1b[0mserving" in up.read_until("ALL READY", within_s=20)
    with drive([service("web")]) as up:
        assert "\x1b[" not in up.read_until("ALL READY", within_s=20)
