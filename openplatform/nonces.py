"""Each signed request counts once: its nonce is remembered for as long as its timestamp could still be accepted."""

from collections.abc import Sequence

from django.conf import settings

from openplatform.limits import Tally, Verdict, counting


def remember(*, serial_no: str, nonce: str, tallies: Sequence[Tally] = ()) -> Verdict:
    """Whether this key uses this nonce for the first time, and whether `tallies` let the request through.

    Call it only after the signature was verified. One step of the store decides: of any number of processes exactly
    one passes, a replay takes nothing from the limits, and a request that is over a limit does not use up its nonce.
    Raises StoreDown.
    """
    return counting.count(tallies, nonce_key=f"n:{serial_no}:{nonce}", nonce_lifetime_s=settings.NONCE_LIFETIME_S)
