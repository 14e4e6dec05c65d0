"""Sending the requests of a case, within what is left of the run's time."""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.conf import settings

from openplatform.conformance.cases import Case
from openplatform.conformance.grading import Shown
from openplatform.conformance.shots import Shot, SlowBody
from openplatform.notifications.sending import call


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When a run's time is over, by a watch in seconds that only goes forward."""

    ends_at: float = math.inf
    watch: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, seconds: float) -> "Budget":
        """So long from now on."""
        return cls(ends_at=time.monotonic() + seconds)

    def left_s(self) -> float:
        return self.ends_at - self.watch()


def fire(case: Case, shots: Sequence[Shot], *, url: str, budget: Budget) -> list[Shown | None]:
    """How each request went; None for those for which there was no time."""
    if not case.is_at_once:
        return [_send(shot, url=url, budget=budget) for shot in shots]
    with ThreadPoolExecutor(len(shots)) as pool:  # no query is made in there
        return list(pool.map(lambda shot: _send(shot, url=url, budget=budget), shots))


def _send(shot: Shot, *, url: str, budget: Budget) -> Shown | None:
    deadline_s = min(settings.NOTIFICATION_TIMEOUT_S, budget.left_s())
    if deadline_s <= 0:
        return None
    started = time.monotonic()
    outcome = call(
        shot.message, url=url, body=SlowBody(shot.message.body) if shot.is_slow else None, repeated=shot.repeated,
        deadline_s=deadline_s,
    )  # fmt: skip
    if outcome.status_code is None and budget.left_s() <= 0:
        return None  # it may have had an answer, had it been given the time that a notification has
    return Shown(outcome=outcome, duration_ms=int((time.monotonic() - started) * 1000))
