"""Our own signing keys: list them, publish the next one, let it sign."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from openplatform.keys import NoPlatformKey, create_platform_key, rotate_platform_key
from openplatform.models import PlatformKey


class Command(BaseCommand):
    help = "Lists platform keys, publishes the next one (create), or lets the published one sign (rotate)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=["list", "create", "rotate"])

    def handle(self, *_args: Any, verb: str, **_options: Any) -> None:
        if verb == "list":
            for key in PlatformKey.objects.order_by("created_at"):
                self._show(key)
        elif verb == "create":
            self._show(create_platform_key(now=timezone.now()))
        else:
            self._rotate()

    def _rotate(self) -> None:
        try:
            self._show(rotate_platform_key(now=timezone.now()))
        except NoPlatformKey as error:
            raise CommandError(
                "No key is published. Run `platform_key create`, give merchants time to fetch it, then rotate."
            ) from error

    def _show(self, key: PlatformKey) -> None:
        self.stdout.write(f"{key.serial_no}  {key.status:10}  {key.not_before:%Y-%m-%d} to {key.not_after:%Y-%m-%d}")
