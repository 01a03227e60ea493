"""Write a connector file: anew, or by changing in place only what differs."""

from __future__ import annotations

import json

from connectors.core.config_files.read import parse_connector
from connectors.core.errors import ConfigFileError
from connectors.core.jsonc import EditError, edit
from connectors.core.specs import ConnectorSpec


def render_new(spec: ConnectorSpec) -> bytes:
    """A file for the connector as JSON with two spaces: `type`, then `scopes`, and a final newline."""
    text = json.dumps({"type": spec.type, "scopes": list(spec.scopes)}, indent=2, ensure_ascii=False)
    return (text + "\n").encode("utf-8")


def render_edited(raw: bytes, spec: ConnectorSpec, path: str = "connector.jsonc") -> bytes:
    """The author's file, changed only where it differs from `spec`; the very same bytes when it does not.

    Scopes are compared as sets: another order or a repetition is no difference. Raises ConfigFileError when the file
    cannot be read or cannot be edited without losing something of it.
    """
    return change(raw, parse_connector(raw, path), spec, path)


def change(raw: bytes, old: ConnectorSpec, new: ConnectorSpec, path: str) -> bytes:
    """As `render_edited`, for a file whose content `old` is already known."""
    had, wanted = set(old.scopes), set(new.scopes)
    if old.type == new.type and had == wanted:
        return raw
    add = [scope for scope in new.scopes if scope not in had]
    try:
        text = raw.decode("utf-8")
        return edit(text, add=add, remove=had - wanted, new_type=new.type).encode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = "cannot be edited: it is not valid UTF-8 here, and saving it would lose characters"
        raise ConfigFileError(path, message, line=line) from error
    except EditError as error:
        raise ConfigFileError(path, f"cannot be edited: {error}") from error
