"""`python -m sandbox`: init, serve, demo-merchant."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox import identity

PACKAGE = Path(__file__).resolve().parent


def main(arguments: Sequence[str]) -> int:
    """Run one command. `serve` and `demo-merchant` replace this process by their server and do not return."""
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox", description="A wire-true stand-in for WeChat Pay v3.")
    commands = parser.add_subparsers(required=True)

    init = commands.add_parser("init", help="make keys, certificates and numbers, once")
    _common(init)
    init.set_defaults(run=_init)

    serve = commands.add_parser("serve", help="run the sandbox server")
    _common(serve)
    serve.add_argument("--bind", default="127.0.0.1:8001", help="HOST:PORT or fd://N")
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
    identity.make(options.dir.resolve(), base_url=options.base_url)
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "sandbox.settings",
            "SANDBOX_DIR": str(options.dir.resolve()),
            "SANDBOX_COMPRESS": str(options.compress),
            "SANDBOX_ALLOW_HTTP_NOTIFY": str(int(options.allow_http_notify)),
            "SANDBOX_TEST_VALUES": str(int(options.test_values)),
            "SANDBOX_REDIRECT_HOSTS": ",".join(options.redirect_host),
            "SANDBOX_REFUND_SECONDS": str(options.refund_seconds),
        }
    )
    _migrate()
    return _become_server("sandbox.wsgi:application", config="gunicorn_conf.py", bind=options.bind)


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
        "sandbox.demomerchant.wsgi:application", config="demomerchant/gunicorn_conf.py", bind=options.bind
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


def _become_server(application: str, *, config: str, bind: str) -> int:
    """Replace this process by gunicorn, so that whoever started us watches and stops the server itself."""
    sys.stdout.write(f"{application.partition('.')[0]}: {application} on {bind}\n")
    sys.stdout.flush()
    found_by = [str(PACKAGE.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(found_by)
    command = [sys.executable, "-m", "gunicorn", "--config", str(PACKAGE / config), "--bind", bind, application]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter, no shell
