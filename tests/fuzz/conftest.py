"""A portal in use that is asked strange things, and how long to go on with that."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from random import Random

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from hypothesis import HealthCheck, settings

from connectors.core.base44.emulator import Emulator
from tests.browser import scene

SECONDS = float(os.environ.get("PORTAL_FUZZ_SECONDS", "0"))
"""How long each test goes on with random examples; 0: with a few, the same each time, as in CI."""

FEW = settings(
    max_examples=60 + int(SECONDS * 10),
    derandomize=not SECONDS,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
"""For tests whose examples come from hypothesis."""

Rounds = Iterator[Random]


@pytest.fixture
def rounds() -> Rounds:
    """A source of chance for each round: one in CI, new ones until the time is over in a long run."""
    return _rounds()


def _rounds() -> Rounds:
    end, seed = time.monotonic() + SECONDS, int(os.environ.get("PORTAL_FUZZ_SEED", "1"))
    yield Random(seed)  # noqa: S311 - reproducible strangeness, not a secret
    while time.monotonic() < end:
        seed += 1
        yield Random(seed)  # noqa: S311


@pytest.fixture
def portal(db: None) -> Iterator[scene.Scene]:
    """Three workspaces, projects in every state, runs and events."""
    cache.clear()
    with Emulator(seed="demo") as base44:
        yield scene.build(scene.make_admin(), base44)


@pytest.fixture
def people(portal: scene.Scene) -> list[User | None]:
    """Who asks: somebody who may everything, somebody who may only look, and somebody unknown."""
    viewer = User.objects.create_user("viewer", "viewer@example.com", is_staff=True)
    return [portal.admin, portal.admin, viewer, None]
