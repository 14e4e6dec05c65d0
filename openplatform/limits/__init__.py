"""Rate limits: four algorithms in the store, rules that are rows, and what happens when the store is away.

`rules` says which rules a request meets, `counting` asks and takes from all of them in one step of the store,
`fallback` does so without it, `doors` chooses between the two, `verdicts` tells the outcome, in headers too, and
`pacing` spaces out the calls that we make ourselves.
"""

from openplatform.limits.doors import at_door, decide, per_address
from openplatform.limits.pacing import Pace, QueueFull, reserve
from openplatform.limits.rules import Rule, Tally, tallies_of_app
from openplatform.limits.verdicts import Standing, Verdict

__all__ = [
    "Pace",
    "QueueFull",
    "Rule",
    "Standing",
    "Tally",
    "Verdict",
    "at_door",
    "decide",
    "per_address",
    "reserve",
    "tallies_of_app",
]
