"""Repositories for people with roles at some places: one repository can hold the projects of many teams."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from connectors.core.errors import Refused
from connectors.flows.placements import save_placements
from connectors.models import Placement, Project, PullRequest, Repository, RepositoryRun
from tests.admin.form_data import address, errors, save
from tests.factories import (
    SHELL,
    make_connector,
    make_membership,
    make_placement,
    make_project,
    make_repository,
    make_user,
    make_workspace,
)
from tests.teams import browser_of

LIST = "admin:connectors_repository_changelist"


@pytest.fixture
def ours(db: None) -> Project:
    project = make_project("ours", workspace=make_workspace("Our workspace"))
    make_connector(project, "slack", ["chat:write"])
    return project


@pytest.fixture
def theirs(db: None) -> Project:
    project = make_project("zebra", workspace=make_workspace("Zebra workspace"))
    make_connector(project, "slack", ["chat:write"])
    return project


@pytest.fixture
def shared(ours: Project, theirs: Project) -> Repository:
    """Nobody's in particular, with a project of each team in it."""
    repository = make_repository("Shared")
    make_placement(ours, repository, "apps/ours", read_at=timezone.now(), incoming=1)
    make_placement(theirs, repository, "apps/zebra", read_at=timezone.now(), incoming=7)
    return repository


@pytest.fixture
def ada(db: None) -> User:
    return make_user("ada", staff=True)


def make_run(repository: Repository, *projects: Project, **values: Any) -> RepositoryRun:
    """An export of these projects, or of all, whose words name both teams'."""
    values = {"kind": "export", "state": "done", "actor_label": "zoe", "door": "admin", **values}
    told = {str(pk): {"written": ["a.jsonc"]} for pk in repository.placements.values_list("project_id", flat=True)}
    return RepositoryRun.objects.create(
        repository=repository,
        message="Zebra: it cannot be read.",
        reason="A plan was applied to Zebra.",
        choices={"projects": [project.pk for project in projects]} if projects else {},
        detail={"projects": told if not projects else {}},
        **values,
    )


def make_request(repository: Repository, *projects: Project, number: int = 1) -> PullRequest:
    now = timezone.now()
    row = PullRequest.objects.create(
        repository=repository, key=str(number), number=number, title="Zebra and others", opened_at=now, updated_at=now
    )
    row.projects.set(projects)
    return row


def page(user: User, name: str, pk: int, **query: str) -> Any:
    return browser_of(user).get(address("repository", name, pk), query)


def post(user: User, where: str, pk: int, **data: str) -> int:
    return browser_of(user).post(address("repository", where, pk), data).status_code


# --- What is seen -----------------------------------------------------------------------------------------------


