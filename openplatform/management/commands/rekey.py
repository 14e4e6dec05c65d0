"""After MASTER_KEY was replaced: seal everything anew, so that the old one can be thrown away."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from openplatform import rekeying

SHOWN_MAX = 20


class Command(BaseCommand):
    help = (
        "Seals all secrets anew under MASTER_KEY; those in MASTER_KEYS_OLD open what is there. It may be killed and run"
        " again. --check opens everything, changes nothing, and fails while an old key is still needed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only say what is there")

    def handle(self, *_args: Any, check: bool, **_options: Any) -> None:
        tallies = rekeying.check() if check else rekeying.rekey()
        for tally in tallies:
            counts = ", ".join(f"{name} {count}" for name, count in sorted(tally.counts.items())) or "nothing to do"
            self.stdout.write(f"{tally.column}: {counts}")
        lost = [f"{tally.column} {pk}" for tally in tallies for pk in tally.unopened]
        if lost:
            raise CommandError(
                f"{len(lost)} secrets cannot be opened by MASTER_KEY nor by any of MASTER_KEYS_OLD:"
                f" {', '.join(lost[:SHOWN_MAX])}"
            )
        if not all(tally.is_done for tally in tallies):
            raise CommandError("Something is still under an old master key: keep that key, and run rekey (again).")
