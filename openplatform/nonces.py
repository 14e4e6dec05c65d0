"""Each signed request counts once: its nonce is remembered for as long as its timestamp could still be accepted.

A key that was revoked a moment ago is known here too. Every process reads its row within five seconds anyway; asking in
the same round trip as for the nonce costs nothing and makes it at once, as long as the store is there.
"""

import logging
from collections.abc import Sequence

from django.conf import settings

from openplatform.limits import Tally, Verdict, counting
from openplatform.store import StoreDown, store

REVOKED_FOR_S = 60  # much longer than any process believes what it read about a key

logger = logging.getLogger(__name__)


class KeyRevoked(Exception):
    """The key was revoked a moment ago."""


def remember(*, serial_no: str, nonce: str, tallies: Sequence[Tally] = ()) -> Verdict:
    """Whether this key uses this nonce for the first time, and whether `tallies` let the request through.

    Call it only after the signature was verified. One step of the store decides: of any number of processes exactly
    one passes, a replay takes nothing from the limits, and a request that is over a limit does not use up its nonce.
    Raises StoreDown, KeyRevoked.
    """
    verdict = counting.count(
        tallies, nonce_key=f"n:{serial_no}:{nonce}", nonce_lifetime_s=settings.NONCE_LIFETIME_S,
        revoked_key=f"revoked:{serial_no}",
    )  # fmt: skip
    if verdict.is_revoked:
        raise KeyRevoked
    return verdict


def remember_revocation(serial_no: str) -> None:
    """Let every process refuse the key at once. Best effort: the row is the truth."""
    try:
        with store() as client:
            client.set(f"revoked:{serial_no}", 1, ex=REVOKED_FOR_S)
    except StoreDown as error:
        logger.warning("a revocation takes effect within five seconds, not at once: %s", error)
