"""A worker is killed in the middle of an export: nothing is half done, and the next worker completes the run, once."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone

from connectors import tasks
from connectors.flows.declare import declare
from connectors.models import Event, Project, Repository, RepositoryRun
from tests.factories import SHELL, make_connector, make_placement, make_repository
from tests.servers.git_http import FETCH, LOOK_BEFORE_PUSH, PUSH, GitServer
from tests.servers.git_repos import RepoMaker
from tests.servers.worker import eventually, worker

pytestmark = pytest.mark.django_db(transaction=True)

State = RepositoryRun.State
PATH = "base44/connectors/gmail.jsonc"


@pytest.fixture
def repo(git_server: GitServer) -> RepoMaker:
    """A repository with one project's file."""
    made = git_server.make()
    made.commit({PATH: json.dumps({"type": "gmail", "scopes": ["mail.read"]})}, "Begin")
    return made


@pytest.fixture
def repository(git_settings: Any, git_server: GitServer, repo: RepoMaker, project: Project) -> Repository:
    """The same as the portal knows it, which asks for one more scope."""
    made = make_repository("Shop", url=repo.url, token=git_server.token.get_secret_value())
    make_placement(project, made)
    make_connector(project, "gmail", ["mail.read"])
    tasks.run_repository(tasks.start_repository_read(made, SHELL, "first")[0].pk)
    declare(project, "gmail", ["mail.read", "mail.send"], {}, SHELL)
    return made


def is_over(run: RepositoryRun) -> bool:
    run.refresh_from_db()
    return not run.is_open


def kill_in_the_middle(server: GitServer, repository: Repository, on: str, hold: str) -> RepositoryRun:
    """An export whose worker is gone when the host was asked for `on`."""
    server.trouble(on, hold=hold, times=1)
    with worker() as victim:
        run = tasks.start_repository_export(repository, SHELL, "Send mail")
        assert server.arrived.wait(60)
        victim.kill()
    return run


def sweep_later() -> None:
    """The sweep, when what was sent to the dead worker counts as lost."""
    tasks.work_repositories()
    RepositoryRun.objects.filter(state=State.QUEUED).update(dispatched_at=timezone.now() - dt.timedelta(minutes=5))
    tasks.work_repositories()


@pytest.mark.parametrize(
    ("on", "hold"),
    [(FETCH, "before"), (LOOK_BEFORE_PUSH, "before"), (PUSH, "before"), (PUSH, "after")],
    ids=["while reading", "between commit and push", "while pushing", "after the push"],
)
def test_the_next_worker_completes_the_run_and_the_change_is_in_the_history_once(
    git_server: GitServer, repository: Repository, repo: RepoMaker, on: str, hold: str
) -> None:
    run = kill_in_the_middle(git_server, repository, on, hold)
    git_server.release()
    with worker():
        sweep_later()
        eventually("the run is over", lambda: is_over(run), seconds=60)
    assert run.state == State.DONE, run.message
    assert len(repo.log()) == 2
    assert json.loads(repo.read(PATH))["scopes"] == ["mail.read", "mail.send"]
    assert Event.objects.filter(verb="repository.exported").count() == 1
    repo.check()


def test_until_then_the_branch_is_as_it_was_and_the_run_is_open(
    git_server: GitServer, repository: Repository, repo: RepoMaker
) -> None:
    before = repo.head()
    run = kill_in_the_middle(git_server, repository, LOOK_BEFORE_PUSH, "before")
    assert (repo.head(), repo.branches()) == (before, ["main"])
    assert not is_over(run)
