"""The Base44 projects of a branch are found, matched and placed. Against a real git server."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from connectors.core.errors import ConfigFileError, Refused
from connectors.core.git import GitError
from connectors.flows.find_projects import Found, choose, find_projects, place
from connectors.models import Placement, Project, Repository
from tests.factories import SHELL, make_placement, make_project, make_repository
from tests.servers.git_http import GitServer
from tests.servers.git_repos import Content, RepoMaker

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("git_settings")]

SLACK = '{"type": "slack", "scopes": []}\n'


@pytest.fixture
def repo(git_server: GitServer) -> RepoMaker:
    return git_server.make("acme/apps")


@pytest.fixture
def repository(git_server: GitServer, repo: RepoMaker) -> Repository:
    return make_repository(url=repo.url, token=git_server.token.get_secret_value())


def found(repository: Repository, repo: RepoMaker, files: Mapping[str, Content]) -> tuple[Found, ...]:
    repo.commit(files)
    return find_projects(repository)


def test_a_project_is_matched_by_its_app_id(repository: Repository, repo: RepoMaker, project: Project) -> None:
    (one,) = found(repository, repo, {"sales/base44/.app.jsonc": f'{{"id": "{project.app_id}"}}'})
    assert (one.path, one.app_id, one.project) == ("sales", project.app_id, project)
    assert one.can_be_placed


def test_without_an_app_id_the_folder_names_the_project(
    repository: Repository, repo: RepoMaker, project: Project
) -> None:
    (one,) = found(repository, repo, {"apps/crm/base44/connectors/slack.jsonc": SLACK})
    assert (one.path, one.project) == ("apps/crm", project)


def test_at_the_top_the_repository_names_the_project(repository: Repository, repo: RepoMaker) -> None:
    named_like_it = make_project("apps")
    (one,) = found(repository, repo, {"base44/connectors/slack.jsonc": SLACK})
    assert (one.path, one.project) == ("", named_like_it)


def test_an_app_that_the_portal_does_not_know_says_so(repository: Repository, repo: RepoMaker) -> None:
    (one,) = found(repository, repo, {"new/base44/.app.jsonc": '{"id": "app-new"}'})
    assert (one.project, one.can_be_placed) == (None, False)
    assert "app-new" in one.problem


def test_two_folders_of_one_project_are_for_a_person_to_choose(
    repository: Repository, repo: RepoMaker, project: Project
) -> None:
    app = f'{{"id": "{project.app_id}"}}'
    two = found(repository, repo, {"a/base44/.app.jsonc": app, "b/base44/.app.jsonc": app})
    assert [one.can_be_placed for one in two] == [False, False]


def test_a_project_that_has_this_place_is_here(repository: Repository, repo: RepoMaker, project: Project) -> None:
    make_placement(project, repository, "apps/crm")
    (one,) = found(repository, repo, {"apps/crm/base44/connectors/slack.jsonc": SLACK})
    assert (one.is_here, one.can_be_placed) == (True, False)


def test_a_project_with_another_place_is_not_placed_twice(
    repository: Repository, repo: RepoMaker, project: Project
) -> None:
    elsewhere = make_placement(project, make_repository())
    (one,) = found(repository, repo, {"apps/crm/base44/connectors/slack.jsonc": SLACK})
    assert (one.placement, one.is_here, one.can_be_placed) == (elsewhere, False, False)


def test_a_branch_without_projects_has_none(repository: Repository, repo: RepoMaker) -> None:
    assert found(repository, repo, {"README.md": "# Nothing of Base44's\n"}) == ()


def test_a_missing_branch_is_an_error_in_words(repository: Repository, repo: RepoMaker) -> None:
    repo.commit({"README.md": ""}, branch="trunk")
    with pytest.raises(GitError, match="no branch"):
        find_projects(repository)


def test_no_more_visits_for_many_projects_than_for_one(
    repository: Repository, repo: RepoMaker, git_server: GitServer
) -> None:
    found(repository, repo, {"one/base44/.app.jsonc": '{"id": "one"}'})
    git_server.count_anew()
    found(repository, repo, {"two/base44/.app.jsonc": '{"id": "two"}'})
    few = len(git_server.requests)
    git_server.count_anew()
    many = found(repository, repo, {f"app-{n}/base44/.app.jsonc": f'{{"id": "{n}"}}' for n in range(40)})
    assert (len(many), len(git_server.requests)) == (42, few)


def test_more_folders_than_are_searched_are_refused(
    repository: Repository, repo: RepoMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.flows.find_projects.MAX_FOLDERS", 2)
    with pytest.raises(ConfigFileError, match="more than 2 folders"):
        found(repository, repo, {"a/b/c.txt": ""})


def test_hidden_folders_are_not_searched(repository: Repository, repo: RepoMaker) -> None:
    assert found(repository, repo, {".backup/crm/base44/.app.jsonc": '{"id": "app-crm"}'}) == ()


def test_a_broken_app_file_hides_no_other_project(repository: Repository, repo: RepoMaker, project: Project) -> None:
    app = f'{{"id": "{project.app_id}"}}'
    files = {"broken/base44/.app.jsonc": "{", "fine/base44/.app.jsonc": app}
    broken, fine = found(repository, repo, files)
    assert "broken/base44/.app.jsonc" in broken.problem
    assert fine.project == project


# --- Place -------------------------------------------------------------------------------------------------------


def test_the_chosen_projects_get_their_places(repository: Repository, project: Project) -> None:
    place(repository, [Found("apps/crm", "", project)], SHELL)
    row = Placement.objects.get()
    assert (row.repository, row.project, row.path) == (repository, project, "apps/crm")


def test_all_or_none_are_placed(repository: Repository, project: Project) -> None:
    with pytest.raises(Refused, match="at b"):
        place(repository, [Found("a", "", project), Found("b", "", None, "No project has the slug b.")], SHELL)
    assert not Placement.objects.exists()


def test_a_project_that_was_placed_meanwhile_is_refused(repository: Repository, project: Project) -> None:
    stale = Found("apps/crm", "", project)
    make_placement(project, make_repository("Other"))
    with pytest.raises(Refused, match="in the repository Other already"):
        place(repository, [stale], SHELL)


def test_a_folder_that_is_gone_is_refused(project: Project) -> None:
    with pytest.raises(Refused, match="no project at b any more"):
        choose([Found("a", "", project)], ["a", "b"])
