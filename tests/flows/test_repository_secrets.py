"""What reading and exporting leave behind: the credential is in no column, log line or error report in the clear."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django import Settings

from connectors.flows import repository_runs
from connectors.flows.repository_export import export_repository
from connectors.models import Placement, Project, Repository, RepositoryRun
from tests.factories import SHELL, make_connector, make_placement, make_repository
from tests.oauth.canary import Canary, all_logs, database
from tests.servers.forge import Forge
from tests.servers.git_http import PUSH, GitServer

pytestmark = pytest.mark.django_db

State = RepositoryRun.State
NAME = "acme/apps"


@pytest.fixture
def token(git_server: GitServer, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> str:
    """What git and the host's API accept."""
    monkeypatch.setattr(forge, "token", git_server.token)
    return git_server.token.get_secret_value()


@pytest.fixture
def crm(project: Project, token: str, forge: Forge, git_server: GitServer, git_settings: Settings) -> Placement:
    """A project in a repository, with something to export."""
    made = git_server.make(NAME)
    made.commit({"README.md": "# Apps\n"})
    forge.add(NAME, made)
    make_connector(project, "slack", ["chat:write"])
    api = forge.api("gitea")
    repository = make_repository("Apps", url=made.url, host=Repository.Host.GITEA, api_url=api, token=token)
    return make_placement(project, repository, path="apps/crm")


def export(crm: Placement) -> str:
    repository = Repository.objects.get(pk=crm.repository_id)
    run = repository_runs.ask_export(repository, SHELL, "By hand.")
    repository_runs.run(run.pk)
    run.refresh_from_db()
    return run.state


def pushes(crm: Placement, git_server: GitServer, forge: Forge) -> str:
    return export(crm)


def proposes(crm: Placement, git_server: GitServer, forge: Forge) -> str:
    Repository.objects.update(mode=Repository.Mode.PULL_REQUEST)
    return export(crm)


def is_not_let_in(crm: Placement, git_server: GitServer, forge: Forge) -> str:
    git_server.trouble(status=401)
    return export(crm)


def may_not_write(crm: Placement, git_server: GitServer, forge: Forge) -> str:
    git_server.trouble(PUSH, status=403, page=f"{git_server.token.get_secret_value()} may not write")
    return export(crm)


def meets_a_host_that_quotes_the_token(crm: Placement, git_server: GitServer, forge: Forge) -> str:
    forge.can(422, {"message": f"bad token {git_server.token.get_secret_value()}"})
    return proposes(crm, git_server, forge)


@pytest.mark.parametrize(
    ("act", "state"),
    [
        (pushes, State.DONE),
        (proposes, State.DONE),
        (is_not_let_in, State.FAILED),
        (may_not_write, State.FAILED),
        (meets_a_host_that_quotes_the_token, State.FAILED),
    ],
)
def test_no_export_leaves_its_token_behind(
    crm: Placement,
    token: str,
    git_server: GitServer,
    forge: Forge,
    act: Callable[[Placement, GitServer, Forge], str],
    state: str,
) -> None:
    canary = Canary()
    canary.secrets.add("token", token)
    with all_logs(canary):
        assert act(crm, git_server, forge) == state
    for table, row in database():
        canary.keep("database", row, origin=table)
    assert {place: canary.leaks(place) for place in ("database", "log records", "log lines")} == {
        "database": set(),
        "log records": set(),
        "log lines": set(),
    }


@pytest.mark.parametrize(
    ("mode", "error"), [(Repository.Mode.DIRECT, "GitError"), (Repository.Mode.PULL_REQUEST, "HostError")]
)
def test_an_error_report_of_an_export_shows_no_token(
    crm: Placement, token: str, git_server: GitServer, forge: Forge, mode: str, error: str
) -> None:
    canary = Canary()
    canary.secrets.add("token", token)
    Repository.objects.update(mode=mode)
    forge.can(500)
    if mode == Repository.Mode.DIRECT:
        git_server.trouble(PUSH, status=403)
    with canary.caught():
        export_repository(Repository.objects.get(), SHELL)
    assert canary.reported == {f"{error} at a flow"}
    assert canary.leaks("reports") == set()
