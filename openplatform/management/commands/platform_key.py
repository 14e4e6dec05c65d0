"""Our own keys: list them, make what is missing, publish the next one, let it sign some notifications, use it."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from openplatform import keys
from openplatform.key_material import Algorithm
from openplatform.key_states import MoveRefused
from openplatform.models import PlatformKey


class Command(BaseCommand):
    help = (
        "list: all platform keys. ensure: make the current key of each algorithm where there is none. create: publish"
        " the next one. share: let it sign PER CENT of the notifications already. rotate: use it from now on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=["list", "ensure", "create", "share", "rotate"])
        parser.add_argument("per_cent", nargs="?", type=int, help="for share: 0 to 100")
        parser.add_argument(
            "--algorithm", type=Algorithm, choices=list(Algorithm), default=Algorithm.RSA_SHA256,
            help="RSA-OAEP-256 is the one for encryption; the others sign",
        )  # fmt: skip

    def handle(self, *_args: Any, verb: str, algorithm: Algorithm, per_cent: int | None, **_options: Any) -> None:
        try:
            found = self._do(verb, algorithm=algorithm, per_cent=per_cent, now=timezone.now())
        except keys.NoPlatformKey as error:
            raise CommandError(
                f"No key of {algorithm} is published. Run `platform_key create --algorithm {algorithm}`, give merchants"
                " time to fetch it, then rotate."
            ) from error
        for key in found:
            self._show(key)

    def _do(self, verb: str, *, algorithm: Algorithm, per_cent: int | None, now: datetime) -> list[PlatformKey]:
        match verb:
            case "list":
                return list(PlatformKey.objects.order_by("created_at"))
            case "ensure":
                return keys.ensure_platform_keys(now=now)
            case "create":
                return [keys.create_platform_key(now=now, algorithm=algorithm)]
            case "rotate":
                return [keys.rotate_platform_key(now=now, algorithm=algorithm)]
        try:
            return [keys.share_notifications(share=-1 if per_cent is None else per_cent, now=now, algorithm=algorithm)]
        except MoveRefused as error:
            raise CommandError("Say 0 to 100 per cent, for a published key that signs.") from error

    def _show(self, key: PlatformKey) -> None:
        share = f"  {key.notify_share} % of notifications" if key.notify_share else ""
        self.stdout.write(
            f"{key.serial_no}  {key.purpose:7}  {key.algorithm:12}  {key.status:9}"
            f"  {key.not_before:%Y-%m-%d} to {key.not_after:%Y-%m-%d}{share}"
        )
