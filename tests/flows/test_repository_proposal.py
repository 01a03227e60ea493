"""Exporting as a pull request: one open at a time, always on the newest commit, and nobody's commits overwritten."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from connectors.flows import repository_runs
from connectors.flows.declare import declare
from connectors.flows.export_choices import Choices
from connectors.models import Approval, Placement, Project, PullRequest, Repository, RepositoryRun
from tests.factories import SHELL, make_connector, make_demand, make_placement, make_project, make_repository
from tests.flows.approving import approve, member
from tests.servers.forge import Forge, Kind
from tests.servers.git_http import GitServer
from tests.servers.git_repos import RepoMaker

pytestmark = pytest.mark.django_db

State = RepositoryRun.State
NAME = "acme/apps"
BRANCH = "connector-portal/main/all"
SLACK = "apps/crm/base44/connectors/slack.jsonc"


@pytest.fixture
def repo(git_server: GitServer, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> RepoMaker:
    """A repository that both the git host and the host's API serve, with the same token."""
    made = git_server.make(NAME)
    made.commit({"README.md": "# Apps\n"})
    forge.add(NAME, made)
    monkeypatch.setattr(forge, "token", git_server.token)
    return made


@pytest.fixture
def crm(project: Project, repo: RepoMaker, forge: Forge, git_server: GitServer, git_settings: Settings) -> Placement:
    """A project with one connector that is not in the repository yet."""
    make_connector(project, "slack", ["chat:write"])
    repository = make_repository(
        "Apps",
        url=repo.url,
        host=Repository.Host.GITEA,
        api_url=forge.api("gitea"),
        mode=Repository.Mode.PULL_REQUEST,
        token=git_server.token.get_secret_value(),
    )
    return make_placement(project, repository, path="apps/crm")


def export(placement: Placement, choices: Choices | None = None) -> RepositoryRun:
    """An export as a worker does it."""
    repository = Repository.objects.get(pk=placement.repository_id)
    run = repository_runs.ask_export(repository, SHELL, "By hand.", choices)
    repository_runs.run(run.pk)
    run.refresh_from_db()
    return run


def change(placement: Placement, type_: str, *scopes: str) -> None:
    declare(placement.project, type_, scopes, {}, SHELL)


def test_a_pull_request_is_opened_and_the_branch_left_alone(repo: RepoMaker, crm: Placement, forge: Forge) -> None:
    head = repo.head()
    run = export(crm)
    pull = PullRequest.objects.get()
    assert (run.state, run.pull_request, run.commit) == (State.DONE, pull, repo.head(BRANCH))
    assert (repo.head(), repo.changed(repo.head(BRANCH))) == (head, [SLACK])
    assert (pull.branch, pull.head, list(pull.projects.all())) == (BRANCH, run.commit, [crm.project])
    shown = forge.projects[NAME].pulls[pull.number]
    assert shown.title == f"Add connectors of {crm.project}: slack.jsonc"
    assert "| `slack.jsonc` | new | `chat:write` |" in shown.body
    assert Repository.objects.get().exported_at


def test_the_body_leads_to_the_portal(crm: Placement, forge: Forge, settings: Settings) -> None:
    settings.PORTAL_URL = "https://portal.acme.dev"
    export(crm)
    assert (
        f"https://portal.acme.dev/admin/connectors/repository/{crm.repository_id}/"
        in forge.projects[NAME].pulls[1].body
    )


def test_nothing_new_pushes_nothing_and_calls_nobody_to_look(repo: RepoMaker, crm: Placement) -> None:
    pushed = export(crm).commit
    again = export(crm)
    assert (again.state, again.pull_request) == (State.UNCHANGED, PullRequest.objects.get())
    assert (repo.head(BRANCH), PullRequest.objects.count()) == (pushed, 1)


def test_new_changes_update_the_pull_request_on_top_of_the_newest_commit(repo: RepoMaker, crm: Placement) -> None:
    first = export(crm).pull_request
    base = repo.commit({"README.md": "# New\n"})
    change(crm, "slack", "chat:write", "im:read")
    second = export(crm)
    assert (second.state, second.pull_request) == (State.DONE, first)
    assert [entry.oid for entry in repo.log(BRANCH)][:2] == [second.commit, base]


