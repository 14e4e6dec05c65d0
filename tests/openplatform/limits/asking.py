"""Asking the script itself, on a clock of the test's own."""

import itertools
from dataclasses import dataclass

from openplatform.limits import Rule, Tally, counting
from openplatform.models.limits import LimitAlgorithm, LimitScope
from openplatform.store import store

_numbers = itertools.count(1_000_000)


def a_rule(algorithm="fixed", *, limit=10, period_s=60, size=0, scope="app", route="", version=1):
    """A rule that no other test has met."""
    return Rule(
        id=next(_numbers), version=version, scope=LimitScope(scope), algorithm=LimitAlgorithm(algorithm), limit=limit,
        period_s=period_s, size=size, route=route,
    )  # fmt: skip


def a_tally(*args, **kwargs):
    return Tally(rule=a_rule(*args, **kwargs), whom="7")


@dataclass(frozen=True)
class Told:
    fits: bool
    left: int
    retry_us: int
    reset_us: int


def ask(tallies, *, now_us, take=True):
    """What the script says to each rule. Its keys are kept beyond their lifetime: that runs on the real clock."""
    keys = [tally.key for tally in tallies]
    with store() as client, client.pipeline(transaction=True) as pipe:
        client.script_load(counting.CHECK.text)
        asked = ["take" if take else "look", "", now_us, *counting.terms(tallies)]
        pipe.evalsha(counting.CHECK.digest, len(keys), *keys, *asked)
        for key in keys:
            pipe.persist(key)
        (_outcome, *numbers), *_kept = pipe.execute()
    return [Told(bool(fits), *rest) for fits, *rest in zip(*[iter(numbers)] * 4, strict=True)]
