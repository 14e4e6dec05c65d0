"""Everything in one terminal: start in order, watch, and stop in reverse, leaving nothing behind.

One thread does it all, because the kernel ties a child to the *thread* that forked it. Log lines of all children pass
through here with a prefix. Whatever happens to us, the children end: they are asked on Ctrl-C or SIGTERM, and the
kernel asks them when we are killed (config.runtime.process).
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from config.runtime import process

LINE_BYTES_MAX = 65_536  # a child that never ends its line must not fill our memory
READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05
SECOND_SIGNAL_S = 1.0  # a terminal and `make` may both pass on the same Ctrl-C
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One program. A service is ready when `ready` says so or `ready_line` was seen; a task, when it exits with 0."""

    name: str
    command: Sequence[str]
    is_task: bool = False
    prepare: Callable[[], None] | None = None
    ready: Callable[[], bool] | None = None
    ready_line: bytes = b""
    ready_timeout_s: float = READY_TIMEOUT_S
    env: Mapping[str, str] = field(default_factory=dict)  # on top of the environment that all have
    cwd: Path | None = None
    user: str | None = None
    collect: list[str] | None = None  # takes its lines too
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGTERM


Stage = Sequence[Job]
"""Jobs that start together; the next stage starts when all of them are ready."""


class Stopped(Exception):
    """A signal asked us to stop."""


class JobFailed(Exception):
    """A child ended that should not have, or did not get ready in time; the message is for the operator."""


@dataclass(eq=False)
class _Running:
    job: Job
    child: subprocess.Popen[bytes]
    deadline: float
    buffer: bytearray = field(default_factory=bytearray)
    seen_line: bool = False
    is_ready: bool = False


