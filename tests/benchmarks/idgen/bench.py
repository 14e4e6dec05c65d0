"""Ids per second, side by side in one run, as ratios to the layout's limit of 4,096,000 ids/s per worker id.

    python tests/benchmarks/idgen/bench.py                # ours, a lock per id, packages in an environment of their own
    python tests/benchmarks/idgen/bench.py --ours-only    # without the packages: nothing is installed

Prints the table of docs/idgen.md. Every row says what was given up for its speed: how far ahead of the clock its ids
ran, duplicates and empty answers over eight threads, and how many of 5,000 ids a forked child shared with its parent.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(ROOT), str(HERE)]

from contenders import builtin, packages  # noqa: E402

LIMIT = 4_096_000
THREADS = 8
BATCH = 100
WINDOWS = 5


def one_by_one(take, *, at_ms, seconds):
    """Rate of ids one by one, processor time per id in ns, and by how many ms the newest id was ahead at most.

    An answer without an id does not count.
    """
    ahead_ms = 0.0

    def round_():
        nonlocal ahead_ms
        made = [take() for _ in range(10_000)]
        now_ms = time.time() * 1000
        if made[-1] is not None:
            ahead_ms = max(ahead_ms, at_ms(int(made[-1])) - now_ms)
        return len(made) - made.count(None)

    rate, cpu_ns = in_windows(round_, seconds=seconds)
    return rate, cpu_ns, ahead_ms


def in_batches(batch, *, seconds):
    """Rate of ids in batches of 100."""

    def round_():
        for _ in range(100):
            batch(BATCH)
        return 100 * BATCH

    return in_windows(round_, seconds=seconds)[0]


def in_windows(round_, *, seconds):
    """Median rate of five windows, and the least processor time per id in ns.

    The median, because a window in which the machine was busy loses, and the one after it catches up. The warm-up has
    borrowed whatever a generator borrows, so that no window gains by that.
    """
    for _ in range(20):
        round_()
    rates, cpu_ns = [], []
    for _ in range(WINDOWS):
        count, began_s, began_cpu_s = 0, time.perf_counter(), time.process_time()
        while (took_s := time.perf_counter() - began_s) < seconds / WINDOWS:
            count += round_()
        rates.append(count / took_s)
        cpu_ns.append((time.process_time() - began_cpu_s) / count * 1e9)
    return statistics.median(rates), min(cpu_ns)


def in_threads(take, *, each):
    """Rate over eight threads, duplicates, and answers that were no id (None or an exception)."""
    made = [[] for _ in range(THREADS)]
    empty = [0] * THREADS
    start = threading.Barrier(THREADS + 1)

    def work(number):
        own = made[number]
        start.wait()
        for _ in range(each):
            try:
                value = take()
            except Exception:  # noqa: BLE001 - each package has its own
                value = None
            if value is None:
                empty[number] += 1
            else:
                own.append(value)

    threads = [threading.Thread(target=work, args=[number]) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    gc.collect()
    start.wait()
    began_s = time.perf_counter()
    for thread in threads:
        thread.join()
    took_s = time.perf_counter() - began_s
    count = sum(map(len, made))
    distinct = len({int(value) for own in made for value in own})
    return count / took_s, count - distinct, sum(empty)


def shared_after_fork(make, *, count=5_000, tries=20):
    """How many of its first ids a forked child shares with its parent: the worst of some tries."""
    return max(_shared_once(make(), count) for _ in range(tries))


def _shared_once(take, count):
    take()
    reader, writer = os.pipe()
    start_reader, start_writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(start_reader, 1)
        own = [take() for _ in range(count)]
        with os.fdopen(writer, "w") as pipe:
            json.dump([int(value) for value in own if value is not None], pipe)
        os._exit(0)
    os.write(start_writer, b"x")
    own = [take() for _ in range(count)]
    for descriptor in (writer, start_reader, start_writer):
        os.close(descriptor)
    with os.fdopen(reader) as pipe:
        theirs = json.load(pipe)
    os.waitpid(child, 0)
    return len({int(value) for value in own if value is not None} & set(theirs))


def measure(contender, *, seconds, each):
    row = {"name": contender.name}
    row["single"], row["cpu_ns"], row["ahead_ms"] = one_by_one(contender.make(), at_ms=contender.at_ms, seconds=seconds)
    if contender.make_batch is not None:
        row["batch"] = in_batches(contender.make_batch(), seconds=seconds)
    row["threads"], row["duplicates"], row["empty"] = in_threads(contender.make(), each=each)
    row["fork"] = shared_after_fork(contender.make)
    return row


HEADS = [
    "generator", "one thread, of the limit", "processor time", "ahead of the clock", "batches of 100", "8 threads",
    "duplicates in threads", "answers without an id", "shared after `os.fork()`, of 5,000",
]  # fmt: skip


def show(rows, *, load_before, load_after):
    """The table as it stands in docs/idgen.md."""
    print(
        f"CPython {platform.python_version()}, {os.cpu_count()} processors, load {load_before:.2f} before and"
        f" {load_after:.2f} after; {WINDOWS} windows, the median.\n"
    )
    print(f"| {' | '.join(HEADS)} |")
    print("|---" * len(HEADS) + "|")
    for row in rows:
        print(f"| {' | '.join(cells(row))} |")
    print(f"| limit of the layout | {cell(LIMIT)}{' |' * (len(HEADS) - 1)}")


def cells(row):
    return [
        row["name"],
        cell(row["single"]),
        f"{row['cpu_ns']:.0f} ns",
        f"{row['ahead_ms']:,.0f} ms",
        cell(row.get("batch")),
        f"{row['threads'] / 1e6:.2f} M/s",
        *(f"{row[name]:,}" for name in ("duplicates", "empty", "fork")),
    ]


def cell(rate):
    return f"{rate / 1e6:.2f} M/s, {rate / LIMIT:.2f}" if rate else "-"


def own_environment():
    """Make the environment with the packages once, and run this script in it."""
    directory = ROOT / ".local" / "bench-idgen"
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
    sys.exit(subprocess.run([python, __file__, *sys.argv[1:], "--here"], check=False).returncode)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours-only", action="store_true", help="without the packages")
    parser.add_argument("--here", action="store_true", help="in this environment, with the packages that it has")
    parser.add_argument("--seconds", type=float, default=3.0, help="per single-threaded measurement")
    parser.add_argument("--each", type=int, default=250_000, help="ids per thread")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (options.ours_only or options.here):
        own_environment()
    contenders = builtin() if options.ours_only else [*builtin(), *packages()]
    load_before = os.getloadavg()[0]
    rows = [measure(contender, seconds=options.seconds, each=options.each) for contender in contenders]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        show(rows, load_before=load_before, load_after=os.getloadavg()[0])


if __name__ == "__main__":
    main()
