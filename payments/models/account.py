"""A merchant's account at a channel: whom the channel knows, and the keys that prove it."""

import json
from datetime import datetime
from typing import Any

from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.models import Merchant
from openplatform.models.sealed import SealedField, open_column, seal_column
from payments.errors import PaymentsError
from payments.models.channel_certificate import FetchesCertificates

ONE_ACTIVE = "channel_account_one_active_per_rank"


class OtherAccountActive(PaymentsError):
    """The merchant has another active account of this rank at the channel; switch that one off first."""

    code = "OTHER_ACCOUNT_ACTIVE"


class ChannelAccount(FetchesCertificates):
    """`settings` is public (numbers, public keys, hosts); the secrets are sealed with the row's key as context."""

    id = SnowflakeField(primary_key=True)
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, verbose_name=_("merchant"))
    channel = models.CharField(_("channel"), max_length=20)
    name = models.CharField(_("name"), max_length=64)
    settings = models.JSONField(_("settings"))
    secrets_sealed = SealedField()
    is_sandbox = models.BooleanField(_("sandbox"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    rank = models.PositiveSmallIntegerField(
        _("rank"), default=0, help_text=_("0 is asked first; a higher one when that account is refused by the channel.")
    )
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("channel account")
        verbose_name_plural = _("channel accounts")
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "channel", "rank"],
                condition=models.Q(is_active=True),
                name=ONE_ACTIVE,
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def register(  # noqa: PLR0913 - one row, all named
        cls,
        *,
        merchant: Merchant,
        channel: str,
        name: str,
        settings: dict[str, Any],
        secrets: dict[str, str],
        now: datetime,
        is_sandbox: bool = False,
        rank: int = 0,
    ) -> "ChannelAccount":
        """Write down an account; its secrets are sealed before they reach the database."""
        account = cls(
            merchant=merchant, channel=channel, name=name, settings=settings, is_sandbox=is_sandbox, rank=rank,
            created_at=now,
        )  # fmt: skip
        seal_column(account, "secrets_sealed", json.dumps(secrets).encode())
        account.save(force_insert=True)
        return account

    def replace_settings(self, *, settings: dict[str, Any], secrets: dict[str, str]) -> None:
        """New keys or hosts. Whoever calls has seen that it is the same account: operations.accounts.is_another."""
        self.settings = settings
        seal_column(self, "secrets_sealed", json.dumps(secrets).encode())
        self.save(update_fields=["settings", "secrets_sealed"])

    def activate(self) -> None:
        """New payments may go to this account. Raises OtherAccountActive."""
        try:
            with transaction.atomic():
                self._set_active(is_active=True)
        except IntegrityError as error:
            if ONE_ACTIVE not in str(error):
                raise
            raise OtherAccountActive from error

    def deactivate(self) -> None:
        """No new payment goes to this account; what has begun goes on."""
        self._set_active(is_active=False)

    def _set_active(self, *, is_active: bool) -> None:
        self.is_active = is_active
        self.save(update_fields=["is_active"])

    def secrets(self) -> dict[str, str]:
        """The private key and the other secrets, opened. Never log them, never put them into a task."""
        opened: dict[str, str] = json.loads(open_column(self, "secrets_sealed"))
        return opened
