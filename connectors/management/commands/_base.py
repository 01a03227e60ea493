"""What all commands share: `--json`, exit codes 0, 1 and 2, and one clear line on stderr for every mistake.

0: done, or nothing differs. 1: differences for `--check`, or something failed or was refused. 2: wrong use.
"""

from __future__ import annotations

import difflib
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from connectors.core.actor import Actor, Door
from connectors.core.base44.client import Base44Client
from connectors.core.errors import PortalError
from connectors.core.printable import printable
from connectors.flows.connect import client_for
from connectors.models import Project, Workspace

DONE, FAILED, WRONG_USE = 0, 1, 2
INTERRUPTED = 130

Row = Mapping[str, Any]


class Usage(CommandError):
    """The command was called in a way that cannot work."""

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=WRONG_USE)


class PortalCommand(BaseCommand):
    """Base of the portal's commands: subclasses define `work`, which returns the exit code."""

    requires_system_checks = []
    as_json = False
    _called_from_command_line = False
    _counting = False

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of every command."""
        parser.add_argument("--json", action="store_true", help="print one JSON document, see docs/commands.md")

    def work(self, options: dict[str, Any]) -> int:
        """Does what the command is for; returns 0 or 1."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        """Runs `work`; an exit code other than 0 ends the process with it."""
        self.as_json = options["json"]
        code = self.work(options)
        if code:
            raise SystemExit(code)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """A parser that raises CommandError: argparse itself would print a page of usage before the one line."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.called_from_command_line = False
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        """As Django's, but a mistake in the arguments is one line and exit code 2."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            super().run_from_argv(argv)
        except CommandError as error:
            self._leave(f"{str(error).removeprefix('Error: ').rstrip('.')}. See {argv[1]} --help.", WRONG_USE)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """As Django's, with every foreseeable error turned into a CommandError that is one line."""
        try:
            answer = super().execute(*args, **options)
            self.stdout.flush()
            return answer
        except BrokenPipeError:
            # Whoever read our output (head, a pager) has seen enough. Python would complain once more when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(FAILED) from None
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except (CommandError, PortalError, ValidationError, DatabaseError, OSError) as error:
            failure = _as_command_error(error)
            if options.get("traceback") or not self._called_from_command_line:
                raise failure from error
            self._leave(str(failure), failure.returncode)

    def _leave(self, message: str, code: int) -> NoReturn:
        self.stderr.write(printable(message))
        raise SystemExit(code)

    # What commands say

    def say(self, text: str = "") -> None:
        """A line for a person: on stdout, or on stderr when stdout holds the JSON document."""
        self._clear_progress()
        (self.stderr if self.as_json else self.stdout).write(printable(text), _plain if self.as_json else None)

    def warn(self, text: str) -> None:
        """A line that a person should see whatever stdout is used for."""
        self._clear_progress()
        self.stderr.write(printable(text), self.style.WARNING)

    def print_rows(self, rows: Sequence[Row], *, indent: str = "  ") -> None:
        """A table of action, type and reason, for a person; nothing with --json."""
        if self.as_json:
            return
        actions = max((len(str(row["action"])) for row in rows), default=0)
        types = max((len(str(row["type"])) for row in rows), default=0)
        for row in rows:
            self.say(f"{indent}{row['action']:<{actions}}  {row['type']:<{types}}  {row['reason']}".rstrip())

    def print_json(self, document: Any) -> None:
        """The one JSON document, when --json asks for it; otherwise nothing."""
        if self.as_json:
            self.stdout.write(json.dumps(document, indent=2))

    @contextmanager
    def progress(self, total: int, what: str) -> Iterator[Callable[[int], None]]:
        """Counts on one line of stderr while long work goes on; says nothing when stderr is no terminal."""
        done = 0

        def advance(by: int) -> None:
            nonlocal done
            done += by
            if total > 1 and self.stderr.isatty():
                self._clear_progress()
                self.stderr.write(f"{what} {done}/{total}", _plain, ending="")
                self.stderr.flush()
                self._counting = True

        try:
            yield advance
        finally:
            self._clear_progress()

    def _clear_progress(self) -> None:
        if self._counting:
            self.stderr.write("\r\x1b[K", _plain, ending="")
            self.stderr.flush()
            self._counting = False


