"""One `up` per data directory, and none while something of the last one is still alive.

The lock is an open file description: children that inherit it hold it too, so it is free exactly when the last of
them is gone, however they went. Valkey needs this most: a second server on the same socket would silently take it
over and write into the same files.
"""

import fcntl
import os
import time
from pathlib import Path

LAST_ONE_LEAVES_S = 10.0  # children of a killed supervisor are still shutting down


class DataDirectoryInUseError(RuntimeError):
    """Another run holds the directory; the message names it."""


def acquire(data_dir: Path, *, wait_s: float = LAST_ONE_LEAVES_S) -> int:
    """Lock `data_dir` for this process and those that inherit the descriptor that is returned.

    Raises:
        DataDirectoryInUseError: somebody else still holds it after `wait_s` seconds.
    """
    path = data_dir / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            # A supervisor that lives will not go away; only children that it left behind are worth a wait.
            if _is_alive(holder) or time.monotonic() > deadline:
                os.close(descriptor)
                raise DataDirectoryInUseError(
                    f"{data_dir} is in use by another run (process {holder}): stop it first,"
                    " or set FENPAY_LOCAL_DIR to another directory"
                ) from None
            time.sleep(0.1)
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
            return descriptor


def _is_alive(holder: str) -> bool:
    try:
        os.kill(int(holder), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
