"""JSON5 as the Base44 CLI reads it, and edits that leave all else in the file as its author wrote it."""

from __future__ import annotations

from connectors.core.jsonc.editor import EditError, edit
from connectors.core.jsonc.reader import MAX_DEPTH, Json5Error, loads, scan

__all__ = ["MAX_DEPTH", "EditError", "Json5Error", "edit", "loads", "scan"]
