"""A real worker is heard of while it lives, and carries out what says that the scheduler lives."""

from __future__ import annotations

from connectors import __version__, tasks
from connectors.models import Heartbeat
from tests.servers.worker import eventually, worker


def test_a_worker_is_heard_of_from_its_start_to_its_orderly_end(transactional_db: None) -> None:
    workers = Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER)
    with worker() as running:
        eventually("the worker is heard of", workers.exists)
        assert workers.get().name.endswith(f":{running.process.pid}")
        assert workers.get().version == __version__
        tasks.beat.delay()
        eventually(
            "what the scheduler sends is measured", Heartbeat.objects.filter(kind="scheduler", lag__gte=0).exists
        )
    assert not workers.exists()
