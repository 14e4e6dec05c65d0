"""`manage.py seed_demo`: a demo merchant, its key pair, a sandbox account and an operator, for development only."""

import json
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from payments.operations.demo import seed_demo

OPERATOR = "operator"


class Command(BaseCommand):
    help = "Make (or find again) the demo merchant, its sandbox account and an operator's login."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--identity", type=Path, default=settings.LOCAL_DIR / "sandbox" / "identity.json")
        parser.add_argument("--directory", type=Path, default=settings.LOCAL_DIR / "demo")
        parser.add_argument("--notify-url", default="http://127.0.0.1:8002/notify")

    def handle(self, *_args: Any, **options: Any) -> None:
        demo = seed_demo(
            directory=options["directory"], identity=json.loads(options["identity"].read_text(encoding="utf-8")),
            base_url=settings.PUBLIC_BASE_URL, notify_url=options["notify_url"], now=timezone.now(),
        )  # fmt: skip
        login = self._operator(options["directory"] / "console.json")
        self.stdout.write(
            json.dumps(
                {
                    "app_id": str(demo.app_id), "client_config": str(demo.client_config),
                    "pay_code_urls": {
                        channel: f"{settings.PUBLIC_BASE_URL}/pay/{token}"
                        for channel, token in demo.pay_code_tokens.items()
                    },
                    "console_url": f"{settings.PUBLIC_BASE_URL}/{settings.ADMIN_PATH}", "console_login": login,
                }
            )
        )  # fmt: skip

    def _operator(self, file: Path) -> str:
        """The operator's name. The password is made once and kept in a file that only we can read."""
        if file.exists():
            login = json.loads(file.read_text(encoding="utf-8"))
        else:
            login = {"username": OPERATOR, "password": secrets.token_urlsafe(12)}
            file.touch(mode=0o600)
            file.write_text(json.dumps(login) + "\n", encoding="utf-8")
        users = get_user_model().objects
        user, _created = users.get_or_create(
            username=login["username"], defaults={"is_staff": True, "is_superuser": True}
        )
        if not user.check_password(login["password"]):
            user.set_password(login["password"])
            user.save(update_fields=["password"])
        return OPERATOR
