"""Starting a child that cannot outlive us, and stopping it politely."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1


def die_with_parent(signal_number: int) -> None:
    """Ask the kernel to send us `signal_number` when our parent dies. Linux only; elsewhere it does nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number)


def start(  # noqa: PLR0913 - one call, all named, mirrors Popen
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    stdout: IO[bytes] | int | None = None,
    death_signal: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Run `command` in a session of its own, so that a terminal's Ctrl-C reaches only us, and tie it to our life."""
    return subprocess.Popen(  # noqa: S603 - commands are ours
        list(command),
        env=dict(env) if env is not None else None,
        cwd=cwd,
        user=user,
        extra_groups=[] if user else None,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: die_with_parent(death_signal),  # noqa: PLW1509 - started from the main thread, before any other
    )


def stop(process: subprocess.Popen[bytes], *, signal_number: int = signal.SIGTERM, timeout_s: float = 15) -> int:
    """Signal `process`, wait, and kill its whole session if it does not go. Returns its exit status."""
    if process.poll() is None:
        process.send_signal(signal_number)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode
