"""The world in one JSON file, so that a demo keeps its data. Written whole or not at all, for its owner only."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from connectors.core.base44.emulator.state import World, WorldData

VERSION = 1
_ADAPTER = TypeAdapter(WorldData)


class StateFileError(Exception):
    """The state file cannot be read or written; the text says what to do."""


def load(path: Path) -> WorldData | None:
    """The world in a file; None when there is no such file. Raises StateFileError for anything else."""
    try:
        data = _ADAPTER.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateFileError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError:
        raise StateFileError(f"{path} is not a state file of this emulator; delete it to start anew") from None
    if data.version != VERSION:
        raise StateFileError(f"{path} is of another version of this emulator; delete it to start anew")
    return data


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step; only its owner can read it, for it holds tokens. Raises StateFileError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StateFileError(f"{path} cannot be written: {error.strerror}") from error


class StateFile:
    """Saves a world whenever it has changed."""

    def __init__(self, path: Path, world: World) -> None:
        self.path, self.world = path, world
        self._saved = -1

    def save_if_changed(self) -> None:
        """Write the file when the world's revision is not the saved one."""
        if self._saved == self.world.data.revision:
            return
        with self.world.lock:
            write_private(self.path, _ADAPTER.dump_json(self.world.data, indent=1))
            self._saved = self.world.data.revision
