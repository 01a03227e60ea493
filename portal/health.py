"""Questions that load balancers, Compose and monitoring ask, without logging in."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from connectors.flows.vitals import vitals
from portal.celery import app

logger = logging.getLogger(__name__)


class HealthMiddleware:
    """Answers /healthz (also as /livez) and /readyz ahead of everything else.

    Ahead of the check of the Host header, because load balancers ask by address, and ahead of the redirect to HTTPS,
    because they ask inside the network.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a health question, pass on everything else."""
        question = _QUESTIONS.get(request.path_info)
        if question is None or request.method not in ("GET", "HEAD"):
            return self._get_response(request)
        answer = question(request)
        answer["Cache-Control"] = "no-store"
        return answer


def healthz(_: HttpRequest) -> JsonResponse:
    """Say that the process answers; asks nothing of database, cache or broker, so a restart is never wrongly caused."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether this process can serve: 200 when database, cache and broker answer, 503 when one does not.

    With `?full=1` also whether the portal as a whole does its work: workers, scheduler, refreshes. That is for
    monitoring and not for balancers, because a worker that is down is no reason to take the pages away.
    The answer names the part that fails and never why: an error's text can hold an address or a user name.
    """
    states = {name: _works(name, probe) for name, probe in _PROBES.items()}
    if request.GET.get("full"):
        states |= _background() if states["database"] else dict.fromkeys(("worker", "scheduler", "tokens"), False)
    ready = all(states.values())
    body = {"status": "ok" if ready else "unavailable", **{k: "ok" if v else "failed" for k, v in states.items()}}
    return JsonResponse(body, status=200 if ready else 503)


def _background() -> dict[str, bool]:
    return {vital.name: vital.is_well for vital in vitals(timezone.now())}


def _works(name: str, probe: Callable[[], None]) -> bool:
    try:
        probe()
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, the answer is "not ready"
        logger.warning("readyz: %s does not answer (%s)", name, type(error).__name__)
        return False
    return True


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


_migrated = threading.Event()


def _migrations() -> None:
    """Code that is newer than the database answers with errors. Once it fits it does so until this process ends."""
    if _migrated.is_set():
        return
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise RuntimeError("there are migrations to apply")
    _migrated.set()


def _cache() -> None:
    key, value = f"readyz:{secrets.token_hex(8)}", secrets.token_hex(8)
    cache.set(key, value, timeout=10)
    if cache.get(key) != value:
        raise OSError("the cache did not return what it was given")
    cache.delete(key)


def _broker() -> None:
    if settings.REDIS_URL:
        with app.connection_for_write(connect_timeout=2) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=2)
        return
    folder = str(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"])
    if not os.access(folder, os.W_OK):
        raise OSError("the broker's folder cannot be written")


_QUESTIONS: dict[str, Callable[[HttpRequest], JsonResponse]] = {
    "/healthz": healthz,
    "/livez": healthz,
    "/readyz": readyz,
}
_PROBES: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "cache": _cache,
    "broker": _broker,
}
