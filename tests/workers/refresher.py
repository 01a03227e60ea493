"""A process of the portal that refreshes: `python -m tests.workers.refresher due` or `... TOKEN_ID THREADS`.

Says "ready", waits for a line on standard input, and prints in JSON what each thread came to.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import django


def main(arguments: list[str]) -> None:
    """Refreshes what is due, or one token by many threads that start together."""
    django.setup()
    from django.db import connection

    from connectors.core.actor import SCHEDULER
    from connectors.core.errors import PortalError
    from connectors.flows.refresh import fresh_access_token, refresh_due

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if arguments == ["due"]:
        sys.stdout.write(json.dumps(refresh_due()))
        return
    token_id, threads = map(int, arguments)
    together = Barrier(threads)

    def one(_: int) -> str:
        together.wait(30)
        try:
            return fresh_access_token(token_id, SCHEDULER).get_secret_value()
        except PortalError as error:
            return f"error: {error}"
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        sys.stdout.write(json.dumps(list(pool.map(one, range(threads)))))


if __name__ == "__main__":
    main(sys.argv[1:])
