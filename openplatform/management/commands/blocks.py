"""The blacklist from a terminal: what is on it, put something on it, take something off it."""

import getpass
import re
import sys
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from openplatform.blocks.queries import live_entries
from openplatform.blocks.values import Kind, ListingRefused
from openplatform.models import BlockEntry

SHOWN_MAX = 1_000
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _length(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text)
    if match is None:
        raise CommandError(f"{text} is not a length such as 30m, 2h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


class Command(BaseCommand):
    help = "Lists, adds and lifts entries of the blacklist; every process obeys within five seconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        shown = verbs.add_parser("list", help="what is in force")
        shown.add_argument("--kind", default="", choices=list(Kind))
        shown.add_argument("--about", default="", help="an address, a host, an app id: what keeps it out")
        added = verbs.add_parser("add", help="keep something out")
        added.add_argument("kind", choices=list(Kind))
        added.add_argument("value", help="for a payer its openid; - reads one line of standard input")
        added.add_argument("--reason", required=True)
        added.add_argument("--for", dest="lasts", type=_length, help="30m, 2h, 7d; without it until it is lifted")
        lifted = verbs.add_parser("lift", help="let something in again")
        lifted.add_argument("ids", type=int, nargs="+", help="as `list` shows them")
        for writes in (added, lifted):
            writes.add_argument("--by", default=getpass.getuser(), help="who does this; your login by default")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        now = timezone.now()
        {"list": self._list, "add": self._add, "lift": self._lift}[verb](options, now)

    def _list(self, options: dict[str, Any], now: datetime) -> None:
        for entry in live_entries(now=now, kind=options["kind"], text=options["about"])[:SHOWN_MAX]:
            self._show(entry)

    def _add(self, options: dict[str, Any], now: datetime) -> None:
        # A payer's openid on the command line would stay in the shell's history.
        text = sys.stdin.readline() if options["value"] == "-" else options["value"]
        expires_at = now + options["lasts"] if options["lasts"] else None
        try:
            entry = BlockEntry.block(
                kind=options["kind"], text=text, reason=options["reason"], by=options["by"], now=now,
                expires_at=expires_at,
            )  # fmt: skip
        except ListingRefused as refusal:
            raise CommandError(f"{refusal} ({refusal.code})") from refusal
        self._show(entry)

    def _lift(self, options: dict[str, Any], now: datetime) -> None:
        entries = BlockEntry.objects.in_bulk(options["ids"])
        missing = sorted(set(options["ids"]) - entries.keys())
        if missing:
            raise CommandError(f"There is no entry {', '.join(map(str, missing))}; nothing was lifted.")
        for entry in entries.values():
            if entry.lift(by=options["by"], now=now):
                self.stdout.write(f"{entry.pk}  lifted")
            else:
                self.stdout.write(f"{entry.pk}  was not in force any more")

    def _show(self, entry: BlockEntry) -> None:
        until = (
            f"until {timezone.localtime(entry.expires_at):%Y-%m-%d %H:%M:%S}" if entry.expires_at else "until lifted"
        )
        who = entry.created_by or entry.source
        self.stdout.write(f"{entry.pk}  {entry.kind:11}  {entry.shown_value}  {until}  by {who}: {entry.reason}")
