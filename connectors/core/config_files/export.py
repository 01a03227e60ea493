"""What an export would do to a connectors directory, and how that is shown as a diff. No I/O."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from connectors.core.config_files.locate import duplicate_type
from connectors.core.config_files.read import is_connector_name, parse_connector
from connectors.core.config_files.render import change, render_new
from connectors.core.errors import ConfigFileError
from connectors.core.specs import ConnectorSpec

Kind = Literal["new", "edited", "unchanged", "removed", "kept"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of an export: what it holds now (None: it is new) and what it will hold (None: it is removed).

    `path` is relative to the connectors directory. `kept` is a file of a type that is no longer declared and that was
    not asked to be removed.
    """

    path: str
    kind: Kind
    before: bytes | None
    after: bytes | None
    type: str


def plan_export(
    specs: Sequence[ConnectorSpec],
    existing: Mapping[str, bytes],
    sources: Mapping[str, tuple[str, bytes]] | None = None,
    *,
    prune: bool = False,
) -> tuple[FileChange, ...]:
    """The changes that make a connectors directory declare exactly `specs`, in the order of their paths. No I/O.

    `existing` holds the directory's connector files by name. `sources` gives, by type, name and bytes of the file as
    last imported: a connector without a file in the directory gets that one back, comments and all. Otherwise it
    becomes `{type}.jsonc`, or `{type}.connector.jsonc` where a file of that name (in any case) declares another type.

    Raises ConfigFileError when a file in the directory is broken or two declare one type: nothing can be said of such a
    directory.
    """
    present = _by_type(existing)
    taken = {name.lower() for name in existing}
    changes = []
    for spec in sorted(specs, key=lambda spec: spec.type):
        if found := present.pop(spec.type, None):
            name, old = found
            before = existing[name]
            after = change(before, old, spec, name)
            changes.append(FileChange(name, "unchanged" if after is before else "edited", before, after, spec.type))
        else:
            name, after = _new_file(spec, (sources or {}).get(spec.type), taken)
            taken.add(name.lower())
            changes.append(FileChange(name, "new", None, after, spec.type))
    for kind, (name, _) in present.items():
        raw = existing[name]
        changes.append(
            FileChange(name, "removed", raw, None, kind) if prune else FileChange(name, "kept", raw, raw, kind)
        )
    return tuple(sorted(changes, key=lambda item: item.path))


def _by_type(existing: Mapping[str, bytes]) -> dict[str, tuple[str, ConnectorSpec]]:
    present: dict[str, tuple[str, ConnectorSpec]] = {}
    for name in sorted(existing):
        spec = parse_connector(existing[name], name)
        if spec.type in present:
            raise duplicate_type(spec.type, [present[spec.type][0], name])
        present[spec.type] = (name, spec)
    return present


def _new_file(spec: ConnectorSpec, source: tuple[str, bytes] | None, taken: set[str]) -> tuple[str, bytes]:
    """Name and content of a file for a connector that has none in the directory."""
    wanted, content = f"{spec.type}.jsonc", render_new(spec)
    if source is not None:
        with suppress(ConfigFileError):  # an import that cannot be read any more is no reason to write nothing
            content = change(source[1], parse_connector(source[1], source[0]), spec, source[0])
        if is_plain_name(source[0]):
            wanted = source[0]
    number = 1
    names = [wanted, f"{spec.type}.jsonc", f"{spec.type}.connector.jsonc"]
    while all(name.lower() in taken for name in names):
        number += 1
        names = [f"{spec.type}.connector-{number}.jsonc"]
    return next(name for name in names if name.lower() not in taken), content


def is_plain_name(name: str) -> bool:
    """Whether this can be a connector file's name on every system, and lies in no other folder."""
    return is_connector_name(name) and name.isprintable() and not set(name) & set('/\\:*?"<>|')


def unified_diff(item: FileChange) -> str:
    """The change as `diff -u` shows it; "" when nothing changes. Control characters are shown as escapes."""
    if item.before == item.after:
        return ""
    old, new = _lines(item.before), _lines(item.after)
    old_name = "/dev/null" if item.before is None else f"a/{item.path}"
    new_name = "/dev/null" if item.after is None else f"b/{item.path}"
    lines = difflib.unified_diff(old, new, old_name, new_name, lineterm="")
    return "".join(f"{_shown(line)}\n" for line in lines)


def _lines(raw: bytes | None) -> list[str]:
    lines = (raw or b"").decode("utf-8", "replace").split("\n")
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
    else:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _shown(line: str) -> str:
    """Without what would steer the terminal: a file may come from anyone's repository."""
    return "".join(char if char.isprintable() or char in "\t\n" else f"\\u{ord(char):04x}" for char in line)
