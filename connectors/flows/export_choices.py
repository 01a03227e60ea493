"""What somebody asked an export for: which projects, and what it may do beyond writing what only the portal changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Types = Mapping[int, frozenset[str]]
"""Integration types by the id of their project."""


@dataclass(frozen=True, slots=True)
class Choices:
    """`projects` are ids; None: all of the repository.

    `removals`: files to remove. `ours`: files to write although the repository changed them. `starts_over`: a pull
    request's branch may be replaced although somebody else has pushed to it.
    """

    projects: frozenset[int] | None = None
    removals: Types = field(default_factory=dict)
    ours: Types = field(default_factory=dict)
    starts_over: bool = False

    @classmethod
    def of(
        cls,
        projects: Iterable[int] | None = None,
        *,
        removals: Mapping[int, Iterable[str]] | None = None,
        ours: Mapping[int, Iterable[str]] | None = None,
        starts_over: bool = False,
    ) -> Choices:
        """Choices from any collections."""
        chosen = None if projects is None else frozenset(projects)
        return cls(chosen, _frozen(removals), _frozen(ours), starts_over)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Choices:
        """What `as_json` made; a key that is missing means that nobody chose."""
        return cls.of(
            stored.get("projects"),
            removals={int(pk): types for pk, types in stored.get("removals", {}).items()},
            ours={int(pk): types for pk, types in stored.get("ours", {}).items()},
            starts_over=bool(stored.get("starts_over")),
        )

    def as_json(self) -> dict[str, Any]:
        """For a run's row: sorted, and without what nobody chose."""
        found: dict[str, Any] = {
            "projects": None if self.projects is None else sorted(self.projects),
            "removals": {str(pk): sorted(types) for pk, types in sorted(self.removals.items()) if types},
            "ours": {str(pk): sorted(types) for pk, types in sorted(self.ours.items()) if types},
            "starts_over": self.starts_over,
        }
        return {key: value for key, value in found.items() if value or (key == "projects" and value is not None)}

    def removes(self, project: int, type_: str) -> bool:
        """Whether the file of this type was ticked for removal."""
        return type_ in self.removals.get(project, ())

    def insists(self, project: int, type_: str) -> bool:
        """Whether the portal's state is to win over what the repository changed."""
        return type_ in self.ours.get(project, ())


def _frozen(types: Mapping[int, Iterable[str]] | None) -> dict[int, frozenset[str]]:
    return {pk: frozenset(names) for pk, names in (types or {}).items()}
