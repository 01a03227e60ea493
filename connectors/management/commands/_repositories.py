"""What the commands about repositories share: which ones, and how their runs are carried out here and now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from connectors.flows import repository_runs
from connectors.management.commands._base import PortalCommand, Usage, unknown
from connectors.models import Repository, RepositoryRun

PATIENCE = 60.0
"""Seconds to wait for another run on the same repository."""

GOOD = (RepositoryRun.State.DONE, RepositoryRun.State.UNCHANGED)


class RepositoryCommand(PortalCommand):
    """Base of the commands for repositories by name or `--all`; their JSON is one document, or a list of them."""

    def add_arguments(self, parser: CommandParser) -> None:
        """A name, or `--all`."""
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", nargs="?", help="the repository of this name, as the portal has it")
        parser.add_argument("--all", action="store_true", help="every repository that is in use")

    def repositories(self, options: Mapping[str, Any]) -> list[Repository]:
        """The repository asked for, or all in use. Raises Usage for an unknown name, naming those that are close."""
        if bool(options["name"]) == options["all"]:
            raise Usage("Say which: the NAME of a repository, or --all")
        if options["all"]:
            return list(Repository.objects.in_use())
        found = Repository.objects.filter(name=options["name"]).first()
        if found is None:
            known = list(Repository.objects.values_list("name", flat=True))
            raise Usage(unknown("repository", options["name"], known, "Add one in the portal, under Repositories."))
        return [found]

    def print_repositories(self, options: Mapping[str, Any], documents: list[dict[str, Any]]) -> None:
        """The JSON of one repository, or with --all the list of all, for which a person is told when it is empty."""
        if not documents and not self.as_json:
            self.say("No repository is in use.")
        self.print_json(documents if options["all"] else documents[0])

    def show(self, document: Mapping[str, Any]) -> None:
        """A repository's line for a person, and the rows below it."""
        if document["problem"]:
            self.warn(f"{document['repository']}: {document['problem']}")
        elif not self.as_json:
            self.say(f"{document['repository']}: {document['message']}")
        self.print_rows([row | {"type": _place(row)} for row in document["results"]])


def carry_out(run: RepositoryRun) -> RepositoryRun:
    """Does a queued run in this process; when another run of the repository is at work, after that has ended.

    Gives the run as it then stands: perhaps a worker was quicker, or the wait was too long and it is queued still.
    """
    patient_until = time.monotonic() + PATIENCE
    while repository_runs.run(run.pk) is None and time.monotonic() < patient_until:
        if not RepositoryRun.objects.open().filter(pk=run.pk).exists():
            break
        time.sleep(0.5)
    run.refresh_from_db()
    return run


def problem_of(run: RepositoryRun) -> str:
    """ "" when the run did all it was asked for, else why not."""
    if run.state in GOOD:
        return ""
    return run.message or f"Another run is at work. Run #{run.pk} waits for its turn."


def _place(row: Mapping[str, Any]) -> str:
    """What a row is about: the project, and the type, file or nothing that it names."""
    return ": ".join(filter(None, (row["project"], row["type"] or row["file"])))
