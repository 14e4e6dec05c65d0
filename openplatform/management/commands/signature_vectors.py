"""manage.py signature_vectors --check | --write"""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from openplatform.vectors import VECTORS_FILE, rendered


class Command(BaseCommand):
    help = "Check that docs/vectors.json is what the code makes, or write it. Its keys and envelopes stay as they are."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        wish = parser.add_mutually_exclusive_group(required=True)
        wish.add_argument("--check", action="store_true", help="fail when the file differs")
        wish.add_argument("--write", action="store_true", help="make the file anew; a key that it lacks is made")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        text = VECTORS_FILE.read_text(encoding="utf-8") if VECTORS_FILE.exists() else "{}"
        made = rendered(json.loads(text))
        if not check:
            VECTORS_FILE.write_text(made, encoding="utf-8")
        elif made != text:
            raise CommandError(f"{VECTORS_FILE.name} is not what the code makes: run `signature_vectors --write`.")
        document = json.loads(made)
        counts = f"{len(document['vectors'])} vectors, {len(document['envelopes'])} envelopes"
        self.stdout.write(f"{VECTORS_FILE.name}: {counts}")
