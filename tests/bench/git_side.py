"""The portal's side of the git benchmark."""

from __future__ import annotations

import shutil
import time

from connectors.core.actor import Actor, Door
from connectors.flows.catalogue import load_catalogue
from connectors.flows.declare import declare
from connectors.flows.repository_access import cache_of
from connectors.flows.repository_export import export_repository
from connectors.flows.repository_read import read_repository
from connectors.models import Connector, Repository, RepositoryRun
from tests.factories import make_connector, make_placement, make_project, make_repository

ACTOR = Actor("bench", Door.SHELL)
READ = "https://www.googleapis.com/auth/gmail.readonly"
SEND = "https://www.googleapis.com/auth/gmail.send"


def prepare(url: str, token: str, path: str) -> None:
    """A project in the repository whose file and the portal agree."""
    load_catalogue(ACTOR)
    repository = make_repository("Bench", url=url, token=token)
    placement = make_placement(make_project("bench"), repository, path=path)
    make_connector(placement.project, "gmail", [READ])
    read_repository(repository, ACTOR)


def export(*, cold: bool) -> float:
    """Seconds for the export of one file in which a scope has changed. Raises RuntimeError unless one was written."""
    connector = Connector.objects.select_related("project").get()
    repository = Repository.objects.get()
    declare(connector.project, "gmail", [READ] if SEND in connector.scopes else [READ, SEND], {}, ACTOR)
    if cold:
        shutil.rmtree(cache_of(repository), ignore_errors=True)
    started = time.perf_counter()
    done = export_repository(repository, ACTOR)
    seconds = time.perf_counter() - started
    if done.state != RepositoryRun.State.DONE:
        raise RuntimeError(f"nothing was written: {done.message}")
    return seconds
