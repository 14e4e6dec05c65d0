"""What `manage.py up` says when everything runs: where to click, what to copy, and how to get in."""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from config.runtime.development import HOST, Ports


def text(*, seeded: Sequence[str], local_dir: Path, ports: Ports) -> str:
    """The block of links and commands. `seeded` is what seed_demo printed; its last line is a JSON object."""
    said = json.loads(seeded[-1])
    login = json.loads((local_dir / "demo" / "console.json").read_text(encoding="utf-8"))
    client = shlex.join(
        [_shown(Path(sys.executable)), "-m", "openplatform.client", "--config", _shown(said["client_config"])]
    )
    demo = f"http://{HOST}:{ports.demo}"
    lines = [
        "",
        "fenpay is ready. Ctrl-C stops everything; the next start finds its data again.",
        "",
        *(f"  cashier, {channel or 'any wallet':<14} {url}" for channel, url in said["pay_code_urls"].items()),
        f"  operator console        {said['console_url']}",
        f"                          login {login['username']}  password {login['password']}",
        f"  demo merchant           {demo}/",
        f"  the payer's phone       http://{HOST}:{ports.sandbox}/phone/",
        f"  payment sandbox         http://{HOST}:{ports.sandbox}/_sandbox/",
        f"                          token: control_token in {_shown(local_dir / 'sandbox' / 'identity.json')}",
        f"  signature workbench     http://{HOST}:{ports.web}/workbench/",
        "",
        "  A signed order for 40.3 yuan, in another terminal:",
        "",
        f"    {client} create-order --amount 40.3 --subject 'A coffee' \\",
        f"      --openid o-demo-payer --notify-url {demo}/notify --return-url {demo}/return",
        "",
        "  Open its cashier_url to pay it. With --curl it prints the same call as a signed curl command.",
        "",
        "  manage.py in the same world:",
        "",
        f"    set -a; . {_shown(local_dir / 'env')}; set +a; {_shown(Path(sys.executable))} manage.py shell",
        "",
    ]
    return "\n".join(lines)


def _shown(path: Path | str) -> str:
    """Short where that is possible, from the directory in which the command was given."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)
