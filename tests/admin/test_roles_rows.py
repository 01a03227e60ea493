"""Roles at projects, connectors and workspaces: rows of other teams are as if they weren't there."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from connectors.models import Project, SyncRun, Workspace
from tests.factories import make_membership, make_project
from tests.teams import FOREIGN, Teams, browser_of, page, said, two_teams

OURS = ("owner", "looker", "auditor", "single", "grouped")
LISTS = ("project", "connector", "workspace", "syncrun", "token", "consentlink", "oauthclient")
OF_A_PROJECT = (
    "project_plan",
    "project_pull",
    "project_import",
    "project_export",
    "project_consents",
    "project_sync",
)


@pytest.fixture
def teams(db: None) -> Teams:
    return two_teams()


def person(teams: Teams, name: str) -> User:
    found: User = getattr(teams, name)
    return found


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("model", LISTS)
def test_a_list_names_nothing_of_another_team(teams: Teams, name: str, model: str) -> None:
    SyncRun.objects.create(project=teams.bank, kind="sync", actor_label="x", door="admin", message=FOREIGN)
    answer = browser_of(person(teams, name)).get(page(f"{model}_changelist"))
    assert answer.status_code in (200, 403)
    assert FOREIGN not in said(answer)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("address", OF_A_PROJECT)
def test_a_page_of_another_teams_project_is_not_found(teams: Teams, name: str, address: str) -> None:
    browser = browser_of(person(teams, name))
    for answer in (browser.get(page(address, teams.bank.pk)), browser.post(page(address, teams.bank.pk))):
        assert answer.status_code == 404
        assert FOREIGN not in said(answer)


@pytest.mark.parametrize("address", ["project_change", "project_delete"])
def test_another_teams_project_is_answered_like_one_that_does_not_exist(teams: Teams, address: str) -> None:
    browser = browser_of(teams.owner)
    foreign, missing = browser.get(page(address, teams.bank.pk)), browser.get(page(address, 987654))
    assert (foreign.status_code, foreign.headers.get("Location")) == (missing.status_code, missing.headers["Location"])
    assert FOREIGN not in said(foreign)


def test_a_role_in_one_project_shows_that_project_and_the_name_of_its_workspace(teams: Teams) -> None:
    browser = browser_of(teams.single)
    assert [row.pk for row in browser.get(page("project_changelist")).context["cl"].result_list] == [teams.shop.pk]
    (workspace,) = browser.get(page("workspace_changelist")).context["cl"].result_list
    assert workspace == teams.ours


def test_a_workspaces_count_of_projects_is_of_those_that_one_may_see(teams: Teams) -> None:
    make_project("broken", workspace=teams.ours, sync_error="Base44 answered 503.")
    (seen,) = browser_of(teams.single).get(page("workspace_changelist")).context["cl"].result_list
    assert (seen.project_count, seen.failing_count) == (1, 0)
    (seen,) = browser_of(teams.looker).get(page("workspace_changelist")).context["cl"].result_list
    assert (seen.project_count, seen.failing_count) == (3, 1)


@pytest.mark.parametrize("address", ["project_plan", "project_pull", "project_import", "project_sync"])
@pytest.mark.parametrize("name", ["looker", "auditor", "both"])
def test_looking_on_is_not_enough_to_change_a_project(teams: Teams, name: str, address: str) -> None:
    answer = browser_of(person(teams, name)).post(page(address, teams.shop.pk), {"action": "apply"})
    assert answer.status_code == 403
    assert not SyncRun.objects.exists()


@pytest.mark.parametrize("name", ["owner", "single", "grouped"])
def test_an_editor_syncs_their_project_however_they_have_the_role(teams: Teams, name: str) -> None:
    browser_of(person(teams, name)).post(page("project_sync", teams.shop.pk))
    assert SyncRun.objects.get().project == teams.shop


def test_a_role_in_one_project_is_none_in_its_neighbour(teams: Teams) -> None:
    assert browser_of(teams.single).post(page("project_sync", teams.crm.pk)).status_code == 404
    assert not SyncRun.objects.exists()


@pytest.mark.parametrize(("name", "offers"), [("looker", False), ("both", False), ("single", True), ("owner", True)])
def test_the_project_page_has_the_buttons_that_one_may_press_there(teams: Teams, name: str, offers: bool) -> None:
    shown = said(browser_of(person(teams, name)).get(page("project_change", teams.shop.pk)))
    sync, add = page("project_sync", teams.shop.pk), f"{page('connector_add')}?project={teams.shop.pk}"
    assert (sync in shown, add in shown) == (offers, offers)


def test_the_plan_page_has_no_button_for_those_who_may_only_look(teams: Teams) -> None:
    assert browser_of(teams.both).get(page("project_plan", teams.shop.pk)).context["may_apply"] is False
    assert browser_of(teams.both).get(page("project_plan", teams.bank.pk)).context["may_apply"] is True


def test_a_new_role_counts_at_the_next_request(teams: Teams) -> None:
    browser = browser_of(teams.idle)
    assert browser.get(page("project_plan", teams.shop.pk)).status_code == 404
    made = make_membership(teams.idle, "viewer", project=teams.shop)
    assert browser.get(page("project_plan", teams.shop.pk)).status_code == 200
    made.delete()
    assert browser.get(page("project_plan", teams.shop.pk)).status_code == 404


# --- What a form offers, and what it takes ------------------------------------------------------------------------


def offered(user: User, model: str, field: str, *, needs: str = "") -> set[str]:
    """The keys that the form's search finds."""
    asked = {"app_label": "connectors", "model_name": model, "field_name": field, "term": ""}
    asked |= {"with": needs} if needs else {}
    answer = browser_of(user).get(f"{reverse('admin:autocomplete')}?{urlencode(asked)}")
    return {row["id"] for row in answer.json()["results"]}