def test_a_commit_of_others_on_the_branch_alone_does_not_rebuild_it(repo: RepoMaker, crm: Placement) -> None:
    pushed = export(crm).commit
    repo.commit({"README.md": "# New\n"})
    assert export(crm).state == State.UNCHANGED
    assert repo.head(BRANCH) == pushed


def test_somebody_elses_commits_on_the_pull_request_are_not_overwritten(repo: RepoMaker, crm: Placement) -> None:
    export(crm)
    theirs = repo.commit({"README.md": "# Review\n"}, branch=BRANCH)
    change(crm, "slack", "im:read")
    run = export(crm)
    assert (run.state, "Somebody else has pushed" in run.message) == (State.REFUSED, True)
    assert repo.head(BRANCH) == theirs


def test_they_are_given_up_when_somebody_chose_to_start_over(repo: RepoMaker, crm: Placement) -> None:
    export(crm)
    repo.commit({"README.md": "# Review\n"}, branch=BRANCH)
    run = export(crm, Choices.of(starts_over=True))
    assert (run.state, repo.head(BRANCH)) == (State.DONE, run.commit)
    assert repo.changed(run.commit) == [SLACK]


def test_after_a_merge_both_sides_agree_and_nothing_is_proposed(repo: RepoMaker, crm: Placement, forge: Forge) -> None:
    export(crm)
    forge.merge(NAME, 1)
    run = export(crm)
    assert (run.state, PullRequest.objects.get().state) == (State.UNCHANGED, PullRequest.State.MERGED)
    crm.refresh_from_db()
    assert (crm.outgoing, crm.files.get().agreed) == (0, ["chat:write"])


def test_after_a_merge_new_changes_open_another_one(repo: RepoMaker, crm: Placement, forge: Forge) -> None:
    export(crm)
    forge.merge(NAME, 1)
    change(crm, "slack", "chat:write", "im:read")
    run = export(crm)
    assert (run.state, run.pull_request and run.pull_request.number) == (State.DONE, 2)


def test_what_was_merged_is_no_conflict_with_what_the_portal_changed_since(
    repo: RepoMaker, crm: Placement, forge: Forge
) -> None:
    repo.commit({SLACK: '{"type": "slack", "scopes": ["chat:write"]}'})
    export(crm)
    change(crm, "slack", "chat:write", "im:read")
    export(crm)
    change(crm, "slack", "chat:write", "im:read", "im:write")
    forge.merge(NAME, 1)
    run = export(crm)
    assert (run.state, run.pull_request and run.pull_request.number) == (State.DONE, 2)


def test_what_a_reviewer_made_of_it_is_a_conflict(repo: RepoMaker, crm: Placement, forge: Forge) -> None:
    export(crm)
    change(crm, "slack", "chat:write", "im:read")
    repo.commit({SLACK: '{"type": "slack", "scopes": ["chat:read"]}'})
    assert export(crm).state == State.PARTIAL


def test_what_a_closed_one_proposed_is_forgotten(crm: Placement, forge: Forge) -> None:
    export(crm)
    forge.close(NAME, 1)
    crm.project.connectors.all().delete()
    export(crm)
    assert not crm.files.exclude(proposed=None).exists()


def test_one_that_was_closed_is_proposed_anew(repo: RepoMaker, crm: Placement, forge: Forge) -> None:
    export(crm)
    forge.close(NAME, 1)
    run = export(crm)
    assert (run.state, run.pull_request and run.pull_request.number) == (State.DONE, 2)


def test_when_the_portal_went_back_the_open_one_is_named(crm: Placement) -> None:
    export(crm)
    crm.project.connectors.all().delete()
    run = export(crm)
    assert (run.state, run.pull_request) == (State.UNCHANGED, PullRequest.objects.get())
    assert "Pull request #1 is still open" in run.message


