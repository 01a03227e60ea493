"""What a pull request of the portal's says: the plan, what the policies say of it, and what was left alone. No I/O.

It is Markdown that hosts make into a page. Names and scopes come from anywhere, so they stand in code spans, where
nothing is a link, a picture or a mention; sentences are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.core.commit_message import MOST_FILES, MOST_SCOPES, FileNote, ProjectNote, counted, plain

MOST_LINES = 100
"""Policy findings, and files left alone, that are listed; the others are counted."""


@dataclass(frozen=True, slots=True)
class FindingNote:
    """What a policy says of a project as the portal has it: the rule's name, what it does, and the sentence."""

    project: str
    rule: str
    effect: str
    type: str
    sentence: str


@dataclass(frozen=True, slots=True)
class LeftNote:
    """A file that the pull request does not touch although it differs, and why."""

    project: str
    file: str
    reason: str


def pull_request_body(
    projects: Sequence[ProjectNote],
    *,
    actor: str,
    reason: str = "",
    findings: Sequence[FindingNote] = (),
    left: Sequence[LeftNote] = (),
    link: str = "",
) -> str:
    """The description in Markdown. `link` leads to the repository's page in the portal, "" where nobody knows it."""
    asked = f"Requested by {_code(actor, 100)} in the connector portal."
    parts = [f"{sentence(reason)} {asked}".strip()]
    shown = MOST_FILES
    for project in projects:
        if files := project.files[:shown]:
            parts.append(
                "\n".join([f"### {_code(project.name)} in {_code(project.folder or '/')}", "", *_table(files)])
            )
            shown -= len(files)
    hidden = sum(len(project.files) for project in projects) - (MOST_FILES - shown)
    if hidden:
        parts.append(f"And {counted(hidden, 'more file')}.")
    parts += [_list("Policies", map(_finding, findings)) or "### Policies\n\nNothing here breaks a policy."]
    parts += [_list("Left alone", map(_left, left)), f"[Open it in the portal]({link})" if link else ""]
    return "\n\n".join(filter(None, parts)) + "\n"


def sentence(text: str, longest: int = 1000) -> str:
    """Plain text for Markdown: one line in which nothing is markup, HTML or a mention."""
    escaped = re.sub(r"([\\`*_{}#!|~<>&$]|:(?=\S))", r"\\\1", plain(text, longest))
    return re.sub(r"(?<!\w)@(?=\w)", "@ ", escaped)


def _table(files: Iterable[FileNote]) -> list[str]:
    rows = ["| File | Change | Adds | Removes | Why |", "| --- | --- | --- | --- | --- |"]
    return rows + [
        f"| {_code(file.name)} | {file.kind} | {_scopes(file.added)} | {_scopes(file.removed)} | {sentence(file.why)} |"
        for file in files
    ]


def _scopes(scopes: Sequence[str]) -> str:
    more = [f"and {len(scopes) - MOST_SCOPES:,} more"] if len(scopes) > MOST_SCOPES else []
    return "<br>".join([*(_code(scope) for scope in scopes[:MOST_SCOPES]), *more])


def _finding(note: FindingNote) -> str:
    where = f"{_code(note.type)} of {_code(note.project)}"
    return f"- **{sentence(note.effect)}** · {where}: {sentence(note.sentence)} Policy: {_code(note.rule)}"


def _left(note: LeftNote) -> str:
    return f"- {_code(note.file)} of {_code(note.project)}: {sentence(note.reason)}"


def _list(title: str, lines: Iterable[str]) -> str:
    found = list(lines)
    more = [f"- and {len(found) - MOST_LINES:,} more"] if len(found) > MOST_LINES else []
    return "\n".join([f"### {title}", "", *found[:MOST_LINES], *more]) if found else ""


def _code(text: str, longest: int = 300) -> str:
    """A code span that nothing in it can end, and that no table takes for two cells."""
    inner = plain(text, longest).replace("`", "'").replace("|", "\N{BROKEN BAR}")
    return f"`{inner or ' '}`"
