"""Start the demo and stay with it until Ctrl-C."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from django.core.management import CommandError, call_command
from django.db import connection, connections

from connectors.core.errors import PortalError, Refused
from portal.demo import place as places
from portal.demo import seed as samples
from portal.demo.oauth_samples import follow_emulator
from portal.demo.place import DemoPlace
from portal.supervisor import Supervisor

READY_WITHIN_SECONDS = 60


def launch(place: DemoPlace, say: Callable[[str], None], *, reset: bool = False) -> int:
    """Prepare database and static files, run all programs, seed them once they answer; return the exit code.

    Raises Refused when a port is taken, or the database is not the demo's to fill or to delete.
    """
    places.require_free_ports(place)
    if reset:
        if connection.vendor != "sqlite":
            raise Refused(
                "demo-reset deletes the demo's SQLite file only; empty the database of DATABASE_URL yourself."
            )
        places.forget(place.data_dir)
    password = prepare(place, say)
    supervisor = Supervisor(places.programs(place), say)
    threading.Thread(target=_seed_when_ready, args=(place, supervisor, say, password), daemon=True).start()
    exit_code = supervisor.run()
    say("The demo has ended. Its data is kept; `make demo` goes on with it, `make demo-reset` starts anew.")
    return exit_code


def prepare(place: DemoPlace, say: Callable[[str], None]) -> str | None:
    """Migrate, collect static files, make the login; return its password if it is known."""
    say("Preparing the database ...")
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    samples.require_demo_database()
    password = samples.ensure_login(place)
    follow_emulator(place)
    connections.close_all()  # the programs start from here; none may inherit an open connection
    return password


def _seed_when_ready(
    place: DemoPlace, supervisor: Supervisor, say: Callable[[str], None], password: str | None
) -> None:
    try:
        say("Starting the Base44 emulator, the web server, a worker and the scheduler ...")
        for address in (f"{place.emulator_url}/", f"{place.url}/readyz"):
            if not _answers(address, supervisor):
                return
        say("Importing the sample projects and asking Base44 for their state ...")
        samples.seed(place)
        say(welcome(place, password))
    except (PortalError, CommandError, OSError) as error:
        say(f"The samples could not be loaded: {error}")
        supervisor.stop(1)
    finally:
        connections.close_all()


def _answers(address: str, supervisor: Supervisor) -> bool:
    """Wait until the address gives any HTTP answer; False when the demo is being stopped, OSError when none comes."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while not supervisor.stopping:
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310 - our own loopback address
                return True
        except urllib.error.HTTPError as answer:
            if answer.code < 500:
                return True
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise OSError(f"{address} did not answer within {READY_WITHIN_SECONDS} seconds")
        time.sleep(0.2)
    return False


def welcome(place: DemoPlace, password: str | None) -> str:
    """What a newcomer wants to know: where, who, and what to try."""
    shown = password or "(the one you set)"
    return f"""
------------------------------------------------------------------------------
  Connector portal   {place.url}/
  Login              {samples.LOGIN}
  Password           {shown}
  Base44 emulator    {place.emulator_url}/

  What to try
  1. Open a project: its connectors, and what differs from Base44.
  2. Change a connector's scopes, press Plan, read what will happen, apply it.
  3. Press Authorise where consent is needed: the emulator plays Base44's page.
  4. Export the project's files: comments and order are still there.
  5. With an OAuth client: open Storefront's googlecalendar, Authorise, choose
     Google (demo stand-in). Under Tokens, see the worker refresh it each minute.
  6. As the account's owner, take consent back at {place.emulator_url}/provider,
     and find it on the Consent desk two minutes later. See the Forecast, too.
  7. Scopes, Scope ledger: what differs between file, declaration, Base44 and
     token, who can send mail as you, and what it was three weeks ago.
  8. Policies: rehearse the one that is not in force. Give insights a gmail
     connector with gmail.readonly, and see what stops you.
  9. Access reviews: decide on your scopes, carry the decisions out.
  10. Incidents: what was sent is in {place.mail_dir}
      and at {place.emulator_url}/webhooks
  11. Repositories, Apps (demo): import what Jonas committed, export what was
      changed here, settle a conflict. Then look at what the portal committed:
      git -C {place.repository} log -p -1
  12. Log in as maya, jonas or lena with the same password, in a private
     window: each finds their own projects alone. Maya decides on what Jonas
     asked for: Approvals. Who may do what: People, and a project's Access.
  13. Activity: everything that was done, sealed. Operations: how it all runs.

  The shell, in another terminal (DEBUG=1 uses the demo's own keys):
     DEBUG=1 .venv/bin/python manage.py plan_connectors --all

  Ctrl-C ends everything and keeps the data; make demo-reset starts anew.
------------------------------------------------------------------------------
"""
