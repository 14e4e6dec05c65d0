"""One call under a plan, whatever the channel: executed or not, at once or late, answered truly or with an error."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.http import HttpRequest

from sandbox import options, wire
from sandbox.calls import Log
from sandbox.faults import Chosen
from sandbox.plans import CallPlan

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Act(Generic[R]):
    """`execute` does what was asked and says so, `error` makes the answer of a named error."""

    execute: Callable[[CallPlan], R]
    error: Callable[[str], R]
    has_worked: Callable[[R], bool]


def perform(request: HttpRequest, act: Act[R], *, chosen: Chosen, log: Log) -> R:
    """Returns what is to be said. What was done stands in the log before the caller hears of it."""
    plan = chosen.call
    if plan.executes_after_s:
        wire.pause(request, seconds=plan.executes_after_s, even_without_client=True)
    said = act.execute(plan) if plan.executes else act.error("SYSTEM_ERROR")
    log.executed(done=plan.executes and act.has_worked(said), fault=chosen.name)
    if plan.pause_s:
        log.save()  # so that the log tells about a call that is still being held back
        wire.pause(request, seconds=options.get("timeout_s") if plan.pause_s < 0 else plan.pause_s)
    return act.error(plan.error) if plan.error else said
