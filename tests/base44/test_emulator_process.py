"""The emulator in a process of its own serves many connections at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import urllib3

from tests.servers.emulator_process import EmulatorProcess

CONNECTIONS = 32


def test_many_connections_are_kept_alive_and_each_request_is_counted_once() -> None:
    with EmulatorProcess("--no-rate-limits") as emulator:
        emulator.control("connectors", app="shop", type="notion", scopes=["a"])
        pool = urllib3.PoolManager(maxsize=CONNECTIONS, block=True, headers={"Authorization": f"Bearer {emulator.pat}"})

        def listing(_: int) -> int:
            return pool.request("GET", f"{emulator.url}/api/apps/shop/external-auth/list", retries=False).status

        with ThreadPoolExecutor(CONNECTIONS) as workers:
            assert set(workers.map(listing, range(640))) == {200}
        opened = pool.connection_from_url(emulator.url).num_connections
        pool.clear()
        assert opened <= CONNECTIONS
        assert emulator.counters() == {"GET /api/apps/{app_id}/external-auth/list": 640}
