"""Is the process up, and can it serve? For load balancers; strangers learn no more than ok or failed."""

import logging
from collections.abc import Callable
from hmac import compare_digest

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from payments.operations.checkup import Reader, as_document

logger = logging.getLogger(__name__)

_reader = Reader()
_migrated: list[bool] = []  # once true it stays true for this process: its code does not change


class NotReady(Exception):
    """A part is not as it must be; the message is for our logs."""


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """The process is up. Asks nobody else: a database that is down is no reason to kill the process."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    """200 when the database answers and has our schema, else 503.

    Redis is reported and does not decide. Without it writes of merchants are refused with 503 and a Retry-After, but
    callbacks, queries and payers are still served; taking every process out of service would turn that into an outage.
    """
    parts = {"database": _is_ok(_database), "migrations": _is_ok(_migrations), "redis": _is_ok(_redis)}
    ready = parts["database"] and parts["migrations"]
    content = {"status": "ok" if ready else "failed"} | {
        name: "ok" if is_ok else "failed" for name, is_ok in parts.items()
    }
    return JsonResponse(content, status=200 if ready else 503, headers={"Cache-Control": "no-store"})


@require_safe
def queues(request: HttpRequest) -> HttpResponse:
    """Is somebody there to do the work? 200 or 503; for a monitor that rings when beat and the workers cannot.

    Strangers learn no more than ok or failed. Whoever presents HEALTH_TOKEN as a bearer is told the figures.
    """
    seen = _reader.read()
    content = as_document(seen) if _may_know(request) else {"status": "ok" if seen.is_well else "failed"}
    return JsonResponse(content, status=200 if seen.is_well else 503, headers={"Cache-Control": "no-store"})


def _may_know(request: HttpRequest) -> bool:
    expected = settings.HEALTH_TOKEN.encode()
    scheme, _sep, token = request.headers.get("Authorization", "").partition(" ")
    return bool(expected) and scheme.lower() == "bearer" and compare_digest(token.strip().encode(), expected)


def _is_ok(check: Callable[[], None]) -> bool:
    try:
        check()
    except (DatabaseError, MigrationSchemaMissing, NotReady) as error:
        logger.warning("not ready: %s: %s", check.__name__.lstrip("_"), type(error).__name__)
        return False
    return True


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    if _migrated:
        return
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("migrations are missing")
    _migrated.append(True)


def _redis() -> None:
    """Over a connection of its own, whatever the circuit of openplatform.store says."""
    import redis  # noqa: PLC0415 - imports much, and this module comes with the addresses
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    timeout_s = settings.REDIS_TIMEOUT_S
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),  # the library's own would try again for seconds
        ) as client:
            client.ping()
    except redis.RedisError as error:
        raise NotReady(type(error).__name__) from error
