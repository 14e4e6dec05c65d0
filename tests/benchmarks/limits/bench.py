"""What one check of a rate limit costs and whether it keeps to its limit: ours, the package `limits`, DRF's throttle.

    python tests/benchmarks/limits/bench.py [--rounds 15] [--checks 300]

One store, one run. The contenders take turns round by round and each figure is the median of its rounds, so that a
busy moment of the machine meets all of them; ratios are to a bare PING of the same run. "admitted" is how many of
1,600 requests from eight processes at once pass a limit of 500.
"""

import argparse
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(ROOT), str(HERE)]

PROCESSES, EACH, LIMIT = 8, 200, 500
MANY = 1_000_000


@dataclass(frozen=True)
class Contender:
    """`make(key, limit)` gives a function that asks once and says whether it was let through. None: no limiter."""

    name: str
    make: Callable[[str, int], Callable[[], bool]]
    is_limiter: bool = True


def seconds_per_check(ask, checks):
    began_s = time.perf_counter()
    for _ in range(checks):
        ask()
    return (time.perf_counter() - began_s) / checks


def measure(contenders, *, rounds, checks):
    """Seconds per check of each: let through, and refused."""
    allowed, denied = ({each.name: [] for each in contenders} for _ in range(2))
    for number in range(rounds):
        for each in contenders:
            ask = each.make(f"{number}:allowed", MANY)
            ask()
            allowed[each.name].append(seconds_per_check(ask, checks))
            if each.is_limiter:
                ask = each.make(f"{number}:denied", 1)
                ask()
                denied[each.name].append(seconds_per_check(ask, checks))
    return allowed, denied


def admitted_of_eight(contender):
    """How many of 8 x 200 requests at once pass a limit of 500."""
    forked = multiprocessing.get_context("fork")
    start, answers = forked.Barrier(PROCESSES), forked.SimpleQueue()

    def work():
        ask = contender.make("eight", LIMIT)
        start.wait()
        answers.put(sum(ask() for _ in range(EACH)))

    processes = [forked.Process(target=work) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    admitted = sum(answers.get() for _ in processes)
    for process in processes:
        process.join()
    return admitted


def show(contenders, allowed, denied, admitted):
    ping_s = statistics.median(allowed[contenders[0].name])
    print("| one check | allowed, µs | × PING | denied, µs | × PING | admitted of 1,600 at 500 |")
    print("|---|---:|---:|---:|---:|---:|")
    for each in contenders:
        cells = []
        for figures in (allowed[each.name], denied[each.name]):
            median_s = statistics.median(figures) if figures else None
            cells += ["", ""] if median_s is None else [f"{median_s * 1e6:.0f}", f"{median_s / ping_s:.2f}"]
        print(f"| {each.name} | {' | '.join(cells)} | {admitted.get(each.name, '')} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--checks", type=int, default=300)
    options = parser.parse_args()
    from config.runtime.valkey import Valkey

    with tempfile.TemporaryDirectory(prefix="fp-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        server = Valkey(Path(folder))
        server.start()
        try:
            os.environ |= {"REDIS_URL": f"unix://{server.socket}", "REDIS_TIMEOUT_S": "5", "SECRET_KEY": "bench"}
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
            logging.disable(logging.CRITICAL)
            from contenders import everybody

            contenders = everybody()
            allowed, denied = measure(contenders, rounds=options.rounds, checks=options.checks)
            admitted = {each.name: admitted_of_eight(each) for each in contenders if each.is_limiter}
            show(contenders, allowed, denied, admitted)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