class ProjectCommand(PortalCommand):
    """Base of the commands for `--project SLUG` or `--all`; their JSON is one document, or a list of them."""

    takes_all = True

    def add_arguments(self, parser: CommandParser) -> None:
        """`--project`, and `--all` where the command takes it."""
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--project", metavar="SLUG", help="the project with this slug")
        if self.takes_all:
            which.add_argument("--all", action="store_true", help="every project")

    def projects(self, options: Mapping[str, Any]) -> list[Project]:
        """The project asked for, or all of them. Raises Usage for an unknown slug, naming those that are close."""
        if options.get("all"):
            return list(Project.objects.select_related("workspace"))
        return [find_project(options["project"])]

    def print_projects(self, options: Mapping[str, Any], documents: Sequence[Row]) -> None:
        """The JSON of one project, or with --all the list of all."""
        self.print_json(list(documents) if options.get("all") else documents[0])

    def heading(self, options: Mapping[str, Any], project: Project, said: str = "") -> None:
        """A project's line above its rows."""
        if not self.as_json:
            self.say(f"{project.slug}{': ' if said else ''}{said}")


class Clients:
    """One Base44 client per workspace, made when first needed."""

    def __init__(self) -> None:
        self._clients: dict[int, Base44Client] = {}

    def of(self, project: Project) -> Base44Client:
        """The client of the project's workspace. Raises CredentialError when that has no credential."""
        if project.workspace_id not in self._clients:
            self._clients[project.workspace_id] = client_for(project.workspace)
        return self._clients[project.workspace_id]


def shell_actor() -> Actor:
    """The person at the shell, by the name of their account on this machine."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        name = f"uid {os.getuid()}"
    return Actor(label=f"{name} (shell)", door=Door.SHELL)


def find_project(slug: str) -> Project:
    """The project of this slug. Raises Usage naming the slugs that are close."""
    project = Project.objects.select_related("workspace").filter(slug=slug).first()
    if project is None:
        raise Usage(unknown("project", slug, list(Project.objects.values_list("slug", flat=True))))
    return project


def find_workspace(name: str) -> Workspace:
    """The workspace of this name. Raises Usage naming the ones that are close."""
    workspace = Workspace.objects.filter(name=name).first()
    if workspace is None:
        raise Usage(unknown("workspace", name, list(Workspace.objects.values_list("name", flat=True))))
    return workspace


def unknown(noun: str, asked: str, known: Sequence[str], add: str = "") -> str:
    """That there is no such thing, and which ones are close; `add` says how one is added, if not by a command."""
    if not known:
        return f"There is no {noun} {asked}: there is none at all yet. {add or f'Add one with add_{noun}.'}"
    close = difflib.get_close_matches(asked, known, n=3, cutoff=0.5)
    hint = (
        f"Did you mean {' or '.join(close)}?"
        if close
        else f"There are {', '.join(known[:5])}{' ...' if known[5:] else ''}."
    )
    return f"There is no {noun} {asked}. {hint}"


def _plain(text: str) -> str:
    return text


def _as_command_error(error: Exception) -> CommandError:
    if isinstance(error, CommandError):
        return error
    if isinstance(error, ValidationError):
        return Usage(_validation(error))
    if isinstance(error, DatabaseError):
        return CommandError(_database(error), returncode=FAILED)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return CommandError(f"{place}{error.strerror or error}", returncode=FAILED)
    return CommandError(str(error), returncode=FAILED)


def _validation(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())


def _database(error: DatabaseError) -> str:
    try:
        ready = Project._meta.db_table in connection.introspection.table_names()
    except DatabaseError:
        return f"The database cannot be reached: {str(error).splitlines()[0]}"
    if not ready:
        return "The database has no tables yet. Run: manage.py migrate"
    return f"The database refused: {str(error).splitlines()[0]}. Run manage.py migrate if the portal was updated."
