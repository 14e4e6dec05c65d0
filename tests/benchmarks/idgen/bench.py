"""Ids per second, side by side in one run, as ratios to the layout's limit of 4,096,000 ids/s per worker id.

    python tests/benchmarks/idgen/bench.py                # ours and a plain lock-per-id generator
    python tests/benchmarks/idgen/bench.py --packages     # also packages, in an environment of their own

Every row says what was given up for its speed: duplicates and empty answers over eight threads, and how many of 5,000
ids a forked child shared with its parent.
"""

import argparse
import gc
import json
import os
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


def per_second(take, *, seconds):
    """Rate of `take` in a plain loop and the processor's ns per id, each the best of five windows.

    The best, because a busy machine takes the processor away for longer than the 5 ms that may be caught up. The
    warm-up has borrowed whatever a generator borrows, so that no window gains by it.
    """

    def round_():
        for _ in range(10_000):
            take()
        return 10_000

    return best_window(round_, seconds=seconds)


def batches_per_second(batch, *, seconds):
    """The same for batches of 100."""

    def round_():
        for _ in range(100):
            batch(BATCH)
        return 100 * BATCH

    return best_window(round_, seconds=seconds)[0]


def best_window(round_, *, seconds, windows=5):
    best, cpu_ns = 0.0, float("inf")
    for _ in range(20):
        round_()
    for _ in range(windows):
        count, began_s, began_cpu_s = 0, time.perf_counter(), time.process_time()
        while (took_s := time.perf_counter() - began_s) < seconds / windows:
            count += round_()
        best = max(best, count / took_s)
        cpu_ns = min(cpu_ns, (time.process_time() - began_cpu_s) / count * 1e9)
    return best, cpu_ns


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


def shared_after_fork(make, *, count=5_000, tries=5):
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
    take = contender.make()
    row["single"], row["cpu_ns"] = per_second(take, seconds=seconds)
    row["borrowed_ms"] = contender.borrowed_ms(take)
    if contender.make_batch is not None:
        row["batch"] = batches_per_second(contender.make_batch(), seconds=seconds)
    row["threads"], row["duplicates"], row["empty"] = in_threads(contender.make(), each=each)
    row["fork"] = shared_after_fork(contender.make)
    return row


def cell(rate):
    return f"{rate / 1e6:.2f} M/s, {rate / LIMIT:.2f}" if rate else "-"


HEADS = [
    "generator", "one thread, of 4.096 M/s", "CPU per id", "batches of 100", "8 threads", "borrowed at most",
    "duplicates in threads", "no answer", "shared after `os.fork()`, of 5,000",
]  # fmt: skip


def show(rows):
    """The table of docs/idgen.md."""
    print("| " + " | ".join(HEADS) + " |\n|" + "---|" * len(HEADS))
    for row in rows:
        borrowed = f"{row['borrowed_ms']} ms" if row["borrowed_ms"] is not None else "-"
        cells = [
            row["name"], cell(row["single"]), f"{row['cpu_ns']:.0f} ns", cell(row.get("batch")), cell(row["threads"]),
            borrowed, f"{row['duplicates']:,}", f"{row['empty']:,}", f"{row['fork']:,}",
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |")


def own_environment():
    """Make the environment with the packages once, and run this script in it."""
    directory = ROOT / ".local" / "bench-idgen"
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
    arguments = [argument for argument in sys.argv[1:] if argument != "--packages"]
    sys.exit(subprocess.run([python, __file__, *arguments], check=False).returncode)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", action="store_true")
    parser.add_argument("--seconds", type=float, default=3.0, help="per single-threaded measurement")
    parser.add_argument("--each", type=int, default=250_000, help="ids per thread")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.packages:
        own_environment()
    rows = [measure(each, seconds=options.seconds, each=options.each) for each in [*builtin(), *packages()]]
    print(json.dumps(rows, indent=2)) if options.json else show(rows)


if __name__ == "__main__":
    main()
