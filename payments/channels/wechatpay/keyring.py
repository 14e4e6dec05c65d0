"""Which keys of WeChat Pay count: what was entered with the account, and what was fetched and holds now.

A merchant has their public key (`PUB_KEY_ID_…`, without an end), their certificates (fetched, several at a time), or
both while they move it from the one to the other: so each message is checked by the key that it names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments.channels import certs
from payments.channels.base import AccountConfig

PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
_PUBLIC_KEY_ID = re.compile(PUBLIC_KEY_PREFIX + r"[0-9]{1,40}")
_CERTIFICATE_SERIAL = re.compile(r"[0-9A-F]{8,40}")


@dataclass(frozen=True)
class Keyring:
    """The keys of one account, by serial number."""

    config: AccountConfig

    @property
    def entered(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.config.settings.get("platform_keys") or {}
        return found

    def named(self, serial: str, *, now: datetime) -> dict[str, str]:
        """The PEM of that key under its serial number; nothing when there is none that holds."""
        if serial in self.entered:
            return {serial: self.entered[serial]}
        pem = self.config.certificates().get(serial, "")
        return {serial: pem} if pem and _holds(pem, now=now) else {}

    def fetched(self, *, now: datetime) -> dict[str, str]:
        """The certificates that hold, the newest last."""
        found = {serial: pem for serial, pem in self.config.certificates().items() if _holds(pem, now=now)}
        return dict(sorted(found.items(), key=lambda item: certs.read_all(item[1])[0].not_valid_before_utc))

    def to_encrypt_for(self, *, now: datetime) -> tuple[str, str] | None:
        """Serial number and PEM of the key that sensitive fields are for: their public key where there is one, else
        the newest certificate that holds.
        """
        chosen = str(self.config.settings.get("answer_key_serial", ""))
        public = [serial for serial in (chosen, *self.entered) if serial.startswith(PUBLIC_KEY_PREFIX)]
        candidates = {serial: self.entered[serial] for serial in public if serial in self.entered}
        if candidates:
            return next(iter(candidates.items()))
        fetched = list(self.fetched(now=now).items())
        return fetched[-1] if fetched else next(iter(self.entered.items()), None)

    def end_at(self) -> datetime | None:
        """When the last certificate runs out, or ran out; None with a public key, or when there never was one."""
        if any(serial.startswith(PUBLIC_KEY_PREFIX) for serial in self.entered):
            return None
        ends = (certs.read_all(pem)[0].not_valid_after_utc for pem in self.config.certificates().values())
        return max(ends, default=None)


def is_public_key(serial: str) -> bool:
    return bool(_PUBLIC_KEY_ID.fullmatch(serial))


def may_be_fetched(serial: str) -> bool:
    """Whether it reads as a certificate's number. A public key is entered by a person: no download brings one."""
    return bool(_CERTIFICATE_SERIAL.fullmatch(serial))


def issues(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings as they name keys."""
    chosen, entered = str(settings.get("answer_key_serial", "")), settings.get("platform_keys") or {}
    if chosen.startswith(PUBLIC_KEY_PREFIX) and isinstance(entered, dict) and chosen not in entered:
        return ["settings: answer_key_serial: that public key is not among platform_keys"]
    return []


def _holds(pem: str, *, now: datetime) -> bool:
    return any(certs.holds(certificate, now=now) for certificate in certs.read_all(pem)[:1])
