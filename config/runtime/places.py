"""Where the embedded servers keep their data and their sockets. Settings and launchers compute the same answer."""

import hashlib
import os
import tempfile
from pathlib import Path

SOCKET_PATH_MAX = 107  # bytes; the kernel's limit for an AF_UNIX path


def socket_dir(data_dir: Path) -> Path:
    """The directory of both servers' sockets: inside `data_dir`, or a hashed one in /tmp when that path is too long."""
    inside = data_dir / "run"
    if len(os.fsencode(inside / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_MAX:
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"fenpay-{os.getuid()}-{digest}"


def database_url(data_dir: Path) -> str:
    return f"postgresql://postgres@/fenpay?host={socket_dir(data_dir)}"


def valkey_socket(data_dir: Path) -> Path:
    return socket_dir(data_dir) / "valkey.sock"


def broker_url(data_dir: Path) -> str:
    return f"redis+socket://{valkey_socket(data_dir)}"


def redis_url(data_dir: Path) -> str:
    return f"unix://{valkey_socket(data_dir)}"
