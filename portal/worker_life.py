"""A worker says that it lives, from a thread of its own: its tasks may be busy for long."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable

from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from django.db import DatabaseError, connection
from django.utils import timezone

log = logging.getLogger(__name__)


class Life:
    """Beats until it is ended, and says goodbye then."""

    def __init__(self) -> None:
        self.name = f"worker@{socket.gethostname()}:{os.getpid()}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="heartbeat", daemon=True)

    def begin(self) -> None:
        """Be heard of from now on."""
        self._thread.start()

    def end(self) -> None:
        """Be heard of no more; a worker that is asked to end takes no new tasks, so nobody should count on it."""
        self._ended.set()

    def wait(self) -> None:
        """Returns when goodbye was said, or cannot be."""
        self._thread.join(timeout=5)

    def _live(self) -> None:
        # Models are there only once Celery has set Django up, which is after this module is imported.
        from connectors import __version__
        from connectors.flows import heartbeat
        from connectors.models import Heartbeat

        try:
            while not self._ended.is_set():
                self._try(lambda: heartbeat.beat(Heartbeat.Kind.WORKER, self.name, timezone.now(), version=__version__))
                self._ended.wait(heartbeat.EVERY.total_seconds())
            self._try(lambda: heartbeat.leave(self.name))
        finally:
            connection.close()

    def _try(self, say: Callable[[], None]) -> None:
        try:
            say()
        except DatabaseError as error:
            log.warning("This worker could not say that it lives (%s)", type(error).__name__)
            connection.close()  # the next try gets a connection that works


_lives: list[Life] = []


@worker_ready.connect
def begin(**_: object) -> None:
    """The worker takes tasks from now on."""
    life = Life()
    _lives.append(life)
    life.begin()


@worker_shutting_down.connect
def end(**_: object) -> None:
    """The worker finishes what it has begun."""
    for life in _lives:
        life.end()


@worker_shutdown.connect
def wait(**_: object) -> None:
    """The process ends."""
    while _lives:
        life = _lives.pop()
        life.end()
        life.wait()
