"""The same request as a command, for those who want to see it."""

import shlex

from openplatform.client import signing
from openplatform.client.config import Config


def curl_command(config: Config, *, method: str, target: str, body: bytes) -> str:
    """One signed curl command. It works once, and within 300 seconds: the nonce and the timestamp are in it."""
    parts = ["curl", "-sS", "-i", "-X", method]
    for name, value in signing.request_headers(config, method=method, target=target, body=body).items():
        parts += ["-H", f"{name}: {value}"]
    if body:
        parts += ["--data-binary", body.decode()]
    return " ".join(shlex.quote(part) for part in [*parts, config.base_url + target])
