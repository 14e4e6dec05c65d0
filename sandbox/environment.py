"""How this sandbox was started: what `python -m sandbox serve` puts into the environment, typed."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True, kw_only=True)
class Environment:
    """`compress` divides the platform's waiting times; browsers are sent back only to `redirect_hosts`."""

    directory: Path
    compress: float
    allow_http_notify: bool
    redirect_hosts: frozenset[str]
    test_values: bool
    refund_s: float
    base_url: str
    backup_port: int  # 0: there is no backup host
    seed: int  # 0: draw one


@lru_cache(maxsize=1)
def current() -> Environment:
    named = os.environ.get("SANDBOX_REDIRECT_HOSTS", "").split(",")
    base_url = os.environ.get("SANDBOX_BASE_URL", "http://127.0.0.1:8001").rstrip("/")
    return Environment(
        directory=Path(os.environ.get("SANDBOX_DIR", ".local/sandbox")),
        compress=float(os.environ.get("SANDBOX_COMPRESS", "1")),
        allow_http_notify=os.environ.get("SANDBOX_ALLOW_HTTP_NOTIFY") == "1",
        redirect_hosts=LOCAL_HOSTS | frozenset(filter(None, [*named, urlsplit(base_url).hostname])),
        test_values=os.environ.get("SANDBOX_TEST_VALUES", "1") == "1",
        refund_s=float(os.environ.get("SANDBOX_REFUND_SECONDS", "5")),
        base_url=base_url,
        backup_port=int(os.environ.get("SANDBOX_BACKUP_PORT", "0")),
        seed=int(os.environ.get("SANDBOX_SEED", "0")),
    )
