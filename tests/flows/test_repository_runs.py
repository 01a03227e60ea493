"""Work on repositories: asked for once, done by one worker, tried again, and never lost with a worker."""

from __future__ import annotations

import datetime as dt
import os
import socket
import subprocess
import sys

import pytest
from django.utils import timezone
from pytest_django import Settings

from connectors.core.base44.client import Base44Client
from connectors.flows import apply, repository_runs
from connectors.flows.export_choices import Choices
from connectors.flows.plan import show_plan
from connectors.flows.repository_work import Outcome
from connectors.models import Project, Repository, RepositoryRun, SyncRun
from tests.factories import SHELL, make_connector, make_placement, make_project, make_repository
from tests.servers.git_repos import RepoMaker

pytestmark = pytest.mark.django_db

Kind, State = RepositoryRun.Kind, RepositoryRun.State


@pytest.fixture
def repo(disk_repo: RepoMaker) -> RepoMaker:
    """A repository on this disk."""
    disk_repo.commit({"README.md": "# Apps\n"})
    return disk_repo


@pytest.fixture
def repository(db: None, repo: RepoMaker) -> Repository:
    """The same as the portal knows it, with a project that has something to export."""
    made = make_repository("Apps", url=repo.url)
    project = make_project("crm")
    make_connector(project, "slack", ["chat:write"])
    make_placement(project, made, path="apps/crm")
    return made


