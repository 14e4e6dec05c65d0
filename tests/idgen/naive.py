"""The rules that people write first. They are here to show that our tests would notice: each must fail them."""

from idgen.layout import EPOCH_MS
from tests.idgen.fakes import Clock


class Sequence:
    """Plain snowflake arithmetic: whatever time and sequence the rule says."""

    def __init__(self, clock: Clock, *, worker_id: int = 0) -> None:
        self.clock = clock
        self.worker_id = worker_id
        self.last_ms = 0
        self.sequence = 0

    def compose(self, at_ms: int) -> int:
        return (at_ms - EPOCH_MS) << 22 | self.worker_id << 12 | self.sequence & 4095


class NaiveBase(Sequence):
    """ "After a rollback begin the sequence at 1,024; at low load that cannot collide." False the second time."""

    base = 0

    def next_id(self) -> int:
        now_ms = int(self.clock.wall() * 1000)
        if now_ms < self.last_ms:
            self.base = 1024
        if now_ms == self.last_ms:
            self.sequence += 1
        else:
            self.sequence = self.base
        self.last_ms = now_ms
        return self.compose(now_ms)


class LeafReport(Sequence):
    """Leaf's rule: the last time is reported every 3 s, after the ids, and compared at the next start."""

    def __init__(self, clock: Clock, *, worker_id: int = 0) -> None:
        super().__init__(clock, worker_id=worker_id)
        self.reported_ms = 0

    def next_id(self) -> int:
        now_ms = int(self.clock.wall() * 1000)
        if now_ms < self.last_ms:
            raise RuntimeError("clock moved backwards")
        self.sequence = self.sequence + 1 if now_ms == self.last_ms else 0
        self.last_ms = now_ms
        if now_ms - self.reported_ms >= 3_000:
            self.reported_ms = now_ms
        return self.compose(now_ms)

    def restart(self) -> None:
        if int(self.clock.wall() * 1000) < self.reported_ms:
            raise RuntimeError("clock is behind the last report")
        self.last_ms = self.sequence = 0
