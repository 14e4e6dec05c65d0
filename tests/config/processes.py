"""Real processes under test: started with a mark in their environment, read, signalled, and counted afterwards."""

import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "FENPAY_TEST_MARK"


@dataclass
class Program:
    """A program and all that it started, in a process group of its own."""

    child: subprocess.Popen[bytes]
    mark: str
    source: int
    seen: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        return self.seen.decode("utf-8", "replace")

    def read_until(self, wanted: str, *, within_s: float) -> str:
        """Everything printed so far, as soon as `wanted` is in it."""
        deadline = time.monotonic() + within_s
        while wanted not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, f"no {wanted!r} within {within_s} s in:\n{self.text}"
            self._read(min(left, 0.2))
        return self.text

    def wait(self, *, within_s: float) -> int:
        """The exit status; what is still printed is read, so that nobody waits for a full pipe."""
        deadline = time.monotonic() + within_s
        while self.child.poll() is None:
            assert time.monotonic() < deadline, f"still running after {within_s} s:\n{self.text}"
            self._read(0.1)
        while self._read(0):
            pass
        return self.child.returncode

    def signal(self, number: int) -> None:
        self.child.send_signal(number)

    def alive(self) -> dict[int, str]:
        """Who of it still runs, by process id: found by the mark, whoever their parent is by now."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):
                if f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes():
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z":
                        found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        return found

    def wait_until_gone(self, *, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while left := self.alive():
            assert time.monotonic() < deadline, f"still there after {within_s} s: {left}"
            time.sleep(0.05)

    def find(self, words: str) -> list[int]:
        return sorted(pid for pid, command in self.alive().items() if words in command)

    def _read(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self.source], [], [], timeout_s)
        if not ready:
            return False
        try:
            chunk = os.read(self.source, 65_536)
        except OSError:  # the other side of a pseudo terminal is closed
            return False
        self.seen += chunk
        return bool(chunk)


@contextmanager
def running(
    command: Sequence[str], *, env: Mapping[str, str | None] | None = None, cwd: Path = ROOT, terminal: bool = False
) -> Iterator[Program]:
    """Run `command`; at the end nothing of it is left, whatever the test did. In `env`, None takes a variable away."""
    mark = secrets.token_hex(8)
    source, sink = os.openpty() if terminal else os.pipe()
    child = subprocess.Popen(
        list(command),
        stdin=sink if terminal else subprocess.DEVNULL,
        stdout=sink,
        stderr=sink,
        cwd=cwd,
        env={name: value for name, value in {**os.environ, **(env or {}), MARK: mark}.items() if value is not None},
        start_new_session=True,
        preexec_fn=_take_terminal if terminal else None,  # noqa: PLW1509 - no thread of ours holds a lock here
    )
    os.close(sink)
    program = Program(child=child, mark=mark, source=source)
    try:
        yield program
    finally:
        for _ in range(100):
            for pid in program.alive():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if child.poll() is not None and not program.alive():
                break
            time.sleep(0.05)
        child.wait(timeout=10)
        os.close(source)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
