"""Check: whether a project's files, the portal, Base44 and the lock file say the same. Asks nobody, changes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from django.utils.timesince import timesince

from connectors.core import lock_file
from connectors.core.config_files import ConnectorFile, ProjectFiles, parse_connector
from connectors.core.errors import ConfigFileError
from connectors.core.lock_file import LockFile
from connectors.core.reports.table import utc_text
from connectors.flows.export_files import ExportResult
from connectors.flows.lock_file import locks_of
from connectors.models import Connector, Project

CHUNK = 200
"""Projects whose rows are loaded together."""


class Agreement(StrEnum):
    """How two sides compare. What is not known is never the same."""

    SAME = "same"
    NOT_COMPARED = "not_compared"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class ToCheck:
    """A project and its files; `lock` is its lock file, None when there is none. `wants_lock`: there has to be one."""

    project: Project
    files: ProjectFiles
    lock: bytes | None = None
    wants_lock: bool = False


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One integration type, or with type "" one file that cannot be read.

    `files` compares the file with the portal, `base44` the portal with what Base44 was seen to have at `compared_at`,
    `lock` the lock file with what the portal knows; None where there is no lock file to compare. `file` is the path
    from the top of what was checked, "" when there is no file, and `line` the place of a fault in it.
    """

    type: str
    reason: str
    files: Agreement
    base44: Agreement
    lock: Agreement | None = None
    file: str = ""
    line: int | None = None
    compared_at: dt.datetime | None = None

    @property
    def action(self) -> Agreement:
        """The worst of the three: a difference before what could not be compared, before agreement."""
        found = {self.files, self.base44, self.lock}
        return next(one for one in (Agreement.DIFFERS, Agreement.NOT_COMPARED, Agreement.SAME) if one in found)

    def as_json(self) -> dict[str, Any]:
        """The row as the shell and the API give it; docs/commands.md says what each key means."""
        return {
            "type": self.type,
            "action": self.action.value,
            "reason": self.reason,
            "file": self.file,
            "line": self.line,
            "files": self.files.value,
            "base44": self.base44.value,
            "lock": self.lock.value if self.lock else None,
            "compared_at": utc_text(self.compared_at) if self.compared_at else None,
        }


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check of one project found. `problem` is "" or why the files cannot be this project's."""

    project: Project
    rows: tuple[CheckRow, ...] = ()
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether nothing differs; what could not be compared does not count as a difference."""
        return not self.problem and not any(row.action == Agreement.DIFFERS for row in self.rows)

    @property
    def is_complete(self) -> bool:
        """Whether everything could be compared."""
        return not self.problem and not any(row.action == Agreement.NOT_COMPARED for row in self.rows)


def check(project: Project, files: ProjectFiles, lock: bytes | None, now: dt.datetime) -> CheckResult:
    """As `check_all`, for one project."""
    return next(check_all([ToCheck(project, files, lock)], now))


def exported(result: ExportResult, *, wants_lock: bool = False) -> ToCheck:
    """What an export that wrote nothing has found on disk, to be checked. Not for one with a `problem`."""
    found = [(change.path, change.before) for change in result.changes if change.before is not None]
    files = tuple(ConnectorFile(path, parse_connector(raw, path), raw) for path, raw in found)
    place = result.directory.as_posix()
    located = ProjectFiles(place, app_id="", name="", connectors_dir="", files=files, problems=())
    return ToCheck(result.project, located, result.lock.before if result.lock else None, wants_lock)


def check_all(asked: Iterable[ToCheck], now: dt.datetime) -> Iterator[CheckResult]:
    """Compares each project's files with what the portal declares, that with what Base44 was last seen to have, and
    the lock file with what the portal knows. Three queries for every `CHUNK` of projects.
    """
    remaining = iter(asked)
    while chunk := list(islice(remaining, CHUNK)):
        rows = _rows([one.project for one in chunk])
        locks = locks_of(one.project for one in chunk if one.lock is not None or one.wants_lock)
        for one in chunk:
            yield _check(one, rows.get(one.project.pk, {}), locks.get(one.project.pk), now)


def _rows(projects: Iterable[Project]) -> dict[int, dict[str, Connector]]:
    found: dict[int, dict[str, Connector]] = {}
    columns = ("project_id", "integration_type_id", "is_declared", "scopes", "sync_state", "sync_note")
    rows = Connector.objects.filter(project__in=list(projects)).order_by()
    for row in rows.only(*columns, "registered_at", "registered_scopes"):
        found.setdefault(row.project_id, {})[row.integration_type_id] = row
    return found


def _check(one: ToCheck, rows: Mapping[str, Connector], lock: LockFile | None, now: dt.datetime) -> CheckResult:
    if problem := _problem(one, declares=any(row.is_declared for row in rows.values())):
        return CheckResult(one.project, problem=problem)
    outdated, faults = _against_lock(one, lock)
    faults = [*map(_fault, one.files.problems), *faults]
    files = {file.spec.type: file for file in one.files.files}
    known = {type_ for type_, row in rows.items() if row.is_declared or row.registered_scopes is not None}
    found = []
    for type_ in sorted({*files, *known, *(outdated or ())}):
        file, row = files.get(type_), rows.get(type_)
        its_lock = None if outdated is None else outdated.get(type_, ())
        found.append(_row(one, type_, file, row, its_lock, now))
    return CheckResult(one.project, (*faults, *found))


def _problem(one: ToCheck, *, declares: bool) -> str:
    """Why these cannot be the project's files, so that comparing them would only mislead; "" when they can."""
    files, project = one.files, one.project
    if files.app_id and files.app_id != project.app_id:
        return f"These files belong to the app {files.app_id}; {project.slug} is the app {project.app_id}."
    if declares and not files.has_directory and not files.problems:
        return f"There is no connectors directory in {f'the folder {files.root}' if files.root else 'the top folder'}."
    return ""


