"""An emulated Base44 for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.core.base44.emulator import Emulator
from tests.servers.base44_cli import Base44Cli


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A running emulator with one app, "shop", that has no connectors."""
    with Emulator() as running:
        running.add_app("shop", "Shop")
        yield running


@pytest.fixture
def cli(emulator: Emulator, tmp_path: Path) -> Base44Cli:
    """The real CLI, signed in at the emulator."""
    return Base44Cli(emulator, tmp_path / "home")
