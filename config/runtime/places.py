"""Where the embedded servers keep their data and their sockets. Settings and launchers compute the same answer."""

import hashlib
import os
import pwd
import stat
import tempfile
from pathlib import Path
from urllib.parse import quote

SOCKET_PATH_MAX = 107  # bytes; the kernel's limit for an AF_UNIX path
LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"
DATABASE = "fenpay"
UNPRIVILEGED_USER = "nobody"


class UnsafeDirectoryError(RuntimeError):
    """A directory that only we may use is somebody else's; the message names it."""


def socket_dir(data_dir: Path) -> Path:
    """The directory of both servers' sockets: inside `data_dir`, or a hashed one in /tmp when that path is too long."""
    inside = data_dir.absolute() / "run"
    if len(os.fsencode(inside / LONGEST_SOCKET_NAME)) <= SOCKET_PATH_MAX:
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"fenpay-{os.getuid()}-{digest}"


def server_user() -> str | None:
    """The user that PostgreSQL runs as, which refuses to be root; None when that is simply who we are."""
    return UNPRIVILEGED_USER if os.geteuid() == 0 else None


def server_uid() -> int:
    user = server_user()
    return pwd.getpwnam(user).pw_uid if user else os.geteuid()


def make_private(directory: Path, *, owner: int | None = None) -> None:
    """Make `directory` with mode 0700, for user id `owner` (we, unless we are root and say otherwise).

    In /tmp anybody may have been faster: a link, or a directory of somebody else, is refused and not followed.

    Raises:
        UnsafeDirectoryError: it exists and is not a directory of ours.
    """
    owner = os.geteuid() if owner is None else owner
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), owner}:
            raise UnsafeDirectoryError(f"{directory} is not a directory of ours: remove it") from None
    if directory.lstat().st_uid != owner:
        os.chown(directory, owner, -1, follow_symlinks=False)
    directory.chmod(0o700)


def database_url(data_dir: Path) -> str:
    return f"postgresql://postgres@/{DATABASE}?host={quote(str(socket_dir(data_dir)))}"


def valkey_socket(data_dir: Path) -> Path:
    return socket_dir(data_dir) / "valkey.sock"


def broker_url(data_dir: Path) -> str:
    return f"redis+socket://{quote(str(valkey_socket(data_dir)))}"


def redis_url(data_dir: Path) -> str:
    return f"unix://{quote(str(valkey_socket(data_dir)))}"
