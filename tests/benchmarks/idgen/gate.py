"""The fast path is worth its looks: an id costs at most a third of one with a lock per id.

    python tests/benchmarks/idgen/gate.py

Ends with 1 when it does not. A ratio from one run, since absolute rates are the machine's; processor time, so that
waiting does not count; in turns and by the best of many rounds, so that a busy neighbour does not count. It is not a
test: beside other tests on the same cores it would judge them. `make bench` and `.ci/run` run it alone.
"""

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE)]

from contenders import LockPerId, PrivateLeases  # noqa: E402

from idgen import Generator  # noqa: E402

IDS = 50_000
ROUNDS = 15
TIMES_MIN = 3.0


def cpu_ns_per_id(*makes: Callable[[], Callable[[], int]]) -> list[float]:
    """For each generator, measured in turns: the best of some rounds."""
    best = [float("inf")] * len(makes)
    for _ in range(ROUNDS):
        for number, make in enumerate(makes):
            best[number] = min(best[number], _round_ns(make()) / IDS)
    return best


def _round_ns(take: Callable[[], int]) -> int:
    take()
    began = time.process_time_ns()
    for _ in itertools.repeat(None, IDS):
        take()
    return time.process_time_ns() - began


def ours() -> Callable[[], int]:
    return Generator(open_store=PrivateLeases, renew_in_background=False).next_id


def plain() -> Callable[[], int]:
    return LockPerId().next_id


def main() -> None:
    ours_ns, plain_ns = cpu_ns_per_id(ours, plain)
    seen = f"{ours_ns:.0f} ns and {plain_ns:.0f} ns, {plain_ns / ours_ns:.1f} times"
    print(f"| processor time per id beside one with a lock per id | {seen} |")
    if plain_ns < TIMES_MIN * ours_ns:
        sys.exit(f"an id must cost less than 1/{TIMES_MIN:.0f} of one with a lock per id")


if __name__ == "__main__":
    main()