def test_a_search_offers_rows_of_ones_own_teams(teams: Teams) -> None:
    assert offered(teams.looker, "connector", "project") == {str(teams.shop.pk), str(teams.crm.pk)}
    assert offered(teams.single, "project", "workspace") == {str(teams.ours.pk)}


def test_the_form_for_connectors_offers_projects_where_one_may_add_one(teams: Teams) -> None:
    assert offered(teams.both, "connector", "project", needs="add_connector") == {str(teams.bank.pk)}
    assert f"{reverse('admin:autocomplete')}?with=add_connector" in said(
        browser_of(teams.both).get(page("connector_add"))
    )


@pytest.mark.parametrize(("name", "project"), [("owner", "bank"), ("both", "shop"), ("single", "crm")])
def test_a_forged_connector_is_refused_like_one_of_a_project_that_does_not_exist(
    teams: Teams, name: str, project: str
) -> None:
    chosen: Project = getattr(teams, project)
    data = {"project": chosen.pk, "integration_type": "gmail", "scopes": "mail.send", "connection_config": ""}
    answer = browser_of(person(teams, name)).post(page("connector_add"), data)
    assert "Select a valid choice" in said(answer)
    assert chosen.connectors.get().scopes == ["mail.read"]


PROJECT = {"name": "New", "slug": "new", "app_id": "new-app", "environment": "staging", "connectors_dir": "connectors"}


def test_a_project_is_added_in_a_workspace_of_ones_own(teams: Teams) -> None:
    browser_of(teams.owner).post(page("project_add"), {**PROJECT, "workspace": teams.ours.pk})
    assert Project.objects.get(slug="new").workspace == teams.ours


@pytest.mark.parametrize("name", ["owner", "grouped"])
def test_no_project_is_added_in_a_workspace_of_another_team(teams: Teams, name: str) -> None:
    answer = browser_of(person(teams, name)).post(page("project_add"), {**PROJECT, "workspace": teams.theirs.pk})
    assert "Select a valid choice" in said(answer)
    assert not Project.objects.filter(slug="new").exists()


def test_whoever_edits_one_project_has_nowhere_to_add_another(teams: Teams) -> None:
    assert browser_of(teams.single).get(page("project_add")).status_code == 403
    assert page("project_add") not in said(browser_of(teams.single).get(page("project_changelist")))


def change_project(user: User, project: Project, **values: object) -> str:
    browser, address = browser_of(user), page("project_change", project.pk)
    version = browser.get(address).context["adminform"].form["version"].value()
    data = {name: getattr(project, name) for name in PROJECT} | {"workspace": project.workspace_id, "version": version}
    return said(browser.post(address, {**data, **values}))


def test_an_editor_of_one_project_saves_it_and_cannot_move_it(teams: Teams) -> None:
    change_project(teams.single, teams.shop, name="Shopping")
    teams.shop.refresh_from_db()
    assert (teams.shop.name, teams.shop.workspace) == ("Shopping", teams.ours)
    assert "Select a valid choice" in change_project(teams.single, teams.shop, workspace=teams.theirs.pk)


def test_a_project_moves_only_to_a_workspace_where_one_may_add_projects(teams: Teams) -> None:
    make_membership(teams.both, "editor", project=teams.shop)
    change_project(teams.both, teams.shop, workspace=teams.theirs.pk)
    teams.shop.refresh_from_db()
    assert teams.shop.workspace == teams.theirs


@pytest.mark.parametrize("name", ["owner", "single"])
def test_only_the_whole_portals_owner_adds_workspaces(teams: Teams, name: str) -> None:
    assert browser_of(person(teams, name)).get(page("workspace_add")).status_code == 403
    make_membership(person(teams, name), "owner")
    assert browser_of(person(teams, name)).get(page("workspace_add")).status_code == 200


