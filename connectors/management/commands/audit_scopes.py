"""`manage.py audit_scopes`: what differs, which rules are broken and what nobody can know; for people and pipelines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from connectors.core.reports import write_csv
from connectors.core.reports.json import value_of
from connectors.core.reports.table import utc_text
from connectors.flows.audit import Audit, Issue, Kind, audit, audit_table, row_of
from connectors.flows.report_columns import REPORTS
from connectors.flows.sync import sync_projects
from connectors.management.commands._base import (
    DONE,
    FAILED,
    PortalCommand,
    Usage,
    find_project,
    find_workspace,
    shell_actor,
)
from connectors.models import Project, Sensitivity, SyncRun
from connectors.models.project import ProjectQuerySet

LEVELS = [level.name.lower() for level in Sensitivity]
KINDS = [kind.value for kind in Kind]


class Command(PortalCommand):
    """Reads the ledger. Asks Base44 only with --compare-now, and changes nothing there."""

    help = "Tell which scopes differ, which policies are broken and what cannot be known"

    def add_arguments(self, parser: CommandParser) -> None:
        """Which projects and scopes, and when to fail."""
        super().add_arguments(parser)
        parser.add_argument(
            "--project", nargs="+", action="extend", metavar="SLUG", help="only these projects; without it all"
        )
        parser.add_argument("--workspace", metavar="NAME", help="only projects of this workspace")
        parser.add_argument("--environment", choices=Project.Environment.values, help="only projects of this kind")
        parser.add_argument(
            "--min-sensitivity",
            choices=LEVELS,
            help="leave out scopes that are known to be less grave; those that nobody has judged stay in",
        )
        parser.add_argument("--csv", metavar="FILE", help="write what was found to this file, see docs/reports.md")
        parser.add_argument(
            "--fail-on",
            default="",
            metavar="KINDS",
            help=f"exit with 1 when one of these is found, separated by commas: {', '.join(KINDS)}",
        )
        parser.add_argument("--compare-now", action="store_true", help="read Base44 first, as sync_projects does")

    def work(self, options: dict[str, Any]) -> int:
        """Prints what was found; 1 when it holds something of --fail-on, or Base44 could not be read for it."""
        fail_on, projects = _kinds(options["fail_on"]), _projects(options)
        file = _writable(options["csv"])
        problems = self._compare(projects) if options["compare_now"] else []
        level = Sensitivity[options["min_sensitivity"].upper()] if options["min_sensitivity"] else None
        found = audit(projects, shell_actor(), timezone.now(), min_sensitivity=level)
        failed = found.fails(fail_on) or bool(problems)
        if file is not None:
            with file.open("wb") as target:
                write_csv(audit_table(found), target)
        self.print_json(_document(found, options, fail_on, problems, failed=failed))
        if not self.as_json:
            self._tell(found, fail_on, everything=options["verbosity"] > 1)
        return FAILED if failed else DONE

    def _compare(self, projects: ProjectQuerySet) -> list[str]:
        """Syncs them; returns what went wrong."""
        chosen = list(projects.select_related("workspace"))
        with self.progress(len(chosen), "Comparing") as advance:
            runs = {run.project_id: run for run in sync_projects(chosen, shell_actor(), progress=advance)}
        bad = [(row, runs[row.pk]) for row in chosen if row.pk in runs and runs[row.pk].state != SyncRun.State.DONE]
        problems = [f"{project.slug}: {run.message}" for project, run in bad]
        for problem in problems:
            self.warn(problem)
        return problems

    def _tell(self, found: Audit, fail_on: list[Kind], *, everything: bool) -> None:
        """By project what needs somebody. What cannot be known can be much: it is listed only when it is asked for."""
        listed = [one for one in found.issues if everything or one.kind != Kind.UNKNOWN or one.kind in fail_on]
        for (project, environment), issues in groupby(listed, key=lambda one: (one.project, one.environment)):
            self.say(f"{project} ({environment})")
            self.print_rows([_line(issue) for issue in issues])
        self.say(_summary(found))
        failing = [f"{kind} ({found.counts[kind]})" for kind in fail_on if found.counts[kind]]
        if failing:
            self.say(f"Fails on {', '.join(failing)}.")


def _kinds(text: str) -> list[Kind]:
    """The kinds of --fail-on. Raises Usage for one that does not exist."""
    words = list(dict.fromkeys(filter(None, (word.strip() for word in text.split(",")))))
    unknown = [word for word in words if word not in KINDS]
    if unknown:
        raise Usage(f"--fail-on does not know {', '.join(unknown)}. It knows {', '.join(KINDS)}")
    return [Kind(word) for word in words]


def _projects(options: Mapping[str, Any]) -> ProjectQuerySet:
    """The projects that all of the options leave. Raises Usage for a slug or workspace that does not exist."""
    rows = Project.objects.all()
    if options["project"]:
        rows = rows.filter(pk__in=[find_project(slug).pk for slug in options["project"]])
    if options["workspace"]:
        rows = rows.filter(workspace=find_workspace(options["workspace"]))
    return rows.filter(environment=options["environment"]) if options["environment"] else rows


def _writable(name: str | None) -> Path | None:
    """The file of --csv, before any work is done for it. Raises Usage when it cannot be one."""
    if name is None:
        return None
    file = Path(name)
    if file.is_dir() or not file.parent.is_dir():
        raise Usage(f"--csv {name}: there is no such folder, or it is one itself")
    return file


def _document(
    found: Audit, options: Mapping[str, Any], fail_on: list[Kind], problems: list[str], *, failed: bool
) -> dict[str, Any]:
    keys = [column.key for column in REPORTS["audit"]]
    return {
        "generated_at": utc_text(timezone.now()),
        "filters": {key: options[key] for key in ("project", "workspace", "environment", "min_sensitivity")},
        "fail_on": [kind.value for kind in fail_on],
        "failed": failed,
        "problems": problems,
        "counts": {
            "projects": found.projects,
            "connectors": found.connectors,
            "scopes": found.scopes,
            **{kind.value: count for kind, count in found.counts.items()},
        },
        "results": [dict(zip(keys, map(value_of, row_of(issue)), strict=True)) for issue in found.issues],
    }


def _line(issue: Issue) -> dict[str, str]:
    about = issue.policy or ", ".join(issue.scopes)
    return {
        "action": issue.word,
        "type": issue.type or "-",
        "reason": f"{about}: {issue.reason}" if about else issue.reason,
    }


def _summary(found: Audit) -> str:
    return (
        f"{_count(found.projects, 'project')}, {_count(found.connectors, 'connector')}, "
        f"{_count(found.scopes, 'scope')}: {', '.join(_said(found.counts))}."
    )


def _said(counts: Mapping[Kind, int]) -> Iterator[str]:
    words = {
        Kind.DRIFT: "differing",
        Kind.POLICY: "against a policy",
        Kind.POLICY_WARN: "with a policy's warning",
        Kind.UNKNOWN: "not known",
    }
    yield from (f"{counts[kind]} {words[kind]}" for kind in Kind)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
