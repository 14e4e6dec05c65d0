"""python -m openplatform.client --config client.json create-order --amount 40.3 --subject coffee ..."""

import argparse
import json
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from requests.structures import CaseInsensitiveDict

from openplatform.client import key_commands
from openplatform.client.calls import Client, encode
from openplatform.client.config import Config
from openplatform.client.curl import curl_command
from openplatform.client.envelopes import encrypt_payer
from openplatform.client.errors import ApiError, ClientError
from openplatform.client.notifications import verify_notification

Request = tuple[str, str, dict[str, Any] | None]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m openplatform.client", description="Call fenpay's open API, signed."
    )
    parser.add_argument("--config", help="JSON with base_url, app_id, serial_no, private_key_path, platform_keys")
    commands = parser.add_subparsers(dest="command", required=True)
    # `--curl` is understood before and after the command.
    asks = argparse.ArgumentParser(add_help=False)
    asks.add_argument(
        "--curl", action="store_true", default=argparse.SUPPRESS, help="print the signed curl command instead"
    )
    parser.add_argument("--curl", action="store_true", help="print the signed curl command instead of sending")
    create = commands.add_parser("create-order", parents=[asks], help="create an order")
    create.add_argument("--amount", required=True, help="yuan, such as 40.3")
    create.add_argument("--subject", required=True)
    create.add_argument("--channel", default="wechatpay")
    create.add_argument("--method", default="jsapi", choices=["jsapi", "native"])
    create.add_argument("--openid", help="the payer, for jsapi")
    create.add_argument("--client-ip", help="the payer's address, where the channel wants it")
    create.add_argument("--encrypt", action="store_true", help="send the payer encrypted to the platform's key")
    create.add_argument("--out-trade-no", help="your own number; made up when not given")
    create.add_argument("--notify-url")
    create.add_argument("--return-url")
    get = commands.add_parser("get", parents=[asks], help="GET a path, such as /openapi/v1/orders/123")
    get.add_argument("path")
    post = commands.add_parser("post", parents=[asks], help="POST JSON to a path")
    post.add_argument("path")
    post.add_argument("json", nargs="?", help="the body; none when left out")
    wait = commands.add_parser("wait", help="ask for an order until it has ended")
    wait.add_argument("order_no")
    wait.add_argument("--seconds", type=float, default=60.0)
    key_commands.add_to(commands)
    check = commands.add_parser("verify-notification", help="prove a notification that you received")
    check.add_argument("--headers", required=True, type=Path, help="a file of `Name: value` lines")
    check.add_argument("--body", required=True, type=Path, help="a file with the raw body")
    return parser


def _request(config: Config, arguments: argparse.Namespace) -> Request:
    if arguments.command == "get":
        return "GET", arguments.path, None
    if arguments.command == "post":
        return "POST", arguments.path, json.loads(arguments.json) if arguments.json else None
    out_trade_no = arguments.out_trade_no or f"T{time.strftime('%Y%m%d%H%M%S')}{secrets.token_hex(4)}"
    wish: dict[str, Any] = {"out_trade_no": out_trade_no}
    for name in ("amount", "subject", "channel", "method", "notify_url", "return_url"):
        if value := getattr(arguments, name):
            wish[name] = value
    payer = {name: value for name in ("openid", "client_ip") if (value := getattr(arguments, name))}
    if payer:
        wish["payer"] = (
            encrypt_payer(config, arguments.openid, client_ip=arguments.client_ip or "") if arguments.encrypt else payer
        )
    return "POST", f"{config.prefix}/orders", wish


def _verify(config: Config, arguments: argparse.Namespace) -> str:
    lines = arguments.headers.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    headers = CaseInsensitiveDict({name.strip(): value.strip() for name, value in pairs})
    notification = verify_notification(config, headers=headers, body=arguments.body.read_bytes())
    return f"verified: {notification.type}, event {notification.event_id}"


def main(argv: Sequence[str] | None = None) -> int:
    """0 when the platform said yes and the answer is proven; 1 otherwise, and why on stderr."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "answer-challenge":  # before there is a key that could be in a configuration
        print(key_commands.answer(arguments))  # noqa: T201 - a command's output
        return 0
    if not arguments.config:
        parser.error("--config is needed")
    try:
        print(_run(Config.from_file(arguments.config), arguments))  # noqa: T201 - a command's output
    except ApiError as error:
        note = "" if error.is_verified else " (not signed)"
        print(_shown(error.document), f"\nrefused{note}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except ClientError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _run(config: Config, arguments: argparse.Namespace) -> str:
    if arguments.command == "verify-notification":
        return _verify(config, arguments)
    if arguments.command == "wait":
        client = Client(config)
        order = client.wait_until_decided(client.get_order(arguments.order_no), timeout_s=arguments.seconds)
        return _shown(order.document)
    if arguments.command in key_commands.NAMES:
        return key_commands.run(config, arguments)
    method, target, document = _request(config, arguments)
    if arguments.curl:
        return curl_command(config, method=method, target=target, body=encode(document))
    may_repeat = arguments.command == "create-order"  # its identity is in its body; who knows of any other POST
    client = Client(config)
    return _shown(client.get(target) if method == "GET" else client.post(target, document, may_repeat=may_repeat))


def _shown(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)


if __name__ == "__main__":
    sys.exit(main())
