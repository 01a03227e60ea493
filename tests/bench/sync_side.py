"""The portal's side of the sync benchmark."""

from __future__ import annotations

import time
from collections.abc import Sequence

from connectors import tasks
from connectors.core.actor import Actor, Door
from connectors.flows.catalogue import load_catalogue
from connectors.models import Connector, Project, RateBudget, SyncRun, Workspace
from tests.factories import make_workspace

ACTOR = Actor("bench", Door.SHELL)
LOOK_EVERY = 0.01
"""Seconds between two looks at whether all runs are done."""


def prepare(url: str, token: str, apps: Sequence[str]) -> None:
    """A workspace on the largest plan, so that the rate budget lets a whole fleet go at once, and its projects."""
    load_catalogue(ACTOR)
    workspace = make_workspace("Bench", api_url=url, token=token, plan=Workspace.Plan.ENTERPRISE)
    Project.objects.bulk_create(Project(workspace=workspace, name=app, slug=app, app_id=app) for app in apps)


def sync(*, fresh: bool, patience: float = 30.0) -> float:
    """Seconds from asking for a sync of every project until the worker has finished all runs.

    `fresh` forgets the registered state first, so that all of it has to be stored. Raises RuntimeError when a run
    fails, or when they are not finished after `patience` seconds.
    """
    RateBudget.objects.all().delete()
    SyncRun.objects.all().delete()
    if fresh:
        Connector.objects.all().delete()
    projects = list(Project.objects.select_related("workspace"))
    started = time.perf_counter()
    tasks.start_sync(projects, ACTOR)
    while SyncRun.objects.open().exists():
        if time.perf_counter() - started > patience:
            raise RuntimeError(f"not finished after {patience:.0f} s")
        time.sleep(LOOK_EVERY)
    seconds = time.perf_counter() - started
    _check(len(projects))
    return seconds


def _check(projects: int) -> None:
    done = SyncRun.objects.filter(state=SyncRun.State.DONE).count()
    if done != projects:
        other = SyncRun.objects.exclude(state=SyncRun.State.DONE).first()
        raise RuntimeError(f"{done} of {projects} runs are done; {other.message if other else 'the others are gone'}")
