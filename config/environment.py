"""Reading the environment: every setting comes from it, secrets also from a file named by `X_FILE`."""

import base64
import hmac
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent


def text(name: str, default: str = "") -> str:
    """The variable `name`, or the content of the file that `name`_FILE names, or `default`."""
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return os.environ.get(name, default)


def flag(name: str, *, default: bool) -> bool:
    return text(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


def number(name: str, default: int) -> int:
    return int(text(name, str(default)))


def seconds(name: str, default: float) -> float:
    return float(text(name, str(default)))


def listed(name: str, default: str = "") -> list[str]:
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def derived_key(key_id: str, master_key: str, *, purpose: str) -> str:
    """`ID:base64` of a key that follows from the master key, and only for `purpose`; "" without a master key."""
    if not master_key:
        return ""
    digest = hmac.digest(master_key.encode(), f"fenpay {purpose}".encode(), "sha256")
    return f"{key_id}:{base64.b64encode(digest).decode()}"


def local_dir() -> Path:
    """Where `manage.py up` keeps its servers' data and the secrets that it made; nothing else writes there."""
    return Path(text("FENPAY_LOCAL_DIR", str(BASE_DIR / ".local")))


def is_same_server(one: str, other: str) -> bool:
    """Whether two URLs name one server, whatever the schemes and the databases in it."""
    first, second = urlsplit(one), urlsplit(other)
    if first.hostname or second.hostname:
        return (first.hostname, first.port) == (second.hostname, second.port)
    return first.path == second.path


def database(url: str, *, options: dict[str, Any]) -> dict[str, Any]:
    """`postgresql://user:password@host:port/name?host=/socket/dir` as a Django DATABASES entry."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError(f"DATABASE_URL must start with postgresql://, not {parts.scheme}://")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or query.pop("user", "")),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or query.pop("port", "")),
        "OPTIONS": options | query,
    }
