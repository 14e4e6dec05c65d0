"""Leases in etcd, for sites with many machines: Raft keeps the table while a majority of the members lives.

    <prefix>/own/<id>  who holds the worker id; bound to the holder's TTL lease, so that it vanishes with it
    <prefix>/hwm/<id>  the mark up to which time is reserved; outlives every holder

The fence is the create_revision of the own key. A keepalive alone proves nothing (etcd before 3.4.38 may confirm a
revoked lease): every renewal is also a transaction that compares the fence and writes the mark.
"""

import json
import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from idgen.errors import LeaseLost, NoWorker
from idgen.layout import WORKER_COUNT
from idgen.leases.base import DEFAULT_TIMING, REST_MAX_MS, Grant, LeaseRow, StoreDown, Timing
from idgen.leases.etcd_gateway import Gateway, Tls, b64, prefix_end, unb64
from idgen.leases.etcd_prevote import warn_without_prevote

log = logging.getLogger(__name__)

ACQUIRE_TIMEOUT_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class _Mark:
    """`<prefix>/hwm/<id>` as read: the mark and the revision to compare with; 0 and 0 when it was never written."""

    until_ms: int = 0
    revision: int = 0


class EtcdLeases:
    """The lease store in an etcd cluster.

    etcd has no clock of its own to offer, but its gateway's answers carry the member's Date. The window ends at the
    earlier of that and our own wall clock, plus the window: one wrong clock cannot push a mark into the future.

    Args:
        endpoints: client URLs of the members.
        workers: how many worker ids are in play, from 0.
    """

    def __init__(
        self,
        *,
        endpoints: Sequence[str],
        prefix: str = "/idgen",
        timing: Timing = DEFAULT_TIMING,
        tls: Tls | None = None,
        workers: int = WORKER_COUNT,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timing = timing
        self._prefix = prefix.rstrip("/")
        self._workers = workers
        self._wall, self._monotonic = wall, monotonic
        self.gateway = Gateway(endpoints=endpoints, tls=tls)
        self._is_checked = False

    # --- the interface ---------------------------------------------------------------------------------------------
    def acquire(self, *, info: str, below_ms: int | None = None) -> Grant:
        if not self._is_checked:
            warn_without_prevote(self.gateway)
            self._is_checked = True
        until_s = self._monotonic() + ACQUIRE_TIMEOUT_S
        lease_id = self._new_lease()
        while self._monotonic() < until_s:
            worker_id, mark = self._choose(below_ms=below_ms)
            grant = self._take(worker_id, mark, lease_id=lease_id, info=info)
            if grant is not None:
                return grant
        raise StoreDown("other processes kept taking the worker ids that were chosen")

    def renew(self, grant: Grant, *, stats: Mapping[str, Any]) -> Grant:
        sent_s = self._monotonic()
        reply = self.gateway.post("/v3/lease/keepalive", {"ID": grant.holder})
        if int(reply.body.get("result", {}).get("TTL", 0)) <= 0:
            raise LeaseLost(f"the etcd lease of worker {grant.worker_id} is gone")
        reserved_until_ms = max(grant.reserved_until_ms, self._window_end_ms(reply.server_ms))
        written = self.gateway.post(
            "/v3/kv/txn",
            {
                "compare": [self._is_ours(grant.worker_id, grant.fence)],
                "success": [
                    self._put_mark(grant.worker_id, reserved_until_ms),
                    self._put(f"{self._prefix}/stats/{grant.worker_id:04d}", json.dumps(dict(stats)), grant.holder),
                ],
            },
        )
        if not written.body.get("succeeded"):
            raise LeaseLost(f"worker {grant.worker_id} is no longer leased to this process")
        return replace(
            grant,
            reserved_until_ms=reserved_until_ms,
            deadline_s=self.timing.deadline_s(sent_s),
            store_ms=self._store_ms(reply.server_ms),
        )

    def release(self, grant: Grant, *, used_until_ms: int) -> None:
        self.gateway.post(
            "/v3/kv/txn",
            {
                "compare": [self._is_ours(grant.worker_id, grant.fence)],
                "success": [
                    self._put_mark(grant.worker_id, min(used_until_ms, grant.reserved_until_ms)),
                    {"requestDeleteRange": {"key": b64(self._own(grant.worker_id))}},
                ],
            },
        )
        # The lease itself is left to run out: revoking it twice, as a retry would, is an error, and it binds nothing.

    def rows(self) -> list[LeaseRow]:
        holders, marks = self._read_all()
        stats = self._read_stats()
        return [
            LeaseRow(
                worker_id=worker_id,
                holder=str(holders.get(worker_id, {}).get("lease", "")),
                info=str(holders.get(worker_id, {}).get("info", "")),
                fence=int(holders.get(worker_id, {}).get("fence", 0)),
                lease_until=None,
                reserved_until_ms=marks.get(worker_id, _Mark()).until_ms,
                is_held=worker_id in holders,
                stats=stats.get(worker_id, {}) if worker_id in holders else {},
            )
            for worker_id in range(self._workers)
        ]

    def lower_mark(self, row: LeaseRow, *, to_ms: int) -> bool:
        if to_ms >= row.reserved_until_ms:
            return False
        mark = {"key": b64(self._hwm(row.worker_id)), "target": "VALUE", "result": "EQUAL"}
        reply = self.gateway.post(
            "/v3/kv/txn",
            {
                "compare": [self._is_ours(row.worker_id, 0), mark | {"value": b64(str(row.reserved_until_ms))}],
                "success": [self._put_mark(row.worker_id, to_ms)],
            },
        )
        return bool(reply.body.get("succeeded"))

    def close(self) -> None:
        self.gateway.close()

    # --- acquiring -------------------------------------------------------------------------------------------------
    def _new_lease(self) -> str:
        ttl_s = math.ceil(self.timing.ttl_s)
        return str(self.gateway.post("/v3/lease/grant", {"TTL": ttl_s, "ID": "0"}).body["ID"])

    def _choose(self, *, below_ms: int | None) -> tuple[int, _Mark]:
        """The least recently used free worker id; one of many at random, so that acquirers do not chase each other."""
        holders, marks = self._read_all()
        latest_ms = int(self._wall() * 1000) + REST_MAX_MS
        if below_ms is not None:
            latest_ms = min(latest_ms, below_ms - 1)
        free = [
            (mark.until_ms, secrets.randbits(32), worker_id, mark)
            for worker_id in range(self._workers)
            if worker_id not in holders and (mark := marks.get(worker_id, _Mark())).until_ms <= latest_ms
        ]
        if not free:
            raise NoWorker("every worker id is leased, or was used too short a time ago")
        _, _, worker_id, mark = min(free, key=lambda each: each[:3])
        return worker_id, mark

    def _take(self, worker_id: int, mark: _Mark, *, lease_id: str, info: str) -> Grant | None:
        """One try for one worker id; None when somebody else was faster."""
        sent_s = self._monotonic()
        server_ms = self._renew_lease(lease_id)
        reserved_until_ms = max(mark.until_ms, self._window_end_ms(server_ms))
        own = self._own(worker_id)
        reply = self.gateway.post(
            "/v3/kv/txn",
            {
                "compare": [
                    self._is_ours(worker_id, 0),  # 0: the key does not exist
                    {
                        "key": b64(self._hwm(worker_id)),
                        "target": "MOD",
                        "result": "EQUAL",
                        "mod_revision": str(mark.revision),
                    },
                ],
                "success": [
                    self._put(own, json.dumps({"lease": lease_id, "info": info}), lease_id),
                    self._put_mark(worker_id, reserved_until_ms),
                ],
                "failure": [{"requestRange": {"key": b64(own)}}],
            },
        )
        fence = self._fence_of(reply.body, lease_id=lease_id)
        if fence is None:
            return None
        return Grant(
            worker_id=worker_id,
            holder=lease_id,
            fence=fence,
            floor_ms=mark.until_ms,
            reserved_until_ms=reserved_until_ms,
            deadline_s=self.timing.deadline_s(sent_s),
            store_ms=self._store_ms(server_ms),
        )

    def _renew_lease(self, lease_id: str) -> int:
        """The lease's TTL counts from here; returns the member's clock."""
        reply = self.gateway.post("/v3/lease/keepalive", {"ID": lease_id})
        if int(reply.body.get("result", {}).get("TTL", 0)) <= 0:
            raise StoreDown("the etcd lease ran out while a worker id was chosen")
        return reply.server_ms

    def _fence_of(self, body: Mapping[str, Any], *, lease_id: str) -> int | None:
        """The own key's create_revision if it is ours. A failed comparison may be our own first try, sent twice."""
        if body.get("succeeded"):
            return int(body["header"]["revision"])
        for entry in body["responses"][0]["response_range"].get("kvs", []):
            if json.loads(unb64(entry["value"]))["lease"] == lease_id:
                return int(entry["create_revision"])
        return None

    # --- keys and values -------------------------------------------------------------------------------------------
    def _own(self, worker_id: int) -> str:
        return f"{self._prefix}/own/{worker_id:04d}"

    def _hwm(self, worker_id: int) -> str:
        return f"{self._prefix}/hwm/{worker_id:04d}"

    def _is_ours(self, worker_id: int, fence: int) -> dict[str, Any]:
        return {"key": b64(self._own(worker_id)), "target": "CREATE", "result": "EQUAL", "create_revision": str(fence)}

    def _put_mark(self, worker_id: int, until_ms: int) -> dict[str, Any]:
        return self._put(self._hwm(worker_id), str(until_ms), "0")

    def _put(self, key: str, value: str, lease_id: str) -> dict[str, Any]:
        """A write that vanishes with the lease `lease_id`; "0" is none."""
        return {"requestPut": {"key": b64(key), "value": b64(value), "lease": lease_id}}

    def _read_all(self) -> tuple[dict[int, dict[str, Any]], dict[int, _Mark]]:
        """Holders and marks of one revision."""
        ranges = [
            {"requestRange": {"key": b64(prefix), "range_end": b64(prefix_end(prefix))}}
            for prefix in (f"{self._prefix}/own/", f"{self._prefix}/hwm/")
        ]
        body = self.gateway.post("/v3/kv/txn", {"success": ranges}).body
        own, hwm = (each["response_range"].get("kvs", []) for each in body["responses"])
        holders = {
            _worker_id(entry): json.loads(unb64(entry["value"])) | {"fence": entry["create_revision"]} for entry in own
        }
        marks = {_worker_id(entry): _Mark(int(unb64(entry["value"])), int(entry["mod_revision"])) for entry in hwm}
        return holders, marks

    def _read_stats(self) -> dict[int, dict[str, Any]]:
        prefix = f"{self._prefix}/stats/"
        body = self.gateway.post("/v3/kv/range", {"key": b64(prefix), "range_end": b64(prefix_end(prefix))}).body
        return {_worker_id(entry): json.loads(unb64(entry["value"])) for entry in body.get("kvs", [])}

    def _window_end_ms(self, server_ms: int) -> int:
        return min(server_ms, int(self._wall() * 1000)) + self.timing.window_ms

    def _store_ms(self, server_ms: int) -> int:
        """Within the Date header's resolution the two clocks agree; only a real difference is reported as one."""
        wall_ms = int(self._wall() * 1000)
        return wall_ms if abs(server_ms - wall_ms) <= 1_000 else server_ms


def _worker_id(entry: Mapping[str, Any]) -> int:
    return int(unb64(entry["key"]).rpartition("/")[2])
