"""A process of the portal that exports: `python -m tests.workers.repository_exporter REPOSITORY_ID PROJECT_ID...`.

Says "ready", waits for a line on standard input, then for one project after the other asks for one more scope and
exports: every project of the repository, or with `--alone` the one that changed. Prints the states of its exports in
JSON.
"""

from __future__ import annotations

import json
import sys

import django

SCOPES = ("mail.read", "mail.send")
"""What each project asks for before, and in the end."""


def main(arguments: list[str]) -> None:
    """Changes and exports."""
    django.setup()
    from connectors.flows.declare import declare
    from connectors.flows.export_choices import Choices
    from connectors.flows.repository_export import export_repository
    from connectors.models import Project, Repository
    from tests.factories import SHELL

    alone = arguments[-1] == "--alone"
    repository_id, *projects = (int(text) for text in arguments if text != "--alone")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    states = []
    for project in Project.objects.filter(pk__in=projects).order_by("pk"):
        declare(project, "gmail", SCOPES, {}, SHELL)
        repository = Repository.objects.get(pk=repository_id)
        choices = Choices.of([project.pk]) if alone else Choices()
        states.append(export_repository(repository, SHELL, choices, reason=f"{project.name} sends mail").state)
    sys.stdout.write(json.dumps(states))


if __name__ == "__main__":
    main(sys.argv[1:])
