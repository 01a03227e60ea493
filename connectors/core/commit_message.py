"""What a commit of connector files says: what changed, by whom, and who asked. No I/O.

Names, scopes and people's labels come from anywhere, files of strangers among them. They never begin a line, hold
nothing unprintable, and have no square brackets, between which hosts look for orders such as "skip ci".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from string import Template
from typing import Literal

SUBJECT = 72
"""Characters of a subject; hosts cut longer ones in lists."""

LONGEST_SUBJECT = 200
"""Of a template's subject: whoever wrote it may want more."""

MOST_FILES, MOST_SCOPES = 200, 40
"""Files that a message names, and scopes that it names of each; the others are counted."""

TRAILER = "Requested-by"

Kind = Literal["new", "edited", "removed"]


@dataclass(frozen=True, slots=True)
class FileNote:
    """One changed file: its name in the project's directory, the scopes that it gains and loses, and why ("" unknown).

    `why` is a phrase such as "changed in the portal by ann, 2026-11-21 10:00 UTC".
    """

    name: str
    kind: Kind
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class ProjectNote:
    """One project's changed files; `folder` is where they lie, from the repository's top."""

    name: str
    folder: str
    files: tuple[FileNote, ...]


def commit_message(projects: Sequence[ProjectNote], *, actor: str, reason: str = "", template: str = "") -> str:
    """Subject, body, and a trailer that names who asked; ends with a newline.

    `template` may hold $summary, $changes, $projects, $reason and $actor; anything else in it stays as it is. An empty
    one, or one of which nothing is left, gives the portal's own message. `reason` is a sentence about why it was
    exported; where the template does not place it, it comes after the subject.
    """
    why = plain(reason, 300)
    filled = Template(template).safe_substitute(
        summary=summary(projects),
        changes=changes(projects),
        projects=", ".join(plain(project.name, 60) for project in projects),
        reason=why,
        actor=plain(actor, 100),
    )
    lines = _body_lines(filled)
    if not lines:
        lines, template = _body_lines(f"{summary(projects)}\n\n{changes(projects)}"), ""
    if why and not _PLACED.search(template):
        lines[1:1] = ["", _safe(why)]
    return _with_trailer(lines, f"{TRAILER}: {plain(actor, 100) or 'unknown'}")


def summary(projects: Sequence[ProjectNote]) -> str:
    """One line: "Update connectors of CRM: gmail.jsonc, slack.jsonc", or how many files of how many projects."""
    files = [file for project in projects for file in project.files]
    kinds = {file.kind for file in files}
    verb = "Add" if kinds == {"new"} else "Remove" if kinds == {"removed"} else "Update"
    if len(projects) == 1:
        start = f"{verb} connectors of {plain(projects[0].name, 40)}"
        named = f"{start}: {', '.join(plain(file.name, 60) for file in files)}"
        return named if len(named) <= SUBJECT else f"{start}: {counted(len(files), 'file')}"
    return f"{verb} connectors of {counted(len(projects), 'project')}: {counted(len(files), 'file')}"


def changes(projects: Sequence[ProjectNote]) -> str:
    """A paragraph for each project: its files, the scopes that each gains and loses, and why."""
    left, paragraphs = MOST_FILES, []
    for project in projects:
        shown = project.files[:left]
        left -= len(shown)
        if shown:
            paragraphs.append("\n".join([_title(project), "", *_file_lines(shown)]))
    hidden = sum(len(project.files) for project in projects) - (MOST_FILES - left)
    if hidden:
        paragraphs.append(f"And {counted(hidden, 'more file', 'more files')}.")
    return "\n\n".join(paragraphs)


def plain(text: str, longest: int = 1000) -> str:
    """The text as a part of one line: nothing unprintable, single spaces, no square brackets, at most `longest`."""
    visible = "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in text)
    line = " ".join(visible.split()).replace("[", "(").replace("]", ")")
    return line if len(line) <= longest else f"{line[: longest - 3].rstrip()}..."


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 file", "7 files"."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _title(project: ProjectNote) -> str:
    return f"Project {plain(project.name, 100)} ({plain(project.folder, 300) or 'at the top'}):"


def _file_lines(files: Iterable[FileNote]) -> Iterator[str]:
    for file in files:
        why = f", {plain(file.why, 200)}" if file.why else ""
        yield f"- {plain(file.name, 200)}: {file.kind}{why}"
        for sign, scopes in (("+", file.added), ("-", file.removed)):
            yield from (f"    {sign} {plain(scope, 300)}" for scope in scopes[:MOST_SCOPES])
            if len(scopes) > MOST_SCOPES:
                yield f"    {sign} {counted(len(scopes) - MOST_SCOPES, 'more scope', 'more scopes')}"


# Lines that begin like this are a comment to git's editor, or the end of the message to whoever sends patches by mail.
_MISREAD = re.compile(r"#|---|diff -|Index: |From |>From |\*\*\* ")
_PLACED = re.compile(r"\$(reason\b|\{reason\})")
_TRAILER_LINE = re.compile(r"[A-Za-z0-9-]+: \S")


def _body_lines(text: str) -> list[str]:
    """The text's lines, fit to be a commit message: subject, an empty line, the rest; [] when nothing is left."""
    lines = [_safe(line) for line in text.strip().splitlines()]
    while lines and not lines[0]:
        lines.pop(0)
    if not lines:
        return []
    subject = lines[0].strip()
    if _MISREAD.match(subject):
        subject = f"Config: {subject}"
    rest = re.sub(r"\n{3,}", "\n\n", "\n".join(lines[1:])).strip("\n")
    return [subject[:LONGEST_SUBJECT].rstrip(), *(["", *rest.split("\n")] if rest else [])]


def _safe(line: str) -> str:
    shown = "".join(char if char.isprintable() else " " if char == "\t" else "?" for char in line).rstrip()
    return f"  {shown}" if _MISREAD.match(shown) else shown


def _with_trailer(lines: list[str], trailer: str) -> str:
    """The trailer joins those that the text ends with, for only the last paragraph's count."""
    last = lines[len(lines) - lines[::-1].index("") :] if "" in lines else []
    joins = bool(last) and all(_TRAILER_LINE.match(line) for line in last)
    return "\n".join([*lines, *([] if joins else [""]), trailer, ""])