def test_projects_that_were_chosen_have_a_pull_request_of_their_own(repo: RepoMaker, crm: Placement) -> None:
    shop = make_placement(make_project("shop"), crm.repository, path="apps/shop")
    change(shop, "notion", "read")
    one, other = export(crm, Choices.of([crm.project_id])), export(crm, Choices.of([shop.project_id]))
    assert one.pull_request != other.pull_request
    assert repo.branches() == ["connector-portal/main/crm", "connector-portal/main/shop", "main"]
    assert repo.changed(repo.head("connector-portal/main/shop")) == ["apps/shop/base44/connectors/notion.jsonc"]


@pytest.mark.parametrize("kind", ["github", "gitlab", "gitea"])
def test_every_host_takes_a_pull_request_for_a_set_of_projects_and_its_update(
    repo: RepoMaker, crm: Placement, forge: Forge, kind: Kind
) -> None:
    Repository.objects.update(host=kind, api_url=forge.api(kind))
    shop = make_placement(make_project("shop"), crm.repository, path="apps/shop")
    change(shop, "notion", "read")
    both = Choices.of([crm.project_id, shop.project_id])
    first = export(crm, both)
    change(shop, "notion", "read", "write")
    second = export(crm, both)
    assert (first.state, second.state, second.pull_request) == (State.DONE, State.DONE, first.pull_request)
    assert repo.head("connector-portal/main/crm+shop") == second.commit


def test_what_was_pushed_before_the_host_failed_is_taken_for_our_own(
    repo: RepoMaker, crm: Placement, forge: Forge
) -> None:
    forge.can(500)
    first = export(crm)
    assert (first.state, PullRequest.objects.count()) == (State.QUEUED, 0)
    assert Repository.objects.get().state == Repository.State.WORKING
    repository_runs.run(first.pk)
    first.refresh_from_db()
    assert (first.state, PullRequest.objects.get().head) == (State.DONE, repo.head(BRANCH))


def test_an_empty_repository_has_nothing_to_propose_against(
    git_server: GitServer, crm: Placement, forge: Forge
) -> None:
    Repository.objects.update(url=git_server.make("acme/empty").url)
    run = export(crm)
    assert (run.state, "Nobody has committed anything" in run.message) == (State.REFUSED, True)


def test_a_host_without_pull_requests_is_refused_before_anything_is_pushed(repo: RepoMaker, crm: Placement) -> None:
    Repository.objects.update(host=Repository.Host.PLAIN)
    assert export(crm).state == State.REFUSED
    assert repo.branches() == ["main"]


@pytest.fixture
def watched(crm: Placement) -> Placement:
    """As above, in production, where an export needs another person's approval. A project beside it needs none."""
    make_demand("export")
    Project.objects.filter(pk=crm.project_id).update(environment=Project.Environment.PRODUCTION)
    blog = make_project("blog", workspace=crm.project.workspace)
    make_connector(blog, "notion", ["read"])
    make_placement(blog, crm.repository, path="apps/blog")
    return Placement.objects.get(pk=crm.pk)


def test_what_was_approved_for_a_pull_request_stays_in_it_when_it_is_brought_up_to_date(
    repo: RepoMaker, watched: Placement
) -> None:
    export(watched)
    assert SLACK not in repo.changed(repo.head(BRANCH))
    approve(Approval.objects.get(), member("bob", "approver", watched.project))
    repository_runs.run(RepositoryRun.objects.get(state=State.QUEUED).pk)
    change(Placement.objects.get(project__slug="blog"), "notion", "read", "write")
    repo.commit({"README.md": "# New\n"})
    assert export(watched).state == State.DONE
    assert SLACK in repo.changed(repo.head(BRANCH))
    assert Approval.objects.get().state == Approval.State.USED


def test_content_that_nobody_wants_any_more_leaves_the_pull_request_until_the_new_one_is_approved(
    repo: RepoMaker, watched: Placement
) -> None:
    export(watched)
    approve(Approval.objects.get(), member("bob", "approver", watched.project))
    repository_runs.run(RepositoryRun.objects.get(state=State.QUEUED).pk)
    assert SLACK in repo.changed(repo.head(BRANCH))
    change(watched, "slack", "chat:write", "im:read")
    export(watched)
    assert SLACK not in repo.paths(BRANCH)
    assert list(Approval.objects.order_by("pk").values_list("state", flat=True)) == ["used", "open"]