# --- Workspaces, deleting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["looker", "single", "both"])
@pytest.mark.parametrize("address", ["workspace_discover", "workspace_discover_apps"])
def test_apps_are_shown_to_those_who_may_add_projects_there(teams: Teams, name: str, address: str) -> None:
    assert browser_of(person(teams, name)).get(page(address, teams.ours.pk)).status_code == 403
    assert browser_of(teams.grouped).get(page(address, teams.ours.pk)).status_code == 200


@pytest.mark.parametrize("address", ["workspace_device_login", "workspace_verify", "workspace_device_login_poll"])
def test_a_credential_is_for_those_who_may_change_that_workspace(teams: Teams, address: str) -> None:
    make_membership(teams.both, "owner", workspace=teams.theirs)
    assert browser_of(teams.both).post(page(address, teams.ours.pk)).status_code == 403
    assert browser_of(teams.single).post(page(address, teams.ours.pk)).status_code == 403
    assert browser_of(teams.owner).post(page(address, teams.theirs.pk)).status_code == 404


def test_an_owner_deletes_their_project_and_an_editor_does_not(teams: Teams) -> None:
    assert browser_of(teams.grouped).post(page("project_delete", teams.shop.pk), {"post": "yes"}).status_code == 403
    browser_of(teams.owner).post(page("project_delete", teams.shop.pk), {"post": "yes"})
    assert set(Project.objects.all()) == {teams.crm, teams.bank}


def test_a_workspace_with_projects_is_not_deleted_and_its_page_says_why(teams: Teams) -> None:
    answer = browser_of(teams.owner).post(page("workspace_delete", teams.ours.pk), {"post": "yes"})
    assert "project: Shop" in said(answer)
    assert Workspace.objects.filter(pk=teams.ours.pk).exists()


def test_what_stands_in_the_way_of_deleting_a_workspace_is_named_to_those_who_may_see_it(teams: Teams) -> None:
    wanted = Permission.objects.filter(codename__in=["view_workspace", "delete_workspace"])
    teams.idle.user_permissions.set(wanted)
    shown = said(browser_of(teams.idle).get(page("workspace_delete", teams.theirs.pk)))
    assert "projects that you can&#x27;t see" in shown
    assert f"{FOREIGN} bank" not in shown


@pytest.fixture
def secretive(teams: Teams) -> Teams:
    """Our workspace has an address, an id and an account that only its own people may know."""
    values = {"base44_id": "ws-quartz", "api_url": "https://quartz.example", "credential_account": "quartz@acme.com"}
    Workspace.objects.filter(pk=teams.ours.pk).update(credential_state="accepted", **values)
    return teams


@pytest.mark.parametrize("address", ["workspace_changelist", "workspace_change"])
def test_whoever_works_in_one_project_learns_of_its_workspace_the_name_and_state_alone(
    secretive: Teams, address: str
) -> None:
    keys = [secretive.ours.pk] if address == "workspace_change" else []
    told = said(browser_of(secretive.single).get(page(address, *keys)))
    assert "Harbour" in told
    assert "Accepted" in told
    assert "quartz" not in told
    assert "quartz" in said(browser_of(secretive.looker).get(page(address, *keys)))


@pytest.mark.parametrize(
    "query",
    [
        {"q": "ws-quartz"},
        {"credential_account__startswith": "quartz"},
        {"api_url__startswith": "https://quartz"},
        {"plan__exact": "starter"},
    ],
)
def test_no_filter_tells_what_the_list_of_workspaces_does_not(secretive: Teams, query: dict[str, str]) -> None:
    answer = browser_of(secretive.single).get(page("workspace_changelist"), query)
    found = list(answer.context["cl"].result_list) if answer.status_code == 200 else []
    assert found == []
    answer = browser_of(secretive.looker).get(page("workspace_changelist"), query)
    assert list(answer.context["cl"].result_list) == [secretive.ours]


def test_the_search_finds_a_workspace_by_its_id_only_for_its_people(secretive: Teams) -> None:
    address = reverse("admin:search")
    assert "Harbour" not in said(browser_of(secretive.single).get(address, {"s": "ws-quartz"}))
    assert "Harbour" in said(browser_of(secretive.single).get(address, {"s": "harb"}))
    assert "Harbour" in said(browser_of(secretive.looker).get(address, {"s": "ws-quartz"}))


def test_the_page_to_sign_in_at_base44_is_for_the_workspaces_people(secretive: Teams) -> None:
    address = page("workspace_device_login", secretive.ours.pk)
    assert browser_of(secretive.single).get(address).status_code == 403
    assert browser_of(secretive.looker).get(address).status_code == 200


@pytest.mark.parametrize("codename", ["view_membership", "view_event", "view_token", "view_ledgerentry"])
def test_a_role_at_a_project_lets_see_nothing_else_of_the_workspace(teams: Teams, codename: str) -> None:
    assert teams.single.has_perm("connectors.view_workspace", teams.ours)
    assert teams.single.has_perm(f"connectors.{codename}", teams.shop)
    assert not teams.single.has_perm(f"connectors.{codename}", teams.ours)
