"""What rows that stand for a piece of work have in common: claimed once, kept alive, found dead, sent again.

The row is the truth and the broker's message only a hint: a message may come twice or be lost with a killed worker.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection, models
from django.utils import timezone

from connectors.models import RepositoryRun, SyncRun
from connectors.models.run import HEARTBEAT_SECONDS, STALE_AFTER

Row = TypeVar("Row", SyncRun, RepositoryRun)
Rows = models.QuerySet[SyncRun] | models.QuerySet[RepositoryRun]

QUEUED, RUNNING = "queued", "running"
"""Both models have these two states, and `worker`, `dispatched_at`, `started_at` and `heartbeat_at` beside them."""


def claim(rows: Rows) -> int:
    """Makes those of the rows that are queued run, as ours; how many. Who comes second gets none."""
    now = timezone.now()
    return rows.filter(state=QUEUED).update(state=RUNNING, started_at=now, heartbeat_at=now, worker=_worker())


@contextmanager
def heartbeat(rows: Rows) -> Iterator[None]:
    """Keeps the running rows fresh from a thread, so that a slow answer from elsewhere does not look like our death."""
    stop = threading.Event()

    def beat() -> None:
        try:
            while not stop.wait(HEARTBEAT_SECONDS):
                rows.filter(state=RUNNING).update(heartbeat_at=timezone.now())
        finally:
            connection.close()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def dead(rows: Rows, now: dt.datetime) -> set[int]:
    """The ids of running rows whose worker died.

    A worker of this host is known dead as soon as its process is gone; one elsewhere when its heartbeat is stale.
    """
    running = rows.filter(state=RUNNING)
    stale = set(running.filter(heartbeat_at__lt=now - STALE_AFTER).values_list("pk", flat=True))
    return stale | {pk for pk, worker in running.values_list("pk", "worker") if _is_gone(worker)}


def redeliver(rows: models.QuerySet[Row], now: dt.datetime, send: Callable[[Row], None], *, limit: int = 500) -> int:
    """Sends queued rows whose message was lost; how many. Two sweeps at once send each of them once."""
    sent = 0
    for row in rows.order_by("pk")[:limit]:
        unsent = rows.model._default_manager.filter(pk=row.pk, state=QUEUED, dispatched_at=row.dispatched_at)
        if unsent.update(dispatched_at=now):
            send(row)
            sent += 1
    return sent


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_gone(worker: str) -> bool:
    host, _, pid = worker.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
