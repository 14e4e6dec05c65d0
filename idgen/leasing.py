"""The worker ids that this process holds: one main, at times a spare, both renewed by one background thread."""

import logging
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Final

from idgen.errors import ClockSkew, IdgenUnavailable, LeaseLost, NoWorker
from idgen.lanes import Lanes
from idgen.leases.base import SKEW_MAX_MS, Grant, LeaseStore, StoreDown
from idgen.metrics import Counters

log = logging.getLogger(__name__)

SKEW_WARN_MS: Final = 500
RETRY_S: Final = 0.5
SPARE_RETRY_S: Final = 1.0
UNWANTED_AFTER_S: Final = 60.0
JOIN_TIMEOUT_S: Final = 3.0


class Held:
    """A leased worker id with its lanes. The renewal thread replaces `grant`; lanes belong to the generator's lock."""

    __slots__ = ("grant", "lanes")

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.lanes = Lanes(worker_id=grant.worker_id, floor_ms=grant.floor_ms)


class Leasing:
    """Acquires on first use, renews in the background, and says at once when there is no lease.

    The first caller waits for the store (bounded by the store's own limit). After that no caller ever does: while the
    lease is lost, or was never had, the renewal thread keeps asking and callers are refused immediately.
    """

    def __init__(
        self,
        *,
        open_store: Callable[[], LeaseStore],
        counters: Counters,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        in_background: bool = True,
        stats: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._stats = stats
        self._in_background = in_background
        self._open_store = open_store
        self._wall = wall
        self._monotonic = monotonic
        self.counters = counters
        self.forget()

    def forget(self) -> None:
        """Own nothing, without telling the store: in a forked child all that we remember is the parent's."""
        self.main: Held | None = None
        self.spare: Held | None = None
        self._to_release: deque[Held] = deque()
        self._store: LeaseStore | None = None
        self._io = threading.RLock()
        self._wake = threading.Event()
        self._keeper: threading.Thread | None = None
        self._refusal: IdgenUnavailable = LeaseLost("no lease yet")
        self._is_complaining = self._is_skewed = False
        self._asked_s = self._spare_retry_s = float("-inf")

    # --- for the generator, under its lock -------------------------------------------------------------------------
    def held(self) -> Held:
        """The main worker id, leased on first use.

        Raises:
            LeaseLost, NoWorker, ClockSkew: there is none right now.
        """
        held = self.main
        if held is None:
            return self._first()
        if self.is_usable(held):
            return held
        if self._in_background and not self._is_kept():
            self.main = None  # nobody renews it any more: begin anew rather than refuse for ever
            return self._first()
        raise LeaseLost("the lease ran out and could not be renewed")

    def is_usable(self, held: Held) -> bool:
        return self._monotonic() < held.grant.deadline_s

    def acquire_spare(self, *, below_ms: int) -> Held | None:
        """A second worker id that has never been at `below_ms` or later, or None. Asks at most once a second."""
        if self._monotonic() < self._spare_retry_s:
            return None
        self._spare_retry_s = self._monotonic() + SPARE_RETRY_S
        try:
            with self._io:
                held = Held(self._granted(below_ms=below_ms))
        except (IdgenUnavailable, StoreDown) as error:
            log.warning("no spare worker id: %s", error)
            return None
        log.warning("the clock stepped back beyond every lane: spare worker %d in use", held.grant.worker_id)
        self.spare = held
        return held

    def release_spare(self) -> None:
        """The renewal thread gives it back; no caller waits for that."""
        if self.spare is not None:
            self._to_release.append(self.spare)
            self.spare = None
            self._wake.set()

    # --- lifetime --------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """Stop renewing and give the ids back. The next `held()` begins anew."""
        keeper, self._keeper = self._keeper, None
        self._wake.set()
        if keeper is not None and keeper is not threading.current_thread():
            keeper.join(JOIN_TIMEOUT_S)
        self._to_release.extend(held for held in (self.main, self.spare) if held is not None)
        self.main = self.spare = None
        with self._io:
            self._release_queued()
            if self._store is not None:
                self._store.close()
        self.forget()

    @property
    def store(self) -> LeaseStore | None:
        return self._store

    def _first(self) -> Held:
        self._asked_s = self._monotonic()
        if self._is_kept():
            raise type(self._refusal)(*self._refusal.args)
        try:
            return self._acquire_main()
        finally:
            self._start_keeper()

    def _is_kept(self) -> bool:
        return self._keeper is not None and self._keeper.is_alive()

    def _acquire_main(self) -> Held:
        with self._io:
            try:
                if self._store is None:
                    self._store = self._open_store()
                self.main = Held(self._granted(below_ms=None))
            except StoreDown as error:
                self._refusal = NoWorker(str(error))
                raise self._refusal from error
            except IdgenUnavailable as error:
                self._refusal = error
                raise
            finally:
                if self.main is None and self._store is not None:
                    self._store.close()
                    self._store = None
        self._is_complaining = False
        log.info("worker %d leased, fence %d", self.main.grant.worker_id, self.main.grant.fence)
        return self.main

    def _granted(self, *, below_ms: int | None) -> Grant:
        if self._store is None:
            raise StoreDown("the lease store is closed")
        grant = self._store.acquire(info=process_info(), below_ms=below_ms)
        self.counters.acquired_total += 1
        skew_ms = self._note_skew(grant)
        # A spare is asked for because the wall clock is behind: only one that runs ahead is refused then.
        if skew_ms < -SKEW_MAX_MS or (below_ms is None and skew_ms > SKEW_MAX_MS):
            self._store.release(grant, used_until_ms=grant.floor_ms)
            raise ClockSkew(f"the wall clock is {-skew_ms} ms ahead of the lease store's clock")
        return grant

    def _note_skew(self, grant: Grant) -> int:
        skew_ms = grant.store_ms - int(self._wall() * 1000)
        self.counters.clock_skew_ms = skew_ms
        if (abs(skew_ms) > SKEW_WARN_MS) != self._is_skewed:
            self._is_skewed = not self._is_skewed
            log.warning("the lease store's clock is %d ms ahead of the wall clock", skew_ms)
        return skew_ms

    # --- the renewal thread ----------------------------------------------------------------------------------------
    def _start_keeper(self) -> None:
        if not self._in_background:
            return
        self._wake = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="idgen-keeper", daemon=True)
        self._keeper.start()

    def _keep(self) -> None:
        me = threading.current_thread()
        delay_s = self._first_delay_s()
        while self._keeper is me:
            self._wake.wait(delay_s)
            self._wake.clear()
            if self._keeper is not me or self._is_unwanted():
                return
            delay_s = self.tick()

    def _first_delay_s(self) -> float:
        return self._store.timing.renew_every_s if self.main is not None and self._store is not None else RETRY_S

    def _is_unwanted(self) -> bool:
        return self.main is None and self._monotonic() - self._asked_s > UNWANTED_AFTER_S

    def tick(self) -> float:
        """One round of the renewal thread. Returns the seconds until the next one."""
        with self._io:
            self._release_queued()
            if self.main is None:
                return self._try_again()
            renewed = [self._renew(held) for held in (self.main, self.spare) if held is not None]
            every_s = self._store.timing.renew_every_s if self._store is not None else RETRY_S
            return every_s if all(renewed) else min(RETRY_S, every_s / 4)

    def _try_again(self) -> float:
        try:
            self._acquire_main()
        except IdgenUnavailable as error:
            self._complain("still no worker id: %s", error)
        return self._first_delay_s()

    def _renew(self, held: Held) -> bool:
        if self._store is None:
            return False
        began_s = self._monotonic()
        try:
            held.grant = self._store.renew(held.grant, stats=self._stats())
        except StoreDown as error:
            self.counters.renew_failures_total += 1
            left_s = max(0.0, held.grant.deadline_s - self._monotonic())
            self._complain("worker %d not renewed, %.1f s left: %s", held.grant.worker_id, left_s, error)
            return False
        except LeaseLost as error:
            self._drop(held, error)
            return False
        if self._is_complaining:
            self._is_complaining = False
            log.warning("worker %d renewed again", held.grant.worker_id)
        self.counters.renew_seconds.observe(self._monotonic() - began_s)
        self._note_skew(held.grant)
        return True

    def _complain(self, text: str, *values: object) -> None:
        """Once per trouble as a warning: an outage of the store must not fill the log of every process."""
        log.log(logging.DEBUG if self._is_complaining else logging.WARNING, text, *values)
        self._is_complaining = True

    def _drop(self, held: Held, error: LeaseLost) -> None:
        self.counters.lost_total += 1
        log.error("lease lost: %s", error)
        if held is self.spare:
            self.spare = None
            return
        self.release_spare()
        self._refusal, self.main = error, None
        self._asked_s = self._monotonic()
        self._try_again()

    def _release_queued(self) -> None:
        while self._to_release:
            held = self._to_release.popleft()
            try:
                if self._store is not None:
                    self._store.release(held.grant, used_until_ms=held.lanes.newest_ms)
            except StoreDown as error:
                log.debug("worker %d not released, it will run out: %s", held.grant.worker_id, error)


def process_info() -> str:
    """Who holds the lease, for people: host, process id and program."""
    program = PurePath(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    return f"{socket.gethostname()}:{os.getpid()} {program}"[:200]
