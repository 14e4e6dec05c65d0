"""Numbers that never repeat: 63-bit snowflake ids, unique through rollback, fork, freeze, restart and failover.

    from idgen import next_id, next_ids, parse, to_str, from_str

The worker id is leased on first use. When no id can be given without risking a duplicate, IdgenUnavailable is raised.
"""

from idgen.errors import (
    ClockRollback,
    ClockSkew,
    EpochExhausted,
    IdgenUnavailable,
    InvalidIdError,
    LeaseLost,
    NoWorker,
    WindowExhausted,
)
from idgen.generator import Generator
from idgen.layout import Parts, from_base32, from_str, parse, to_base32, to_str
from idgen.stores import store_from_settings

__all__ = [
    "ClockRollback",
    "ClockSkew",
    "EpochExhausted",
    "Generator",
    "IdgenUnavailable",
    "InvalidIdError",
    "LeaseLost",
    "NoWorker",
    "Parts",
    "WindowExhausted",
    "close",
    "from_base32",
    "from_str",
    "health",
    "next_id",
    "next_ids",
    "parse",
    "to_base32",
    "to_str",
]

# One generator per process, made here and leased on first use. A forked child keeps these very functions and leases
# an id of its own: they are closures over the generator, so that a call costs no look-up.
process_generator = Generator(open_store=store_from_settings)
next_id = process_generator.next_id
next_ids = process_generator.next_ids
health = process_generator.health
close = process_generator.close
next_id.__module__ = next_ids.__module__ = __name__
next_id.__qualname__, next_ids.__qualname__ = (
    "next_id",
    "next_ids",
)  # so that a model's default can be named by a migration
