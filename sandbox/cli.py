"""`python -m sandbox`: init, serve, demo-merchant."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from sandbox import identity

PACKAGE = Path(__file__).resolve().parent


def main(arguments: Sequence[str]) -> int:
    """Run one command. `serve` and `demo-merchant` are their server from then on, and return when it ends."""
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sandbox", description="A wire-true stand-in for WeChat Pay, Alipay and UnionPay."
    )
    commands = parser.add_subparsers(required=True)

    init = commands.add_parser("init", help="make keys, certificates and numbers, once")
    _common(init)
    init.set_defaults(run=_init)

    serve = commands.add_parser("serve", help="run the sandbox server")
    _common(serve)
    serve.add_argument("--bind", default="127.0.0.1:8001", help="HOST:PORT or fd://N")
    serve.add_argument("--backup-bind", default="", help="the backup host: a second HOST:PORT or fd://N")
    serve.add_argument("--seed", type=int, default=0, help="of every random choice; 0 draws one and logs it")
    serve.add_argument("--compress", type=float, default=1.0, help="divide the platform's waiting times by this")
    serve.add_argument("--allow-http-notify", action="store_true", help="accept http and private notify_urls")
    serve.add_argument("--test-values", action=argparse.BooleanOptionalAction, default=True)
    serve.add_argument("--redirect-host", action="append", default=[], help="a host to send browsers back to")
    serve.add_argument("--refund-seconds", type=float, default=5.0, help="PROCESSING to SUCCESS, before compression")
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo-merchant", help="run the demo merchant")
    demo.add_argument("--dir", type=Path, required=True)
    demo.add_argument("--config", type=Path, required=True, help='{"app_id": "...", "platform_keys": {serial: PEM}}')
    demo.add_argument("--bind", default="127.0.0.1:8002")
    demo.set_defaults(run=_demo_merchant)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", type=Path, required=True, help="where the sandbox keeps everything")
    parser.add_argument("--base-url", default="http://127.0.0.1:8001", help="how others reach it")


def _init(options: argparse.Namespace) -> int:
    made = identity.make(options.dir.resolve(), base_url=options.base_url)
    sys.stdout.write(f"sandbox identity: {made}\n")
    return 0


def _serve(options: argparse.Namespace) -> int:
    backup = _backup_url(options)
    identity.make(options.dir.resolve(), base_url=options.base_url, backup_url=backup)
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "sandbox.settings",
            "SANDBOX_DIR": str(options.dir.resolve()),
            "SANDBOX_COMPRESS": str(options.compress),
            "SANDBOX_ALLOW_HTTP_NOTIFY": str(int(options.allow_http_notify)),
            "SANDBOX_TEST_VALUES": str(int(options.test_values)),
            "SANDBOX_REDIRECT_HOSTS": ",".join(options.redirect_host),
            "SANDBOX_REFUND_SECONDS": str(options.refund_seconds),
            "SANDBOX_BASE_URL": options.base_url,
            "SANDBOX_BACKUP_PORT": backup.rpartition(":")[2] or "0",
            "SANDBOX_SEED": str(options.seed),
        }
    )
    _migrate()
    sys.stdout.write(
        f"control page: {options.base_url}/_sandbox/ (its token: control_token in {options.dir}/identity.json)\n"
    )
    binds = [options.bind, *filter(None, [options.backup_bind])]
    return _become_server("sandbox.wsgi:application", config="gunicorn_conf.py", binds=binds)


def _backup_url(options: argparse.Namespace) -> str:
    """How others reach the backup host: as the first one, on the second port."""
    if not options.backup_bind:
        return ""
    named = options.backup_bind
    if named.startswith("fd://"):
        with socket.socket(fileno=os.dup(int(named.removeprefix("fd://")))) as listener:
            port = listener.getsockname()[1]
    else:
        port = int(named.rpartition(":")[2])
    parts = urlsplit(options.base_url)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _demo_merchant(options: argparse.Namespace) -> int:
    directory = options.dir.resolve()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "sandbox.demomerchant.settings",
            "DEMO_MERCHANT_DIR": str(directory),
            "DEMO_MERCHANT_CONFIG": str(options.config.resolve()),
        }
    )
    _migrate()
    return _become_server(
        "sandbox.demomerchant.wsgi:application", config="demomerchant/gunicorn_conf.py", binds=[options.bind]
    )


def _migrate() -> None:
    import django  # noqa: PLC0415 - the settings are chosen by now
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode=WAL")  # the file remembers it; per connection it would wait for writers
    connection.close()


def _become_server(application: str, *, config: str, binds: Sequence[str]) -> int:
    """Be gunicorn from here on, so that whoever started us watches and stops the server itself.

    In this process, not in one that replaces it: what it has imported by now, its worker inherits.
    """
    from gunicorn.app.wsgiapp import WSGIApplication  # noqa: PLC0415 - takes its time, and `init` needs none of it

    sys.stdout.write(f"{application.partition('.')[0]}: {application} on {', '.join(binds)}\n")
    sys.stdout.flush()
    bound = [argument for bind in binds for argument in ("--bind", bind)]
    sys.argv = ["gunicorn", "--config", str(PACKAGE / config), *bound, application]
    WSGIApplication(prog="gunicorn").run()
    return 0
