"""Which side changed: a file in a repository against what the portal declares, and what both last had in common."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Change(StrEnum):
    """Where a difference between portal and repository came from."""

    SAME = "same"
    OUTGOING = "outgoing"
    """The portal changed: an export would write the file."""
    INCOMING = "incoming"
    """The repository changed: an import would take it over."""
    CONFLICT = "conflict"
    """Both changed, each in its own way, or nobody knows which did: a person decides."""


def compare(agreed: Iterable[str] | None, portal: Iterable[str] | None, file: Iterable[str] | None) -> Change:
    """Who changed what. Scopes compare as sets; None means that a side has no connector of this type.

    `agreed` is what both last had, None when they never agreed: then a file that only one side has is new there, and
    two that differ are a conflict, for nothing tells which of them is right. No I/O.

    Example: agreed {a}, portal {a, b}, file {a} -> OUTGOING; file {a, c} -> CONFLICT; file {a, b} -> SAME.
    """
    ours, theirs, base = _set(portal), _set(file), _set(agreed)
    if ours == theirs:
        return Change.SAME
    if base is None:
        return Change.OUTGOING if theirs is None else Change.INCOMING if ours is None else Change.CONFLICT
    if theirs == base:
        return Change.OUTGOING
    return Change.INCOMING if ours == base else Change.CONFLICT


def _set(scopes: Iterable[str] | None) -> frozenset[str] | None:
    return None if scopes is None else frozenset(scopes)