class Supervisor:
    """Runs stages of jobs until it is told to stop or one of them ends.

    `env` is the whole environment of the children, `keep_open` are descriptors that all of them inherit.
    """

    def __init__(self, *, env: Mapping[str, str], cwd: Path, out: IO[str], keep_open: Sequence[int] = ()) -> None:
        self._env = env
        self._cwd = cwd
        self._out = out
        self._keep_open = keep_open
        self._running: list[_Running] = []
        self._selector = selectors.DefaultSelector()
        self._signals: list[float] = []
        self._colour = out.isatty() and "NO_COLOR" not in os.environ
        self._stages: Sequence[Stage] = []
        self._names: list[str] = []
        self._width = 0

    def run(self, stages: Sequence[Stage], *, announce: Callable[[], None]) -> int:
        """Start `stages` in order, call `announce` when all are ready, then watch. Returns the exit status for us.

        0: a signal asked us to stop. 1: a child ended by itself or never got ready; the reason was printed.
        """
        self._stages = stages
        self._names = [job.name for stage in stages for job in stage]
        self._width = max(map(len, self._names), default=0)
        before = {number: signal.signal(number, self._on_signal) for number in _stop_signals()}
        try:
            for stage in stages:
                self._bring_up(stage)
            announce()
            while True:
                self._turn()
        except Stopped:
            self.say("stopping")
            return 0
        except JobFailed as failure:
            self.say(f"{failure}; stopping the rest")
            return 1
        finally:
            self._stop_all()
            for number, handler in before.items():
                signal.signal(number, handler)

    def say(self, text: str) -> None:
        self._print("up", text.encode())

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals.append(time.monotonic())

    def _bring_up(self, stage: Stage) -> None:
        started = [self._start(job) for job in stage]
        while not all(running.is_ready for running in started):
            self._turn()

    def _start(self, job: Job) -> _Running:
        self._stop_if_asked()
        if job.prepare is not None:
            job.prepare()
        child = process.start(
            job.command,
            env={**self._env, **job.env},
            cwd=job.cwd or self._cwd,
            user=job.user,
            stdout=subprocess.PIPE,
            death_signal=job.death_signal,
            keep_open=self._keep_open,
        )
        running = _Running(job=job, child=child, deadline=time.monotonic() + job.ready_timeout_s)
        self._running.append(running)
        if child.stdout is not None:
            os.set_blocking(child.stdout.fileno(), False)
            self._selector.register(child.stdout, selectors.EVENT_READ, running)
        return running

    def _turn(self) -> None:
        """Pass on what was printed, then look for signals, ends and readiness."""
        self._pump(POLL_S)
        self._stop_if_asked()
        for running in list(self._running):
            if running.child.poll() is not None:
                self._ended(running)
            elif not running.is_ready:
                self._look(running)

    def _stop_if_asked(self) -> None:
        if self._signals:
            raise Stopped

    def _ended(self, running: _Running) -> None:
        self._drain(running)
        status = running.child.returncode
        if not running.job.is_task or status != 0:
            raise JobFailed(f"{running.job.name} exited with {status}")
        self._forget(running)
        running.is_ready = True

    def _look(self, running: _Running) -> None:
        job = running.job
        if job.is_task:
            done = False
        elif job.ready_line:
            done = running.seen_line
        else:
            done = job.ready is None or job.ready()
        if not done and time.monotonic() > running.deadline:
            raise JobFailed(f"{job.name} was not ready within {job.ready_timeout_s:.0f} s")
        running.is_ready = done

    def _pump(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            self._read(key.data)

    def _read(self, running: _Running) -> bool:
        """Take one chunk of a child's output and print its whole lines. False: nothing more to read for now."""
        pipe = running.child.stdout
        if pipe is None or pipe.closed:
            return False
        try:
            chunk = os.read(pipe.fileno(), LINE_BYTES_MAX)
        except BlockingIOError:
            return False
        if not chunk:
            self._selector.unregister(pipe)
            pipe.close()
            return False
        running.buffer += chunk
        *lines, rest = bytes(running.buffer).split(b"\n")
        running.buffer = bytearray(rest)
        if len(rest) > LINE_BYTES_MAX:
            lines.append(rest)
            running.buffer.clear()
        for line in lines:
            self._line(running, line)
        return True

    def _line(self, running: _Running, line: bytes) -> None:
        if running.job.ready_line and running.job.ready_line in line:
            running.seen_line = True
        if running.job.collect is not None:
            running.job.collect.append(line.decode("utf-8", "replace"))
        self._print(running.job.name, line)

    def _drain(self, running: _Running) -> None:
        while self._read(running):
            pass
        if running.buffer:
            self._line(running, bytes(running.buffer))
            running.buffer.clear()

    def _print(self, name: str, line: bytes) -> None:
        prefix = f"{name:<{self._width}} | "
        if self._colour and name in self._names:
            prefix = f"\x1b[{COLOURS[self._names.index(name) % len(COLOURS)]}m{prefix}\x1b[0m"
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        try:
            self._out.write(f"{prefix}{text}\n")
            self._out.flush()
        except OSError:  # the terminal is gone, and with it whoever would have pressed Ctrl-C
            self._signals = self._signals or [time.monotonic()]

    def _stop_all(self) -> None:
        """In reverse order of their start, those of one stage together."""
        for stage in reversed(self._stages):
            started = [running for running in self._running if running.job in stage]
            for running in started:
                if running.child.poll() is None:
                    running.child.send_signal(running.job.stop_signal)
            deadline = time.monotonic() + STOP_TIMEOUT_S
            for running in reversed(started):
                self._wait_for(running, deadline=deadline)
                process.kill_session(running.child)
                running.child.wait()
                self._drain(running)
                self._forget(running)

    def _wait_for(self, running: _Running, *, deadline: float) -> None:
        while running.child.poll() is None:
            if self._is_impatient() or time.monotonic() > deadline:
                self.say(f"{running.job.name} does not stop: killed")
                return
            self._pump(POLL_S)

    def _is_impatient(self) -> bool:
        """Ctrl-C was pressed again: nobody wants to wait."""
        return len(self._signals) > 1 and self._signals[-1] - self._signals[0] > SECOND_SIGNAL_S

    def _forget(self, running: _Running) -> None:
        self._running.remove(running)
        process.kill_session(running.child)
        pipe = running.child.stdout
        if pipe is not None and not pipe.closed:
            self._selector.unregister(pipe)
            pipe.close()


def _stop_signals() -> Sequence[int]:
    return [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def python(*arguments: str) -> Sequence[str]:
    """A command of this interpreter, whose output is not held back."""
    return [sys.executable, "-u", *arguments]
