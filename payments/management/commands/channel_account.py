"""Register a merchant's account at a channel, or give it new keys or hosts."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from openplatform.models import Merchant
from payments.channels.registry import CHANNELS
from payments.models import ChannelAccount
from payments.models.account import OtherAccountActive
from payments.operations.accounts import ModelChannelNotAllowed
from payments.operations.channel_accounts import AccountValuesRefused, register_account, replace_account_values


class Command(BaseCommand):
    help = (
        "register: a new account, active at once. replace: new keys or hosts of one. The files are JSON objects as"
        " docs/deploy.md describes them; keep the one with the secrets for yourself alone, and remove it afterwards."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        register = verbs.add_parser("register")
        register.add_argument("--merchant", type=int, required=True, help="the merchant's id")
        register.add_argument("--channel", choices=list(CHANNELS), required=True)
        register.add_argument("--name", required=True, help="for operators")
        register.add_argument("--rank", type=int, default=0, help="0 is asked first")
        replace = verbs.add_parser("replace")
        replace.add_argument("--account", type=int, required=True, help="the account's id")
        for verb in (register, replace):
            verb.add_argument("--settings-file", type=Path, required=True)
            verb.add_argument("--secrets-file", type=Path, required=True)

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        values = {"settings": _object(options["settings_file"]), "secrets": _object(options["secrets_file"])}
        try:
            account = self._register(values, options) if verb == "register" else self._replace(values, options)
        except (AccountValuesRefused, ModelChannelNotAllowed, OtherAccountActive) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{account.pk} {account.channel} {account.name}")

    def _register(self, values: dict[str, Any], options: dict[str, Any]) -> ChannelAccount:
        merchant = Merchant.objects.filter(pk=options["merchant"]).first()
        if merchant is None:
            raise CommandError("There is no such merchant.")
        return register_account(
            merchant=merchant, channel=options["channel"], name=options["name"], rank=options["rank"],
            now=timezone.now(), **values,
        )  # fmt: skip

    def _replace(self, values: dict[str, Any], options: dict[str, Any]) -> ChannelAccount:
        account = ChannelAccount.objects.filter(pk=options["account"]).first()
        if account is None:
            raise CommandError("There is no such account.")
        replace_account_values(account, **values, now=timezone.now())
        return account


def _object(file: Path) -> dict[str, Any]:
    """The file's object. What the parser says about a wrong one would show a part of it."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CommandError(f"{file} is not a JSON object")
    return found