def test_a_repository_without_a_project_of_ones_own_is_not_there(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    hidden = make_repository("Zebra repository", workspace=theirs.workspace)
    make_placement(theirs, hidden)
    assert not browser_of(ada).get(reverse(LIST)).context["cl"].result_list
    assert [page(ada, name, hidden.pk).status_code for name in ("export", "import", "test", "find")] == [404] * 4


def test_the_list_counts_the_files_of_ones_own_projects(ada: User, ours: Project, shared: Repository) -> None:
    make_membership(ada, "viewer", project=ours)
    (row,) = browser_of(ada).get(reverse(LIST)).context["cl"].result_list
    assert (row.project_count, row.incoming_count) == (1, 1)


@pytest.mark.parametrize("name", ["change", "export", "import", "check", "run"])
@pytest.mark.parametrize("role", ["viewer", "owner"])
def test_no_page_of_a_shared_repository_names_projects_of_others(
    name: str, role: str, ada: User, ours: Project, theirs: Project, shared: Repository
) -> None:
    make_membership(ada, role, project=ours)
    make_request(shared, ours, theirs)
    make_request(shared, theirs, number=2)
    run = make_run(shared)
    answer = page(ada, name, run.pk if name == "run" else shared.pk)
    assert answer.status_code == 200
    assert b"ebra" not in answer.content


def test_a_pull_request_about_ones_own_projects_alone_is_shown_with_its_title(
    ada: User, ours: Project, theirs: Project, shared: Repository
) -> None:
    make_membership(ada, "viewer", project=ours)
    make_request(shared, ours)
    make_request(shared, theirs, number=2)
    lines = page(ada, "change", shared.pk).context["pull_requests"]
    assert [(line.label, line.title) for line in lines] == [("#1", "Zebra and others")]


def test_a_run_for_projects_of_others_alone_is_not_there(
    ada: User, ours: Project, theirs: Project, shared: Repository
) -> None:
    make_membership(ada, "viewer", project=ours)
    run = make_run(shared, theirs)
    assert page(ada, "run", run.pk).status_code == 404
    assert page(ada, "run_state", run.pk).status_code == 404
    assert page(ada, "change", shared.pk).context["runs"] == []


def test_a_run_for_ones_own_projects_is_told_with_its_words(ada: User, ours: Project, shared: Repository) -> None:
    make_membership(ada, "viewer", project=ours)
    assert page(ada, "run", make_run(shared, ours).pk).context["message"] == "Zebra: it cannot be read."


def test_the_workspace_of_others_is_not_named_by_the_form(
    ada: User, ours: Project, theirs: Project, shared: Repository
) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    Repository.objects.update(workspace=theirs.workspace)
    assert b"ebra" not in page(ada, "change", shared.pk).content


# --- What is done -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test", "key", "hostkeys", "webhook", "find", "check", "change", "delete"])
def test_a_shared_repository_is_managed_by_nobody_who_has_a_part_of_it(
    name: str, ada: User, ours: Project, shared: Repository
) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    assert post(ada, name, shared.pk, make="1", post="yes", name="Mine") == 403
    assert Repository.objects.get().name == "Shared"


def test_a_repository_with_ones_own_projects_alone_is_managed_by_their_editors(ada: User, ours: Project) -> None:
    make_membership(ada, "editor", project=ours)
    repository = make_placement(ours).repository
    assert post(ada, "check", repository.pk) == 200
    repository.refresh_from_db()
    assert repository.check_token_hash


def test_the_people_of_its_workspace_manage_a_repository(ada: User, ours: Project) -> None:
    make_membership(ada, "editor", workspace=ours.workspace)
    assert post(ada, "check", make_repository(workspace=ours.workspace).pk) == 200


def test_an_export_is_of_ones_own_projects_alone(ada: User, ours: Project, shared: Repository) -> None:
    make_membership(ada, "editor", project=ours)
    shown = page(ada, "export", shared.pk).context["shown"]
    assert [one.project for one in shown.plan.projects] == [ours]
    data = {"fingerprint": shown.fingerprint}
    assert browser_of(ada).post(address("repository", "export", shared.pk), data).status_code == 302
    assert RepositoryRun.objects.get().choices["projects"] == [ours.pk]


def test_whoever_may_only_look_exports_imports_and_reads_nothing(ada: User, ours: Project, shared: Repository) -> None:
    make_membership(ada, "auditor", project=ours)
    assert [post(ada, name, shared.pk) for name in ("export", "import", "read")] == [403] * 3
    assert not RepositoryRun.objects.exists()


@pytest.mark.parametrize("where", ["export", "import"])
def test_managing_a_repository_is_no_leave_for_the_projects_of_others_in_it(
    ada: User, theirs: Project, where: str
) -> None:
    base = make_workspace("Base")
    repository = make_repository("Base", workspace=base)
    make_placement(theirs, repository, "apps/zebra", read_at=timezone.now(), incoming=1)
    make_membership(ada, "owner", workspace=base)
    make_membership(ada, "viewer", workspace=theirs.workspace)
    assert post(ada, where, repository.pk) == 403
    assert not RepositoryRun.objects.exists()


def test_an_editor_of_a_part_has_the_repository_read(ada: User, ours: Project, shared: Repository) -> None:
    make_membership(ada, "editor", project=ours)
    assert post(ada, "read", shared.pk) == 302
    assert RepositoryRun.objects.get().kind == "read"


def typed(**values: Any) -> dict[str, Any]:
    return {"name": "New", "url": "https://git.example.com/team/new.git", "branch": "main", "mode": "direct", **values}


def test_an_owner_at_one_workspace_has_to_name_it_for_a_repository(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    make_membership(ada, "auditor", workspace=theirs.workspace)
    assert "workspace" in errors(save(browser_of(ada), "repository", **typed()))
    assert "workspace" in errors(save(browser_of(ada), "repository", **typed(workspace=theirs.workspace_id)))
    save(browser_of(ada), "repository", **typed(workspace=ours.workspace_id))
    assert Repository.objects.get().workspace == ours.workspace


def test_a_role_at_one_project_adds_no_repository(ada: User, ours: Project) -> None:
    make_membership(ada, "owner", project=ours)
    assert browser_of(ada).get(reverse("admin:connectors_repository_add")).status_code == 403


def test_a_project_where_one_may_only_look_is_put_into_no_repository(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    make_membership(ada, "auditor", project=theirs)
    repository = make_repository(workspace=ours.workspace)
    data = {
        **{f"placements-{n}": "0" for n in ("TOTAL_FORMS", "INITIAL_FORMS")},
        "placements-2-TOTAL_FORMS": "1",
        "placements-2-INITIAL_FORMS": "0",
        "placements-2-0-project": str(theirs.pk),
        "placements-2-0-path": "mine",
    }
    save(browser_of(ada), "repository", repository.pk, **data)
    assert not Placement.objects.exists()


def test_a_folder_of_others_is_refused_without_their_name(ours: Project, shared: Repository) -> None:
    with pytest.raises(Refused) as refused:
        save_placements(shared, [Placement(project=make_project("third"), path="apps/zebra")], SHELL)
    assert "Zebra" not in str(refused.value)
