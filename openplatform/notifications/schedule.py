"""When to try again. Pure: no Django, no clock, no I/O."""

from datetime import timedelta

# The waits between attempts, WeChat Pay's own: 16 attempts over 24 hours and 4 minutes. The first is due at once.
WAITS: tuple[timedelta, ...] = tuple(
    timedelta(seconds=seconds)
    for seconds in (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
)
ATTEMPTS_MAX = len(WAITS) + 1
JITTER_SHARE = 0.1


def wait_after(attempt: int, *, jitter: float) -> timedelta | None:
    """How long to wait after the `attempt`-th attempt (from 1) failed; None when the schedule is used up.

    `jitter` in [0, 1) stretches the wait by up to a tenth, so that all that failed together does not return together.
    """
    if attempt >= ATTEMPTS_MAX:
        return None
    return WAITS[attempt - 1] * (1 + JITTER_SHARE * jitter)
