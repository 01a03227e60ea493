"""Who may open the admin's own pages, and who may do what they offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from connectors.models import Connector, Event, Project, RepositoryRun, SavedView, SyncRun
from tests.factories import make_connector, make_placement, make_project, make_repository, make_user, make_workspace
from tests.teams import browser_of

Rows = Mapping[str, Model]
PAGES = {
    "project_plan": "project",
    "project_plan_many": "",
    "project_pull": "project",
    "project_import": "project",
    "project_import_many": "",
    "project_export": "project",
    "project_consents": "project",
    "project_ledger": "project",
    "connector_ledger": "connector",
    "connector_authorise": "connector",
    "connector_authorise_status": "connector",
    "connector_desk": "",
    "connector_timeline": "connector",
    "ledgerentry_history": "",
    "ledgerentry_changes": "",
    "ledgerentry_person": "",
    "repository_export": "repository",
    "repository_run": "repositoryrun",
    "repository_run_state": "repositoryrun",
    "token_forecast": "",
    "syncrun_live": "syncrun",
    "syncrun_live_steps": "syncrun",
    "workspace_discover": "workspace",
    "workspace_discover_apps": "workspace",
    "workspace_device_login": "workspace",
}
CHANGES = {
    "ledgerentry_save_view": "",
    "ledgerentry_remove_view": "savedview",
    "project_plan": "project",
    "project_plan_many": "",
    "project_pull": "project",
    "project_import": "project",
    "project_import_many": "",
    "connector_authorise": "connector",
    "connector_desk": "",
    "ledgerentry_person": "",
    "repository_export": "repository",
    "syncrun_cancel": "syncrun",
    "workspace_discover": "workspace",
    "workspace_device_login": "workspace",
    "workspace_device_login_poll": "workspace",
    "workspace_verify": "workspace",
}
FOR_ADDING = {"workspace_discover", "workspace_discover_apps"}
"""They tell of apps that are nobody's yet, so looking takes the permission to add projects."""
POST_ONLY = [
    "ledgerentry_save_view",
    "ledgerentry_remove_view",
    "syncrun_cancel",
    "workspace_device_login_poll",
    "workspace_verify",
]


@pytest.fixture
def address(operator: User) -> Callable[[str], str]:
    """The address of a page for rows that exist. Nothing of it can reach Base44: the workspace has no credential."""
    workspace = make_workspace("Secret workspace")
    project = make_project("secret-project", workspace=workspace)
    repository = make_repository("Secret repository")
    make_placement(project, repository)
    rows: Rows = {
        "repository": repository,
        "repositoryrun": RepositoryRun.objects.create(repository=repository, kind="read", actor_label="x", door="api"),
        "workspace": workspace,
        "project": project,
        "connector": make_connector(project, "gmail", ["mail.read"]),
        "syncrun": SyncRun.objects.create(project=project, kind=SyncRun.Kind.APPLY, actor_label="x", door="admin"),
        "savedview": SavedView.objects.create(name="Secret view", owner=operator, is_shared=True),
    }
    kinds = {**PAGES, **CHANGES}

    def of(name: str) -> str:
        kind = kinds[name]
        found = reverse(f"admin:connectors_{name}", args=[rows[kind].pk] if kind else [])
        return found if kind else f"{found}?ids={project.pk}"

    return of


@pytest.mark.parametrize("page", sorted(PAGES | CHANGES))
def test_somebody_who_is_not_logged_in_is_sent_to_the_login(page: str, address: Callable[[str], str]) -> None:
    answer = Client().get(address(page))
    assert answer.status_code == 302
    assert "login" in answer["Location"]


@pytest.mark.parametrize("page", sorted(PAGES | CHANGES))
def test_a_stranger_learns_nothing(page: str, address: Callable[[str], str], stranger: User) -> None:
    answer = browser_of(stranger).get(address(page))
    assert answer.status_code in (302, 403, 404)
    assert b"ecret" not in answer.content


@pytest.mark.parametrize("page", PAGES)
def test_staff_without_the_view_permission_are_refused(page: str, address: Callable[[str], str], viewer: User) -> None:
    assert browser_of(viewer).get(address(page)).status_code == (404 if PAGES[page] else 403)


@pytest.mark.parametrize("page", sorted(PAGES.keys() - FOR_ADDING))
def test_whoever_may_view_sees_the_page(page: str, address: Callable[[str], str], reader: User) -> None:
    assert browser_of(reader).get(address(page)).status_code == 200


@pytest.mark.parametrize("page", sorted(FOR_ADDING))
def test_whoever_may_only_view_does_not_see_the_apps(page: str, address: Callable[[str], str], reader: User) -> None:
    assert browser_of(reader).get(address(page)).status_code == 403


@pytest.mark.parametrize("page", CHANGES)
def test_whoever_may_only_view_changes_nothing(page: str, address: Callable[[str], str], reader: User) -> None:
    path = address(page)
    assert browser_of(reader).post(path, {"action": "apply"}).status_code == 403
    assert not Event.objects.exclude(verb="access.denied").exists()


@pytest.mark.parametrize("page", CHANGES)
def test_a_post_from_elsewhere_is_refused(page: str, address: Callable[[str], str], operator: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    assert client.post(address(page)).status_code == 403


@pytest.mark.parametrize("page", POST_ONLY)
def test_what_changes_something_does_not_answer_a_get(page: str, address: Callable[[str], str], operator: User) -> None:
    assert browser_of(operator).get(address(page)).status_code == 405


@pytest.mark.parametrize("page", sorted(name for name, kind in (PAGES | CHANGES).items() if kind))
def test_a_row_that_does_not_exist_is_not_found(page: str, operator: User) -> None:
    assert browser_of(operator).get(reverse(f"admin:connectors_{page}", args=[987654])).status_code == 404


def test_a_page_of_several_projects_leaves_out_ids_that_name_nothing(operator: User, project: Project) -> None:
    path = reverse("admin:connectors_project_plan_many")
    answer = browser_of(operator).get(f"{path}?ids={project.pk},987654,abc,-1,{'9' * 40}")
    assert [plan.project for plan in answer.context["plans"]] == [project]


def test_names_and_reasons_are_escaped(operator: User) -> None:
    project = make_project("x", name="<script>alert(1)</script>")
    make_connector(project, "gmail", ["<b>scope</b>"], consent=Connector.Consent.NEEDED, consent_note="<i>note</i>")
    answer = browser_of(operator).get(reverse("admin:connectors_project_consents", args=[project.pk]))
    assert b"<script>alert" not in answer.content
    assert b"<b>scope" not in answer.content
    assert b"<i>note" not in answer.content


def test_a_user_with_the_permission_for_connectors_alone_applies_nothing(address: Callable[[str], str]) -> None:
    user = make_user("connectors-only", staff=True)
    wanted = ["view_project", "view_connector", "change_connector"]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    assert browser_of(user).post(address("project_plan"), {"action": "apply"}).status_code == 403
