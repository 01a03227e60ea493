"""A Base44 to run against, and a project there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings

from connectors.core.base44.client import Base44Client
from connectors.core.base44.emulator import Emulator
from connectors.flows.connect import client_for
from connectors.models import Project, Workspace
from tests.factories import make_project, make_workspace

APP = "app-crm"


@pytest.fixture
def base44() -> Iterator[Emulator]:
    """The emulator, with one empty app."""
    with Emulator() as emulator:
        emulator.add_app(APP, "CRM")
        yield emulator


@pytest.fixture
def live_workspace(db: None, base44: Emulator) -> Workspace:
    """A workspace whose credential the emulator accepts."""
    return make_workspace("Live", api_url=base44.url, token=base44.pat, plan=Workspace.Plan.ENTERPRISE)


@pytest.fixture
def live_project(live_workspace: Workspace) -> Project:
    """The project of the emulator's app."""
    return make_project("crm", workspace=live_workspace, app_id=APP)


@pytest.fixture
def client(live_workspace: Workspace) -> Base44Client:
    """What flows ask Base44 with (not Django's test client: flows answer no requests)."""
    return client_for(live_workspace)


@pytest.fixture
def alerts_go_out() -> Iterator[None]:
    """Mail can be sent, and a receiver of webhooks on this machine is one that the portal may reach."""
    with override_settings(
        EMAIL_CONFIGURED=True, PORTAL_URL="https://portal.example", ALERT_ALLOWED_PRIVATE_HOSTS=["127.0.0.1"]
    ):
        yield
