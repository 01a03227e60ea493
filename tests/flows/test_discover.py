"""Discovering apps, and making projects of them."""

from __future__ import annotations

import pytest

from connectors.core.base44.client import Base44Client
from connectors.core.base44.emulator import Emulator
from connectors.core.errors import Refused
from connectors.flows.connect import client_for
from connectors.flows.discover import Discovery, FoundApp, choose, create_projects, free_slug, list_apps
from connectors.models import Project, Workspace
from tests.factories import SHELL, make_project

pytestmark = pytest.mark.django_db


def names(discovery: Discovery) -> list[str]:
    return [app.name for app in discovery.apps]


def test_apps_are_listed_by_name_with_their_projects(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    base44.add_app("app-2", "a new one")
    found = list_apps(live_project.workspace, client)
    assert [(app.name, app.project) for app in found.apps] == [("a new one", None), ("CRM", live_project)]
    assert [app.app_id for app in found.new] == ["app-2"]


def test_a_token_of_one_workspace_costs_no_call_per_app(
    base44: Emulator, live_workspace: Workspace, client: Base44Client
) -> None:
    live_workspace.base44_id = "ws-acme"
    list_apps(live_workspace, client)
    assert [path for _, path in base44.requests] == ["/api/apps"]


def test_a_sign_in_leaves_out_apps_of_other_workspaces(base44: Emulator, live_workspace: Workspace) -> None:
    base44.add_app("app-2", "Elsewhere", workspace="ws-other")
    base44.state.add_workspace("ws-other", members=["admin@acme.example"])
    token = base44.add_token("login")
    live_workspace.credential = type(live_workspace.credential).of(token)
    client = client_for(live_workspace)
    assert names(list_apps(live_workspace, client)) == ["CRM", "Elsewhere"]
    live_workspace.base44_id, live_workspace.credential_kind = "ws-acme", Workspace.CredentialKind.DEVICE
    assert names(list_apps(live_workspace, client)) == ["CRM"]


def test_a_full_page_is_said_to_be_perhaps_not_all(
    base44: Emulator, live_workspace: Workspace, client: Base44Client
) -> None:
    assert not list_apps(live_workspace, client).capped
    for number in range(60):
        base44.add_app(f"app-{number}", f"App {number}")
    found = list_apps(live_workspace, client)
    assert (len(found.apps), found.capped) == (50, True)


def test_projects_are_made_with_slugs_from_their_names(workspace: Workspace) -> None:
    make_project("sales-crm", workspace=workspace)
    apps = [FoundApp("a1", "Sales CRM!"), FoundApp("a2", "Sales  crm"), FoundApp("A3", "\u5ba2\u6237")]
    created = create_projects(workspace, apps, SHELL, "production")
    assert [(project.slug, project.name) for project in created] == [
        ("sales-crm-2", "Sales CRM!"),
        ("sales-crm-3", "Sales  crm"),
        ("app-a3", "\u5ba2\u6237"),
    ]
    assert {project.environment for project in created} == {"production"}


def test_a_long_name_fits(workspace: Workspace) -> None:
    (project,) = create_projects(workspace, [FoundApp("a1", "long " * 60)], SHELL)
    project.full_clean()


def test_of_several_projects_all_or_none_are_made(workspace: Workspace) -> None:
    make_project("crm", workspace=workspace, app_id="a2")
    with pytest.raises(Refused, match="belongs to the project crm"):
        create_projects(workspace, [FoundApp("a1", "One"), FoundApp("a2", "Two")], SHELL)
    assert Project.objects.count() == 1


def test_an_app_that_was_not_listed_cannot_be_chosen() -> None:
    with pytest.raises(Refused, match="no app a9"):
        choose(Discovery((FoundApp("a1", "One"),)), ["a1", "a9"])


def test_an_app_with_a_project_cannot_be_chosen(project: Project) -> None:
    with pytest.raises(Refused, match=r"already for a1"):
        choose(Discovery((FoundApp("a1", "One", project=project),)), ["a1"])


def test_a_slug_is_never_empty() -> None:
    assert free_slug(FoundApp("---", "!!!"), ()) != ""
