"""The portal's side of the load benchmark: a fleet, people with sessions, and the pages that they look at."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from connectors.models import Connector, Project
from tests.bench import admin_side


def prepare(projects: int, connectors: int, people: int) -> dict[str, Any]:
    """Makes all of it; gives the cookie's name, a session key of each person, and pages by name."""
    admin_side.prepare(projects, connectors)
    admin_side.fill_ledger()
    project = Project.objects.order_by("pk")[0]
    connector = Connector.objects.filter(project=project).order_by("pk")[0]
    return {
        "cookie": settings.SESSION_COOKIE_NAME,
        "sessions": [_session(f"person-{number}") for number in range(people)],
        "pages": {
            "dashboard": "/admin/",
            "projects": "/admin/connectors/project/",
            "connectors": "/admin/connectors/connector/",
            "connectors, filtered": "/admin/connectors/connector/?agrees=no",
            "search": "/admin/search/?s=project-77",
            "project": f"/admin/connectors/project/{project.pk}/change/",
            "connector": f"/admin/connectors/connector/{connector.pk}/change/",
            "ledger": "/admin/connectors/ledgerentry/",
            "events": "/admin/connectors/event/",
        },
    }


def _session(name: str) -> str:
    """The key of the session of somebody who is logged in and may see everything."""
    person = User.objects.create_user(name, f"{name}@example.com", is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(person)
    return str(browser.session.session_key)
