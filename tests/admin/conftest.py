"""Who looks at the admin's pages, and a Base44 behind them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client

from tests import factories
from tests.admin.asking import make_rows
from tests.flows.conftest import base44, live_project, live_workspace

__all__ = ["base44", "live_project", "live_workspace"]


@pytest.fixture
def reader(db: None) -> User:
    """Staff who may look at everything of the portal's and change nothing."""
    user = factories.make_user("reader", staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="connectors", codename__startswith="view_")
    )
    return user


@pytest.fixture
def browser(operator: User) -> Client:
    """The operator's browser."""
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def rows(db: None) -> dict[str, Model]:
    """One row of every model, each with the secret word in its name."""
    return make_rows()
