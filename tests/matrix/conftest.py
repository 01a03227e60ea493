"""The two teams, written once for all tests of a module and undone afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from tests.matrix.asking import clients
from tests.matrix.world import World, make_world


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Not committed: each request is undone to a savepoint of this one transaction."""
    with django_db_blocker.unblock(), transaction.atomic():
        cache.clear()
        yield make_world()
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def browsers(world: World) -> Mapping[str, Client]:
    """One for each of `world.people`."""
    return clients(world)
