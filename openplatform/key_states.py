"""The states of a merchant's key, the moves between them, and why a key is refused."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _

from openplatform.key_material import KeyRefused


class AppKeyStatus(models.TextChoices):
    PENDING = "pending", _("pending")  # registered, but nobody has proven to hold the private half
    ACTIVE = "active", _("active")
    RETIRING = "retiring", _("retiring")  # counts until its `not_after`
    REVOKED = "revoked", _("revoked")


class KeyEventKind(models.TextChoices):
    """What happened to a key, ours or a merchant's."""

    REGISTERED = "registered", _("registered")
    PROVEN = "proven", _("proven")
    RETIRED = "retired", _("retired")
    REVOKED = "revoked", _("revoked")
    PUBLISHED = "published", _("published")
    PROMOTED = "promoted", _("made current")
    SHARE_SET = "share_set", _("share of notifications set")


MOVES: Mapping[tuple[AppKeyStatus, KeyEventKind], AppKeyStatus] = {
    (AppKeyStatus.PENDING, KeyEventKind.PROVEN): AppKeyStatus.ACTIVE,
    (AppKeyStatus.PENDING, KeyEventKind.REVOKED): AppKeyStatus.REVOKED,
    (AppKeyStatus.ACTIVE, KeyEventKind.RETIRED): AppKeyStatus.RETIRING,
    (AppKeyStatus.ACTIVE, KeyEventKind.REVOKED): AppKeyStatus.REVOKED,
    (AppKeyStatus.RETIRING, KeyEventKind.RETIRED): AppKeyStatus.RETIRING,  # sooner than was said before
    (AppKeyStatus.RETIRING, KeyEventKind.REVOKED): AppKeyStatus.REVOKED,
}


class ActorKind(enum.StrEnum):
    KEY = "key"
    OPERATOR = "operator"
    SYSTEM = "system"

    @classmethod
    def choices(cls) -> list[tuple[str, str]]:
        return [(member.value, member.value) for member in cls]


@dataclass(frozen=True)
class Actor:
    """Who did it: an app's key by its serial number, an operator by name, or a command of ours."""

    kind: ActorKind
    name: str


SYSTEM = Actor(ActorKind.SYSTEM, "")


class KnownFingerprint(KeyRefused):
    """This public key was registered before, by whomever: two owners of one key could pass for each other."""

    code = "KEY_ALREADY_REGISTERED"


class KnownSerial(KeyRefused):
    """This serial number was given out before."""

    code = "KEY_SERIAL_TAKEN"


class TooManyKeys(KeyRefused):
    """The app has as many live keys as an app may have; revoke one first."""

    code = "KEY_TOO_MANY"


class ScopesRefused(KeyRefused):
    """A key that signs needs at least one known scope, and a key that decrypts has none."""

    code = "KEY_SCOPES"


class ScopesExceeded(KeyRefused):
    """A key can give no scope that it does not have itself."""

    code = "KEY_SCOPES_EXCEEDED"


class LifetimeRefused(KeyRefused):
    """`not_after` must lie ahead, and behind `not_before`."""

    code = "KEY_LIFETIME"


class MoveRefused(KeyRefused):
    """The key is in a state that does not allow it: only a pending key is proven, only a live one is retired."""

    code = "KEY_STATE"


class ChallengeOver(KeyRefused):
    """The challenge has expired or was used. Register the same public key again for a new one."""

    code = "KEY_CHALLENGE_OVER"


class ProofRefused(KeyRefused):
    """This does not prove that you hold the private half: it is not the signature of the challenge, or not its
    decrypted text."""

    code = "KEY_PROOF"


class LastManager(KeyRefused):
    """This is the app's last key with keys:manage: after it only an operator can register another. Say `force`."""

    code = "KEY_LAST_MANAGER"


def next_status(status: AppKeyStatus, kind: KeyEventKind) -> AppKeyStatus:
    """Raises MoveRefused for any pair that is not in the table."""
    try:
        return MOVES[status, kind]
    except KeyError:
        raise MoveRefused from None
