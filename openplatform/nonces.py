"""Each signed request counts once: its nonce is remembered for as long as its timestamp could still be accepted.

A key that was revoked a moment ago is known here too. Every process reads its row within five seconds anyway; asking in
the same round trip as for the nonce costs nothing and makes it at once, as long as the store is there.
"""

import logging

from django.conf import settings

from openplatform.store import StoreDown, store

REVOKED_FOR_S = 60  # much longer than any process believes what it read about a key

logger = logging.getLogger(__name__)


class KeyRevoked(Exception):
    """The key was revoked a moment ago."""


def remember(*, serial_no: str, nonce: str) -> bool:
    """Whether this key uses this nonce for the first time. Call it only after the signature was verified.

    One atomic SET decides, so of any number of processes exactly one hears True. Raises StoreDown, KeyRevoked.
    """
    with store() as client, client.pipeline(transaction=False) as pipeline:
        pipeline.set(f"n:{serial_no}:{nonce}", 1, nx=True, ex=settings.NONCE_LIFETIME_S)
        pipeline.exists(f"revoked:{serial_no}")
        is_new, is_revoked = pipeline.execute()
    if is_revoked:
        raise KeyRevoked
    return bool(is_new)


def remember_revocation(serial_no: str) -> None:
    """Let every process refuse the key at once. Best effort: the row is the truth."""
    try:
        with store() as client:
            client.set(f"revoked:{serial_no}", 1, ex=REVOKED_FOR_S)
    except StoreDown as error:
        logger.warning("a revocation takes effect within five seconds, not at once: %s", error)