@pytest.fixture
def dead_worker() -> str:
    """The name of a worker whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{socket.gethostname()}:{process.pid}"


def ask_export(repository: Repository, fingerprint: str = "") -> RepositoryRun:
    return repository_runs.ask_export(repository, SHELL, "By hand.", fingerprint=fingerprint)


def claimed(run: RepositoryRun, worker: str = "") -> RepositoryRun:
    """The run as some worker has it."""
    row = repository_runs.claim(run.pk)
    assert row is not None
    RepositoryRun.objects.filter(pk=run.pk).update(worker=worker or f"{socket.gethostname()}:{os.getpid()}")
    return row


def redelivered(now: dt.datetime | None = None) -> list[int]:
    sent: list[int] = []
    repository_runs.redeliver(now or timezone.now(), lambda run: sent.append(run.pk))
    return sent


def test_an_export_is_carried_out_and_says_what_came_of_it(repository: Repository, repo: RepoMaker) -> None:
    run = ask_export(repository)
    repository_runs.run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.commit) == (State.DONE, repo.head())
    assert run.message == f"Wrote 1 file of 1 project in commit {repo.head()[:8]}."
    assert [told["written"] for told in run.detail["projects"].values()] == [["apps/crm/base44/connectors/slack.jsonc"]]


def test_a_reading_says_what_it_found(repository: Repository, repo: RepoMaker) -> None:
    run, _ = repository_runs.ask_read(repository, SHELL, "By hand.")
    repository_runs.run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.message) == (State.DONE, f"Read at commit {repo.head()[:8]}: 1 file outgoing.")


def test_a_reading_that_finds_no_new_commit_is_unchanged(repository: Repository) -> None:
    states = []
    for _ in range(2):
        run, _ = repository_runs.ask_read(repository, SHELL, "By hand.")
        repository_runs.run(run.pk)
        states.append(RepositoryRun.objects.get(pk=run.pk).state)
    assert states == [State.DONE, State.UNCHANGED]


def test_one_waiting_reading_does_for_all_who_ask(repository: Repository) -> None:
    first, is_new = repository_runs.ask_read(repository, SHELL, "A push.")
    second, is_second_new = repository_runs.ask_read(repository, SHELL, "Another push.")
    assert (first.pk, is_new, is_second_new) == (second.pk, True, False)


def test_while_one_reads_another_reading_waits_its_turn(repository: Repository) -> None:
    claimed(repository_runs.ask_read(repository, SHELL, "A push.")[0])
    second, is_new = repository_runs.ask_read(repository, SHELL, "A push that the first may have missed.")
    assert is_new
    assert repository_runs.run(second.pk) is None
    second.refresh_from_db()
    assert second.state == State.QUEUED


def test_exports_are_one_only_when_they_were_asked_for_the_same(repository: Repository) -> None:
    asked = [
        repository_runs.ask_export(repository, SHELL, "By hand.", choices, fingerprint).pk
        for choices, fingerprint in [(None, ""), (None, ""), (Choices.of([1]), ""), (None, "a" * 64)]
    ]
    assert asked[0] == asked[1]
    assert len(set(asked)) == 3


def test_two_repositories_are_worked_on_at_once(repository: Repository) -> None:
    claimed(ask_export(repository))
    other = ask_export(make_repository())
    assert repository_runs.claim(other.pk) is not None


def test_a_message_that_comes_twice_does_the_work_once(repository: Repository, repo: RepoMaker) -> None:
    run = ask_export(repository)
    repository_runs.run(run.pk)
    assert repository_runs.run(run.pk) is None
    assert len(repo.log()) == 2


def test_a_dead_workers_run_goes_back_to_the_queue_and_is_sent_again(repository: Repository, dead_worker: str) -> None:
    run = ask_export(repository)
    claimed(run, dead_worker)
    assert repository_runs.bury_dead(timezone.now()) == 1
    assert redelivered() == [run.pk]


def test_a_dead_workers_repository_is_free_at_once(repository: Repository, dead_worker: str) -> None:
    claimed(ask_export(repository), dead_worker)
    second, _ = repository_runs.ask_read(repository, SHELL, "By hand.")
    assert repository_runs.run(second.pk) is not None


def test_a_run_that_takes_every_worker_with_it_is_given_up(repository: Repository, dead_worker: str) -> None:
    run = ask_export(repository)
    for _ in range(repository_runs.MOST_DEATHS):
        claimed(run, dead_worker)
        repository_runs.bury_dead(timezone.now())
    run.refresh_from_db()
    assert (run.state, run.message) == (State.FAILED, repository_runs.KILLER)


def test_a_living_workers_run_is_left_alone(repository: Repository) -> None:
    claimed(ask_export(repository))
    assert repository_runs.bury_dead(timezone.now()) == 0


def test_what_a_worker_taken_for_dead_reports_later_changes_nothing(repository: Repository, repo: RepoMaker) -> None:
    run = ask_export(repository)
    row = claimed(run)
    RepositoryRun.objects.update(heartbeat_at=timezone.now() - dt.timedelta(minutes=1))
    repository_runs.bury_dead(timezone.now())
    repository_runs._finish(row, Outcome(State.DONE, "Late."))
    run.refresh_from_db()
    assert run.state == State.QUEUED


def test_a_worker_killed_after_its_push_leaves_a_run_that_ends_well(
    repository: Repository, repo: RepoMaker, dead_worker: str
) -> None:
    run = ask_export(repository)
    repository_runs.run(run.pk)
    pushed = repo.head()
    detail = {"attempted": pushed}
    RepositoryRun.objects.update(state=State.RUNNING, worker=dead_worker, commit="", message="", detail=detail)
    repository_runs.bury_dead(timezone.now())
    repository_runs.run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.commit, repo.head()) == (State.DONE, pushed, pushed)


@pytest.fixture
def unreachable(repository: Repository, settings: Settings) -> Repository:
    """The repository behind a port where nothing answers."""
    settings.GIT_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    Repository.objects.update(url="https://127.0.0.1:9/acme/apps.git")
    repository.refresh_from_db()
    return repository


def test_a_failure_that_may_pass_is_tried_again_later_and_given_up_in_the_end(unreachable: Repository) -> None:
    run = ask_export(unreachable)
    states = []
    for _ in range(1 + len(repository_runs.TRY_AGAIN_AFTER)):
        repository_runs.run(run.pk)
        run.refresh_from_db()
        states.append(run.state)
    assert states == [State.QUEUED, State.QUEUED, State.QUEUED, State.FAILED]


def test_a_run_that_waits_says_for_what_and_how_long(unreachable: Repository) -> None:
    run = ask_export(unreachable)
    repository_runs.run(run.pk)
    run.refresh_from_db()
    assert run.message.startswith(Repository.objects.get().problem)
    assert run.message.endswith("The next try is in a minute.")
    assert redelivered() == []


def test_asking_again_ends_the_wait(unreachable: Repository) -> None:
    run = ask_export(unreachable)
    repository_runs.run(run.pk)
    assert ask_export(unreachable) == run
    assert redelivered() == [run.pk]


def test_what_the_schedule_asked_for_waits_for_the_schedule(unreachable: Repository) -> None:
    repository_runs.queue_due(timezone.now())
    run = RepositoryRun.objects.get()
    repository_runs.run(run.pk)
    run.refresh_from_db()
    assert run.state == State.FAILED


def test_a_wait_is_over_when_it_was_said_to_be(repository: Repository) -> None:
    run = ask_export(repository)
    now = timezone.now()
    repository_runs._queue_again(claimed(run), "Later.", dt.timedelta(minutes=5))
    assert redelivered(now + dt.timedelta(minutes=4)) == []
    assert redelivered(now + dt.timedelta(minutes=6)) == [run.pk]


def test_a_refused_run_says_why(repository: Repository) -> None:
    run = ask_export(repository, fingerprint="another")
    repository_runs.run(run.pk)
    run.refresh_from_db()
    assert (run.state, "Nothing was written" in run.message) == (State.REFUSED, True)


def test_the_next_run_of_a_repository_follows_when_one_is_over(repository: Repository) -> None:
    first, second = ask_export(repository), ask_export(repository, fingerprint="x")
    claimed(first)
    assert repository_runs.next_after(first.pk, timezone.now()) is None
    RepositoryRun.objects.filter(pk=first.pk).update(state=State.DONE)
    assert repository_runs.next_after(first.pk, timezone.now()) == second


def test_schedules_ask_once_and_again_when_it_is_time(repository: Repository) -> None:
    now = timezone.now()
    Repository.objects.update(export_when=Repository.ExportWhen.SCHEDULED, export_hours=6, read_minutes=15)
    assert (repository_runs.queue_due(now), repository_runs.queue_due(now)) == (2, 0)
    RepositoryRun.objects.update(state=State.DONE)
    assert repository_runs.queue_due(now + dt.timedelta(minutes=16)) == 1
    RepositoryRun.objects.update(state=State.DONE)
    assert repository_runs.queue_due(now + dt.timedelta(hours=6, minutes=1)) == 2


def test_what_is_not_in_use_is_not_read(repository: Repository) -> None:
    Repository.objects.update(is_enabled=False)
    assert repository_runs.queue_due(timezone.now()) == 0


def test_what_is_left_to_webhooks_is_read_when_something_asks_for_it_and_not_by_time(repository: Repository) -> None:
    now = timezone.now()
    Repository.objects.update(read_minutes=0, next_read_at=None)  # as a merged pull request leaves it
    assert repository_runs.queue_due(now) == 1
    RepositoryRun.objects.update(state=State.DONE)
    assert repository_runs.queue_due(now + dt.timedelta(days=1)) == 0


def test_only_what_found_nothing_is_pruned(repository: Repository) -> None:
    kept = ask_export(repository)
    idle = ask_export(repository, fingerprint="x")
    waiting = ask_export(repository, fingerprint="y")
    read, _ = repository_runs.ask_read(repository, SHELL, "By hand.")
    RepositoryRun.objects.filter(pk__in=[kept.pk, read.pk]).update(state=State.DONE)
    RepositoryRun.objects.filter(pk=idle.pk).update(state=State.UNCHANGED)
    RepositoryRun.objects.update(created_at=timezone.now() - dt.timedelta(days=40))
    repository_runs.prune(timezone.now(), keep_days=30)
    assert set(RepositoryRun.objects.values_list("pk", flat=True)) == {kept.pk, waiting.pk}


@pytest.fixture
def applying(live_project: Project) -> Repository:
    """The repository of a project at Base44, which exports after each apply; another project lies there too."""
    made = make_repository(export_when=Repository.ExportWhen.AFTER_APPLY)
    make_placement(live_project, made)
    make_placement(make_project("shop"), made, path="shop")
    return made


def test_an_apply_asks_for_an_export_of_its_project_alone(
    applying: Repository, live_project: Project, client: Base44Client
) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    done = apply.apply_now(live_project, show_plan(live_project, client, SHELL), [], client, SHELL)
    run = RepositoryRun.objects.get()
    assert (run.repository, run.kind, run.choices) == (applying, Kind.EXPORT, {"projects": [live_project.pk]})
    assert run.reason == f"A plan was applied to {live_project} (run {done.pk})."


def test_an_apply_that_failed_asks_for_none(applying: Repository, live_project: Project, client: Base44Client) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    plan = show_plan(live_project, client, SHELL)
    make_connector(live_project, "notion", ["read"])
    assert apply.apply_now(live_project, plan, [], client, SHELL).state == SyncRun.State.REFUSED
    assert not RepositoryRun.objects.exists()


@pytest.mark.parametrize(
    "values", [{"export_when": Repository.ExportWhen.BY_HAND}, {"is_enabled": False}], ids=["by hand", "not in use"]
)
def test_an_apply_asks_for_none_where_nobody_wants_that(
    applying: Repository, live_project: Project, values: dict[str, str]
) -> None:
    Repository.objects.update(**values)
    assert repository_runs.after_apply(live_project, SHELL, "A plan was applied.") is None
