"""What the rules say to one request, and how headers tell it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from openplatform.limits.rules import SECOND_US, Rule
from openplatform.models.limits import LimitScope
from openplatform.problems import RateLimited


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a request stands with one rule. `retry_after_s`: until one more fits; `reset_s`: until nothing is used."""

    rule: Rule
    fits: bool
    remaining: int
    retry_after_s: int
    reset_s: int

    @classmethod
    def from_store(cls, rule: Rule, told: Sequence[int]) -> "Standing":
        """`told`: the four numbers that check.lua gives for a rule."""
        fits, remaining, retry_us, reset_us = told
        return cls(
            rule=rule, fits=bool(fits), remaining=remaining, retry_after_s=math.ceil(retry_us / SECOND_US),
            reset_s=math.ceil(reset_us / SECOND_US),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Of all rules together: a request passes when it fits all of them, and else takes from none."""

    standings: tuple[Standing, ...] = ()
    is_replay: bool = False
    is_revoked: bool = False  # the key that signed the request was revoked a moment ago

    @property
    def is_denied(self) -> bool:
        return not all(standing.fits for standing in self.standings)

    @property
    def retry_after_s(self) -> int:
        """Until the slowest of the rules that refuse has room again; at least 1."""
        return max([1, *(standing.retry_after_s for standing in self.standings if not standing.fits)])

    def check(self) -> None:
        """Raises RateLimited when it is denied."""
        if self.is_denied:
            raise RateLimited(retry_after_s=self.retry_after_s)

    def headers(self) -> dict[str, str]:
        """RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10): structured lists, integers.

        The rule for everybody together is nobody's business: how much of it is left tells what the others do.
        """
        own = [standing for standing in self.standings if standing.rule.scope is not LimitScope.GLOBAL]
        if not own:
            return {}
        policies = ", ".join(
            f'"{standing.rule.policy}";q={quota};w={window_s}'
            for standing in own
            for quota, window_s in [standing.rule.quota]
        )
        left = ", ".join(
            f'"{standing.rule.policy}";r={standing.remaining};t='
            f"{standing.reset_s if standing.fits else max(1, standing.retry_after_s)}"
            for standing in own
        )
        return {"RateLimit-Policy": policies, "RateLimit": left}
