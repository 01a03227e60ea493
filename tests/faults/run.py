"""The fault run: `python -m tests.faults.run --kills 100`, or `make bench ARGS="faults"`.

People import, apply, export and refresh while processes of the portal are killed and servers go and come. At the end
everything must be as if nothing had happened. Prints what happened, and each fault; exits 1 when there is one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import django

from tests.faults import own_servers
from tests.faults.troubles import Troubles
from tests.faults.world import World, world

IMPATIENT_EVERY = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done, and how much goes wrong meanwhile."""

    kills: int
    projects: int = 4
    turns: int = 3
    seed: int = 1
    pause: tuple[float, float] = (0.5, 2.5)
    patience: float = 240.0
    settle: float = 60.0


def carry_out(plan: Plan) -> list[str]:
    """Every fault in words; prints what happened."""
    with tempfile.TemporaryDirectory(prefix="portal-faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as somebody else when we are root
        with world(folder) as made:
            os.environ.update(made.env)
            django.setup()
            return _in_world(made, plan)


def _in_world(made: World, plan: Plan) -> list[str]:
    from django.core.management import call_command

    from tests.faults import rows, verdict

    call_command("migrate", verbosity=0)
    session = rows.prepare(made, plan.projects)
    made.keep_running()
    troubles = Troubles(made, plan.kills, plan.seed, plan.pause)
    stop, started = threading.Event(), time.monotonic()
    clock = threading.Thread(target=_hurry, args=(stop,))
    clock.start()
    try:
        troubles.start()
        turns, tries = _people_work(made, session, plan, troubles)
        troubles.finish()
        found = _when_quiet(lambda: verdict.faults(made, turns, troubles.deaths), plan)
    finally:
        stop.set()
        clock.join()
    say(f"{time.monotonic() - started:.0f} s, {sum(turns.values())} imports and applies, {tries} tries in vain")
    say(", ".join(f"{count} x {what}" for what, count in sorted(troubles.counts.items())) or "nothing went wrong")
    say(verdict.summary(made))
    return found


def _people_work(made: World, session: str, plan: Plan, troubles: Troubles) -> tuple[dict[str, int], int]:
    """Each project by a person of its own, as long as things go wrong; how many turns each took, and tries in vain."""
    from tests.faults.person import Person

    people = [Person(made, session, plan.patience) for _ in range(plan.projects)]
    with ThreadPoolExecutor(plan.projects) as threads:
        working = [
            threads.submit(person.work, number, plan.turns, lambda: troubles.is_over)
            for number, person in enumerate(people)
        ]
        turns = {f"p{number}": work.result() for number, work in enumerate(working)}
    return turns, sum(person.tries for person in people)


def _hurry(stop: threading.Event) -> None:
    """Turns the clock: what the scheduler does every half minute happens every few seconds, and tokens end early."""
    from django.db import connection
    from kombu.exceptions import OperationalError

    from portal.celery import app
    from tests.faults import rows

    while not stop.wait(IMPATIENT_EVERY):
        rows.turn_clock()
        rows.make_due()
        for task in ("sweep", "work_repositories", "refresh_due_tokens"):
            with suppress(OperationalError, OSError):
                app.send_task(f"connectors.tasks.{task}", expires=IMPATIENT_EVERY, retry=False)
    connection.close()


def _when_quiet(look: Callable[[], list[str]], plan: Plan) -> list[str]:
    """What is still wrong after the portal has had the time to put it right."""
    end = time.monotonic() + plan.settle
    while (found := look()) and time.monotonic() < end:
        time.sleep(0.5)
    return found


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201


def main(arguments: list[str]) -> int:
    """1 when something is wrong at the end, 2 when there is nothing to run it with."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.run", description="Kill, restart, and look.")
    parser.add_argument("--kills", type=int, default=100, help="how often a process is killed (100)")
    parser.add_argument("--seed", type=int, default=1, help="the order of what goes wrong (1)")
    chosen = parser.parse_args(arguments)
    if reason := own_servers.missing():
        say(reason)
        return 2
    # In the long run there is time between two kills in which something can be half done.
    pause = (0.5, 2.5) if chosen.kills < 50 else (0.5, 7.0)
    found = carry_out(Plan(chosen.kills, seed=chosen.seed, pause=pause))
    for fault in found:
        say(f"FAULT {fault}")
    say(f"{chosen.kills} kills, seed {chosen.seed}: {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
