"""Commands for our own keys: list, register with proof, answer a challenge, decrypt, retire, revoke."""

import argparse
import json
from typing import Any

from openplatform.client.calls import Client
from openplatform.client.config import Config, read_private_key
from openplatform.client.envelopes import decrypt
from openplatform.client.keys import answer_challenge, register_key

NAMES = frozenset({"keys", "register-key", "decrypt", "retire-key", "revoke-key"})


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    commands.add_parser("keys", help="list our keys")
    register = commands.add_parser("register-key", help="register a new pair: hand in its public half, and prove it")
    register.add_argument("--private-key", required=True, help="PEM of the new pair; it stays here")
    register.add_argument("--purpose", default="sign", choices=["sign", "encrypt"])
    register.add_argument("--scope", action="append", help="such as refunds:write; may be given several times")
    answer = commands.add_parser("answer-challenge", help="print the proof for a challenge that an operator gave us")
    answer.add_argument("--private-key", required=True)
    answer.add_argument("--serial-no", default="", help="of the new key, for a challenge that is an envelope")
    answer.add_argument("challenge")
    opened = commands.add_parser("decrypt", help="print what is in an encrypted field")
    opened.add_argument("envelope")
    for name, what in (("retire-key", "let a key run out in a week"), ("revoke-key", "end a key at once, for good")):
        end = commands.add_parser(name, help=what)
        end.add_argument("serial_no")
        end.add_argument("--force", action="store_true", help="also our last key with keys:manage")
        if name == "retire-key":
            end.add_argument("--not-after", help="RFC 3339; until when it counts")


def answer(arguments: argparse.Namespace) -> str:
    """The proof; nobody is called for it."""
    key = read_private_key(arguments.private_key)
    return answer_challenge(key, arguments.challenge, serial_no=arguments.serial_no)


def run(config: Config, arguments: argparse.Namespace) -> str:
    """What the command prints."""
    return json.dumps(_document(config, arguments), ensure_ascii=False, indent=2)


def _document(config: Config, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.command == "decrypt":
        return decrypt(config, arguments.envelope)
    client = Client(config)
    if arguments.command == "keys":
        return client.keys()
    if arguments.command == "register-key":
        key = read_private_key(arguments.private_key)
        return register_key(client, key, purpose=arguments.purpose, scopes=arguments.scope)
    more: dict[str, Any] = {"force": True} if arguments.force else {}
    if arguments.command == "revoke-key":
        return client.revoke_key(arguments.serial_no, **more)
    if arguments.not_after:
        more["not_after"] = arguments.not_after
    return client.retire_key(arguments.serial_no, **more)
