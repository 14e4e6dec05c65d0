"""Starting a child that cannot outlive us, and stopping it with everything that it started."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
STOP_TIMEOUT_S = 15.0


def tie_to_parent(parent_pid: int, signal_number: int) -> None:
    """Ask the kernel to send this process `signal_number` when `parent_pid`, which forked it, dies.

    A parent that died before the request was made is noticed here: then we end at once. Linux only; elsewhere nothing
    is asked for, and the data directory's lock (config.runtime.lock) tells the next start that somebody is left.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent_pid:
            os._exit(1)


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    stdout: IO[bytes] | int | None = None,
    death_signal: int = signal.SIGTERM,
    keep_open: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Run `command` in a session of its own, so that a terminal's Ctrl-C reaches only us, and tie it to our life.

    `user` drops privileges to that user and its own group. `keep_open` are descriptors that the child inherits. Call
    it from the main thread: the kernel takes the death of the thread that forked for the death of the parent.
    """
    return subprocess.Popen(  # noqa: S603 - commands are ours
        list(command),
        env=dict(env) if env is not None else None,
        cwd=cwd,
        user=user,
        group=group_of(user) if user else None,
        extra_groups=[] if user else None,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=tuple(keep_open),
        preexec_fn=_tie(death_signal),  # noqa: PLW1509 - runs after the change of user, which would undo the tie
    )


def group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def stop(
    child: subprocess.Popen[bytes], *, signal_number: int = signal.SIGTERM, timeout_s: float = STOP_TIMEOUT_S
) -> int:
    """Signal `child`, wait, and kill what is left of its session. Returns its exit status (negative: a signal)."""
    if child.poll() is None:
        child.send_signal(signal_number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout_s)
    kill_session(child)
    return child.wait()


def kill_session(child: subprocess.Popen[bytes]) -> None:
    """Kill `child` and whatever it left in its process group: nobody may hold a port or a lock after it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _tie(death_signal: int) -> Callable[[], None]:
    parent_pid = os.getpid()
    return lambda: tie_to_parent(parent_pid, death_signal)
