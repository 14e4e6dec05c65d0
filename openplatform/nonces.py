"""Each signed request counts once: its nonce is remembered for as long as its timestamp could still be accepted."""

from django.conf import settings

from openplatform.store import store


def remember(*, serial_no: str, nonce: str) -> bool:
    """Whether this key uses this nonce for the first time. Call it only after the signature was verified.

    One atomic SET decides, so of any number of processes exactly one hears True. Raises StoreDown.
    """
    with store() as client:
        return bool(client.set(f"n:{serial_no}:{nonce}", 1, nx=True, ex=settings.NONCE_LIFETIME_S))
