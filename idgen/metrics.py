"""What a generator counts. Everything is counted at block edges or by the renewal thread: nothing costs time per id."""

from dataclasses import dataclass, field
from typing import Final

from idgen.timeline import Rung

RENEW_BUCKETS_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(slots=True)
class Histogram:
    """Counts per upper bound in seconds, not cumulative; the last one is +inf."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(RENEW_BUCKETS_S) + 1))
    sum_s: float = 0.0

    def observe(self, value_s: float) -> None:
        bucket = sum(value_s > bound for bound in RENEW_BUCKETS_S)
        self.counts[bucket] += 1
        self.sum_s += value_s

    def as_dict(self) -> dict[str, object]:
        bounds = [*(str(bound) for bound in RENEW_BUCKETS_S), "+Inf"]
        return {"buckets": dict(zip(bounds, self.counts, strict=True)), "sum_s": round(self.sum_s, 6)}


@dataclass(slots=True)
class Counters:
    """Totals since the process started (since the fork, in a child)."""

    ids_total: int = 0
    blocks_total: int = 0
    waits_total: int = 0
    rollbacks_total: int = 0
    rollback_ms_max: int = 0
    borrowed_ms_max: int = 0
    clamped_total: int = 0
    lost_total: int = 0
    acquired_total: int = 0
    renew_failures_total: int = 0
    clock_skew_ms: int = 0
    rungs: dict[str, int] = field(default_factory=lambda: {rung.value: 0 for rung in Rung})
    renew_seconds: Histogram = field(default_factory=Histogram)
