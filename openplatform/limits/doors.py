"""Asking the rules at a door: with the store, and without it by this process alone."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse

from openplatform.client_ip import client_ip
from openplatform.limits import counting, fallback, routes
from openplatform.limits.rules import Tally, tallies_of_address
from openplatform.limits.verdicts import Verdict
from openplatform.store import StoreDown

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def decide(tallies: Sequence[Tally], *, take: bool = True) -> Verdict:
    """What `tallies` say. Never waits longer than the store's timeout."""
    try:
        return counting.count(tallies, take=take)
    except StoreDown as error:
        return fallback.count(tallies, take=take, why=error)


def at_door(request: HttpRequest, *, door: str, take: bool = True) -> Verdict:
    """What the rules for addresses say to the sender of this request."""
    return decide(tallies_of_address(client_ip(request), door=door), take=take)


def per_address(door: str) -> Callable[[View[P]], View[P]]:
    """A view that an address may open only as often as the rules for `door` say. It raises RateLimited."""
    routes.doors.add(door)

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def limited(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            at_door(request, door=door).check()
            return view(request, *args, **kwargs)

        return limited

    return decorate
