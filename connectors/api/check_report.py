"""What a check found, as a build wants it: JSON, lines for its log, or annotations of GitHub Actions. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.core.printable import printable
from connectors.flows.check_archive import PlaceChecked
from connectors.flows.check_files import Agreement, CheckRow

FORMATS = ("json", "text", "github")

_WORDS = {Agreement.SAME: "agrees", Agreement.NOT_COMPARED: "not compared", Agreement.DIFFERS: "DIFFERS"}
_WIDTH = max(map(len, _WORDS.values()))


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, by the repository's name and what the build calls its commit or branch, and what came of it."""

    repository: str
    ref: str
    places: Sequence[PlaceChecked]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs anywhere."""
        return all(place.result.agrees for place in self.places)


def render(report: Report, style: str) -> str:
    """The report in one of `FORMATS`."""
    if style == "json":
        return json.dumps(_document(report), indent=2) + "\n"
    lines = _github_lines(report) if style == "github" else _text_lines(report)
    return "".join(f"{line}\n" for line in lines)


def render_problem(problem: str, style: str) -> str:
    """Why nothing was checked, in one of `FORMATS`."""
    if style == "json":
        return json.dumps({"ok": False, "problem": problem}) + "\n"
    line = _annotation("error", problem, title="Connector check") if style == "github" else printable(problem)
    return f"{line}\n"


def _document(report: Report) -> dict[str, object]:
    projects = [
        {
            "project": place.result.project.slug,
            "path": place.placement.path,
            "ok": place.result.agrees,
            "problem": place.result.problem,
            "results": [row.as_json() for row in place.result.rows],
        }
        for place in report.places
    ]
    return {
        "ok": report.agrees,
        "repository": report.repository,
        "ref": report.ref,
        "projects": projects,
        "problem": "",
    }


def _text_lines(report: Report) -> Iterator[str]:
    for place in report.places:
        result = place.result
        yield printable(f"{result.project.slug} ({place.placement})")
        if result.problem:
            yield f"  {_WORDS[Agreement.DIFFERS]:<{_WIDTH}}  {printable(result.problem)}"
        for row in result.rows:
            yield f"  {_WORDS[row.action]:<{_WIDTH}}  {printable(f'{_name(row)}: {row.reason}')}"
    yield _summary(report)


def _github_lines(report: Report) -> Iterator[str]:
    """Workflow commands: what differs as errors at their file's line, what was not compared as warnings."""
    for place in report.places:
        slug = place.result.project.slug
        if place.result.problem:
            yield _annotation("error", place.result.problem, title=slug)
        for row in place.result.rows:
            if row.action != Agreement.SAME:
                kind = "error" if row.action == Agreement.DIFFERS else "warning"
                title = f"{slug}: {row.type}" if row.type else slug
                yield _annotation(kind, row.reason, title=title, file=row.file, line=row.line)
    yield _summary(report)


def _name(row: CheckRow) -> str:
    if row.type:
        return row.type
    return row.file if row.line is None else f"{row.file}:{row.line}"


def _summary(report: Report) -> str:
    total, differing = len(report.places), sum(not place.result.agrees for place in report.places)
    incomplete = sum(place.result.agrees and not place.result.is_complete for place in report.places)
    noun = "project" if total == 1 else "projects"
    said = (
        f"{differing} of {total} {noun} {'differs' if differing == 1 else 'differ'}" if differing else "nothing differs"
    )
    if incomplete:
        said += f"; {incomplete} of {total} {noun} could not be compared in full"
    return printable(f"{' at '.join(filter(None, (report.repository, report.ref)))}: {said}.")


def _annotation(kind: str, message: str, *, title: str, file: str = "", line: int | None = None) -> str:
    """`::error file=a.jsonc,line=3,title=shop::text`, escaped as GitHub's runner expects it."""
    properties = {"file": file, "line": str(line or (1 if file else "")), "title": title}
    given = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items() if value)
    return f"::{kind} {given}::{_escaped(message)}"


def _escaped(text: str, also: str = "") -> str:
    shown = printable(text).replace("%", "%25")
    for sign in also:
        shown = shown.replace(sign, f"%{ord(sign):02X}")
    return shown
