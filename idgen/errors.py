"""Why no id can be given right now. Each is an HTTP 503 with Retry-After; the answer is never a guess or a None."""


class InvalidIdError(ValueError):
    """The text or the number is not an id that this generator could have made."""


class IdgenUnavailable(RuntimeError):
    """No id can be given without risking a duplicate. The same call may succeed after `retry_after_s` seconds."""

    code = "ids_unavailable"
    retry_after_s = 1


class NoWorker(IdgenUnavailable):
    """No worker id could be leased: all 1,024 are taken, or the lease store does not answer."""

    code = "ids_no_worker"
    retry_after_s = 5


class LeaseLost(IdgenUnavailable):
    """This process's lease ran out or was taken over; a new one is being asked for in the background."""

    code = "ids_lease_lost"


class WindowExhausted(IdgenUnavailable):
    """The clock or the load ran past the time that was reserved in the lease store; the next renewal moves it on."""

    code = "ids_window_exhausted"
    retry_after_s = 4


class ClockRollback(IdgenUnavailable):
    """The wall clock stepped back further than every lane and no spare worker id covers that time either."""

    code = "ids_clock_rollback"
    retry_after_s = 10


class ClockSkew(IdgenUnavailable):
    """The wall clock and the lease store's clock differ too much to begin with: one of the two is wrong."""

    code = "ids_clock_skew"
    retry_after_s = 10


class EpochExhausted(IdgenUnavailable):
    """The 41 bits of time are used up (2094-09-07T15:47:35Z): a wider layout and a migration are needed."""

    code = "ids_epoch_exhausted"
    retry_after_s = 86_400
