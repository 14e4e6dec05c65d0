"""Every random choice of the sandbox, drawn from one seed, so that a run can be repeated.

Each kind of choice has a stream of its own for each number it is about: what one order draws does not depend on what
others do meanwhile. A restart opens new streams, so that nothing is handed out twice; a reset begins them again.
"""

import random
import secrets
import threading
from collections import Counter

from sandbox import environment, options

SEED_MAX = 2**31
_lock = threading.Lock()
_drawn: Counter[tuple[str, str]] = Counter()


def draw(kind: str, number: str = "") -> random.Random:
    """A generator for the next choice of `kind` about `number`."""
    with _lock:
        _drawn[kind, number] += 1
        count = _drawn[kind, number]
    known = options.everything()
    return random.Random(f"{known['seed']}/{known['epoch']}/{kind}/{number}/{count}")  # noqa: S311 - to be repeatable


def text(kind: str, number: str = "", *, size: int = 16) -> str:
    """`size` bytes in hexadecimal."""
    return draw(kind, number).randbytes(size).hex()


def digits(kind: str, number: str = "", *, count: int) -> str:
    return f"{draw(kind, number).randrange(10**count):0{count}d}"


def hits(kind: str, number: str = "", *, percent: float) -> bool:
    """Whether this time belongs to the share of `percent`."""
    return percent > 0 and draw(kind, number).random() * 100 < percent


def begin() -> int:
    """At the start of the process: the seed that is known, asked for, or drawn now; and new streams. Returns it."""
    known = options.everything()
    asked = environment.current().seed
    seed = known["seed"] or asked or secrets.randbelow(SEED_MAX - 1) + 1
    options.put({"seed": seed, "epoch": known["epoch"] + 1})
    return int(seed)


def restart(*, seed: int) -> None:
    """Begin all streams again, from `seed`."""
    with _lock:
        _drawn.clear()
    options.put({"seed": seed, "epoch": 0})