def _against_lock(one: ToCheck, wanted: LockFile | None) -> tuple[dict[str, tuple[str, ...]] | None, list[CheckRow]]:
    """What the lock file says otherwise, by type, None when there is nothing to compare; and what is wrong with it."""
    if wanted is None:
        return None, []
    place = lock_file.lock_path(_from_top(one.files, one.files.connectors_dir))
    if place is None:  # the connectors directory is the top: no lock file has a place beside it
        return None, []
    if one.lock is None:
        said = "There is no lock file, and there should be one: an export writes it."
        return None, [CheckRow("", said, Agreement.SAME, Agreement.SAME, Agreement.DIFFERS, place)]
    try:
        return lock_file.differences(lock_file.parse(one.lock, place), wanted), []
    except ConfigFileError as error:
        same = Agreement.SAME
        return None, [CheckRow("", error.message, same, same, Agreement.DIFFERS, error.path, error.line)]


def _fault(error: ConfigFileError) -> CheckRow:
    """A connector file that cannot be read: what it declares is not known, but it cannot be what the portal wrote."""
    return CheckRow("", error.message, Agreement.DIFFERS, Agreement.NOT_COMPARED, None, error.path, error.line)


def _row(
    one: ToCheck,
    type_: str,
    file: ConnectorFile | None,
    row: Connector | None,
    outdated: tuple[str, ...] | None,
    now: dt.datetime,
) -> CheckRow:
    """One type. `outdated`: what its lock says otherwise; None without a lock file."""
    files, file_said = _against_portal(file, row, all_read=not one.files.problems)
    base44, base44_said, at = _against_base44(one.project, row, now)
    lock = None if outdated is None else Agreement.DIFFERS if outdated else Agreement.SAME
    lock_said = f"The lock file is out of date: {'; '.join(outdated)}." if outdated else ""
    reason = " ".join(filter(None, (file_said, base44_said, lock_said)))
    place = _from_top(one.files, file.path) if file else ""
    return CheckRow(type_, reason, files, base44, lock, place, compared_at=at)


def _against_portal(file: ConnectorFile | None, row: Connector | None, *, all_read: bool) -> tuple[Agreement, str]:
    declared = row.scopes if row is not None and row.is_declared else None
    if file is None and declared is None:
        return Agreement.SAME, ""
    if file is None and not all_read:
        return Agreement.NOT_COMPARED, "Its file may be one that cannot be read."
    if file is None:
        return Agreement.DIFFERS, "The portal declares it, and there is no file of it."
    if declared is None:
        return Agreement.DIFFERS, "There is a file of it, and the portal does not declare it."
    lacks = [scope for scope in dict.fromkeys(declared) if scope not in file.spec.scopes]
    added = [scope for scope in dict.fromkeys(file.spec.scopes) if scope not in declared]
    parts = [f"the file lacks {', '.join(lacks)}"] if lacks else []
    parts += [f"the portal lacks {', '.join(added)}, which is in the file"] if added else []
    if not parts:
        return Agreement.SAME, "File and portal agree."
    text = "; ".join(parts)
    return Agreement.DIFFERS, f"{text[0].upper()}{text[1:]}."


def _against_base44(
    project: Project, row: Connector | None, now: dt.datetime
) -> tuple[Agreement, str, dt.datetime | None]:
    """Whether portal and Base44 agree, in words, and when Base44 was read for that."""
    at = project.synced_at if row is None else row.registered_at
    if at is None:
        return Agreement.NOT_COMPARED, "Not compared with Base44, which has not been asked yet.", None
    if row is None or row.sync_state == Connector.SyncState.LEFT_OVER:
        return Agreement.SAME, "", at
    again = "; reading it again has failed" if project.sync_error else ""
    age = f"read {_ago(at, now)}{again}"
    if row.sync_state == Connector.SyncState.IN_SYNC:
        return Agreement.SAME, f"Base44 agrees, {age}.", at
    if row.sync_state == Connector.SyncState.UNKNOWN:
        return Agreement.NOT_COMPARED, f"Not compared with Base44: {row.sync_note} It was {age}.", at
    return Agreement.DIFFERS, f"{row.sync_note.rstrip('.')}. Base44 was {age}.", at


def _ago(at: dt.datetime, now: dt.datetime) -> str:
    if now - at < dt.timedelta(minutes=1):
        return "just now"
    return f"{timesince(at, now, depth=1)} ago".replace("\xa0", " ")


def _from_top(files: ProjectFiles, path: str) -> str:
    return f"{files.root}/{path}" if files.root and path else files.root or path
