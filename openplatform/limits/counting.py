"""Counting in the store: all rules of one request are asked, and taken from, in one step of it."""

from collections.abc import Sequence

from openplatform.limits.rules import SECOND_US, Tally
from openplatform.limits.scripts import Script
from openplatform.limits.verdicts import Standing, Verdict

_NUMBERS_PER_RULE = 4
CHECK = Script("check.lua")


def count(
    tallies: Sequence[Tally], *, take: bool = True, nonce_key: str = "", nonce_lifetime_s: int = 0,
    revoked_key: str = "", now_us: int | None = None,
) -> Verdict:  # fmt: skip
    """Take one from each of `tallies` if all have it, else from none; with `take=False` only look.

    A nonce that is there already is a replay, and takes nothing. Else it is remembered for `nonce_lifetime_s`, but only
    if all rules let the request through. A `revoked_key` that is there refuses everything. `now_us` replaces the
    store's clock, in tests. Raises StoreDown.
    """
    if not tallies and not nonce_key:
        return Verdict()
    keys = [tally.key for tally in tallies] + ([nonce_key, revoked_key or f"{nonce_key}:"] if nonce_key else [])
    asked = ["take" if take else "look", nonce_lifetime_s or "", "" if now_us is None else now_us]
    outcome, *numbers = CHECK.run(keys=keys, arguments=[*asked, *terms(tallies)])
    standings = (
        Standing.from_store(tally.rule, numbers[at : at + _NUMBERS_PER_RULE])
        for tally, at in zip(tallies, range(0, len(numbers), _NUMBERS_PER_RULE), strict=True)
    )
    return Verdict(standings=tuple(standings), is_replay=outcome == b"replayed", is_revoked=outcome == b"revoked")


def terms(tallies: Sequence[Tally]) -> list[str | int]:
    """The rules as check.lua reads them."""
    rules = (tally.rule for tally in tallies)
    return [part for rule in rules for part in (rule.algorithm.value, rule.limit, rule.period_s * SECOND_US, rule.size)]
