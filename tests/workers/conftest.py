"""A Base44 and a project that a worker in another process can reach: the rows are committed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from connectors.core.base44.emulator import Emulator
from connectors.models import Project, Workspace
from portal.celery import app
from tests.factories import make_project, make_workspace


@pytest.fixture(autouse=True)
def empty_queue() -> Iterator[None]:
    """No task of another test waits in the broker."""
    _empty()
    yield
    _empty()


def _empty() -> None:
    if settings.REDIS_URL:
        app.control.purge()
        return
    for folder in ("queue", "control"):
        path = Path(settings.PORTAL_DATA_DIR) / "broker" / folder
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)


@pytest.fixture
def base44() -> Iterator[Emulator]:
    """The emulator, with one empty app."""
    with Emulator() as emulator:
        emulator.add_app("app-crm", "CRM")
        yield emulator


@pytest.fixture
def live_workspace(transactional_db: None, base44: Emulator) -> Workspace:
    """A workspace whose credential the emulator accepts."""
    return make_workspace("Live", api_url=base44.url, token=base44.pat, plan=Workspace.Plan.ENTERPRISE)


@pytest.fixture
def live_project(live_workspace: Workspace) -> Project:
    """The project of the emulator's app."""
    return make_project("crm", workspace=live_workspace, app_id="app-crm")
