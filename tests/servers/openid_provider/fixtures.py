"""Fixtures for tests that speak with the provider; tests/conftest.py brings them along."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.openid_provider.server import OpenIdProvider


@pytest.fixture(scope="session")
def openid_provider() -> Iterator[OpenIdProvider]:
    """A provider that runs as long as the tests; each test finds it with nothing arranged and nothing counted."""
    with OpenIdProvider() as running:
        yield running


@pytest.fixture(autouse=True)
def _openid_provider_is_calm(request: pytest.FixtureRequest) -> None:
    """What one test arranged must not meet the next."""
    if "openid_provider" in request.fixturenames:
        request.getfixturevalue("openid_provider").reset()
