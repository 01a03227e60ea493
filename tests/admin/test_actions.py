"""Bulk actions and the buttons that start work: what they do to how many rows, and what they say."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from connectors.admin.pages.frame import MAX_IDS
from connectors.models import Connector, Event, Project, SyncRun
from tests.admin.form_data import address, told
from tests.factories import make_connector, make_fleet, make_project

READ, WRITE = "channels:read", "chat:write"


def act(browser: Client, action: str, rows: list[Any], model: str = "project", **more: Any) -> Any:
    """Ticks the rows in their list and runs the action on them."""
    ticked = [str(row.pk) for row in rows]
    data = {"action": action, "_selected_action": ticked, "select_across": "0", "index": "0", **more}
    return browser.post(address(model, "changelist"), data)


def said(browser: Client, answer: Any) -> str:
    """The messages on the page that follows."""
    return told(browser.get(answer["Location"]))


@pytest.fixture
def projects(project: Project) -> list[Project]:
    """Two projects with two connectors each."""
    found = [project, make_project("shop", workspace=project.workspace)]
    for row in found:
        make_connector(row, "slack", [READ])
        make_connector(row, "gmail", ["openid"])
    return found


def ticked(projects: list[Project], type_: str = "slack") -> list[Connector]:
    return list(Connector.objects.filter(project__in=projects, integration_type=type_))


def archive(answer: Any) -> dict[str, bytes]:
    """Names and contents of the zip that was sent."""
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        return {name: found.read(name) for name in found.namelist()}


# --- Sync now -----------------------------------------------------------------------------------------------------


def test_a_sync_of_projects_queues_one_run_each(browser: Client, operator: User, projects: list[Project]) -> None:
    answer = act(browser, "sync_now", projects)
    assert said(browser, answer) == "2 project(s) queued for a sync."
    runs = SyncRun.objects.order_by("project_id")
    assert [(run.project, run.kind, run.state, run.user) for run in runs] == [
        (project, "sync", "queued", operator) for project in projects
    ]
    assert {run.door for run in runs} == {"admin"}


def test_a_sync_of_connectors_queues_their_project_once(browser: Client, projects: list[Project]) -> None:
    answer = act(browser, "sync_now", list(Connector.objects.all()), "connector")
    assert said(browser, answer) == "2 project(s) queued for a sync."
    assert SyncRun.objects.count() == 2


def test_a_sync_asked_for_again_says_what_is_under_way(browser: Client, projects: list[Project]) -> None:
    act(browser, "sync_now", projects[:1])
    answer = act(browser, "sync_now", projects)
    assert "1 project(s) queued for a sync. 1 had one under way already." in said(browser, answer)
    assert SyncRun.objects.count() == 2


def test_a_sync_touches_only_what_is_ticked(browser: Client, projects: list[Project]) -> None:
    act(browser, "sync_now", ticked(projects[1:]), "connector")
    assert SyncRun.objects.get().project == projects[1]


def test_an_action_on_all_pages_takes_rows_that_are_not_on_this_one(browser: Client) -> None:
    fleet = make_fleet(60, 1)
    answer = act(browser, "sync_now", fleet[:1], select_across="1")
    assert said(browser, answer) == "60 project(s) queued for a sync."


def test_an_action_on_all_pages_keeps_to_the_filters(browser: Client, projects: list[Project]) -> None:
    data = {"action": "sync_now", "_selected_action": [str(projects[0].pk)], "select_across": "1", "index": "0"}
    browser.post(f"{address('project', 'changelist')}?q=shop", data)
    assert SyncRun.objects.get().project == projects[1]


def test_an_action_without_a_tick_does_nothing_and_says_so(browser: Client, projects: list[Project]) -> None:
    answer = act(browser, "sync_now", [])
    assert "must be selected" in said(browser, answer)
    assert not SyncRun.objects.exists()


@pytest.mark.parametrize("ids", [["987654"], ["abc"], ["9" * 40], ["-1", "1 OR 1=1"]])
@pytest.mark.parametrize("action", ["sync_now", "show_plans", "export_zip"])
def test_an_action_on_ids_that_name_nothing_does_nothing(
    action: str, ids: list[str], browser: Client, projects: list[Project]
) -> None:
    data = {"action": action, "_selected_action": ids, "select_across": "0", "index": "0"}
    answer = browser.post(address("project", "changelist"), data)
    assert answer["Location"] == address("project", "changelist")
    assert "Nothing was done" in said(browser, answer)
    assert not SyncRun.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize("action", ["sync_now", "export_zip"])
@pytest.mark.parametrize("model", ["project", "connector"])
def test_no_action_runs_by_a_link(model: str, action: str, browser: Client, projects: list[Project]) -> None:
    path = address(model, "changelist")
    row = projects[0] if model == "project" else ticked(projects)[0]
    browser.get(path, {"action": action, "_selected_action": str(row.pk), "index": "0"})
    assert not SyncRun.objects.exists()
    assert not Event.objects.exists()


def test_the_button_of_one_project_queues_a_sync_once(browser: Client, project: Project) -> None:
    path = address("project", "sync", project.pk)
    assert "A sync is queued" in told(browser.post(path, follow=True))
    assert "under way already" in told(browser.post(path, follow=True))
    assert SyncRun.objects.get().project == project


def test_a_project_that_does_not_exist_is_not_synced(browser: Client) -> None:
    assert browser.post(address("project", "sync", 987654)).status_code == 404


# --- Show the plans -----------------------------------------------------------------------------------------------


def test_the_plan_of_one_project_is_its_own_page(browser: Client, projects: list[Project]) -> None:
    expected = reverse("admin:connectors_project_plan", args=[projects[0].pk])
    assert act(browser, "show_plans", projects[:1])["Location"] == expected
    assert act(browser, "show_plans", list(projects[0].connectors.all()), "connector")["Location"] == expected


def test_the_plans_of_several_projects_are_on_one_page(browser: Client, projects: list[Project]) -> None:
    answer = browser.get(act(browser, "show_plans", projects)["Location"])
    assert {shown.project for shown in answer.context["plans"]} == set(projects)


def test_the_plans_of_too_many_projects_are_cut_off(browser: Client) -> None:
    fleet = make_fleet(MAX_IDS + 10, 0)
    address = act(browser, "show_plans", fleet[:1], select_across="1")["Location"]
    assert len(address.split(",")) == MAX_IDS + 1
    page = browser.get(address)
    assert len(page.context["plans"]) == MAX_IDS
    assert str(MAX_IDS) in page.content.decode()


# --- Export as zip ------------------------------------------------------------------------------------------------


def test_an_export_is_a_download_that_no_cache_keeps(browser: Client, projects: list[Project]) -> None:
    answer = act(browser, "export_zip", projects)
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"] == 'attachment; filename="connectors.zip"'
    assert "no-store" in answer["Cache-Control"]


def test_an_export_holds_the_files_of_each_project(browser: Client, projects: list[Project]) -> None:
    files = archive(act(browser, "export_zip", projects))
    assert set(files) == {
        f"{slug}/base44/connectors/{type_}.jsonc" for slug in ("crm", "shop") for type_ in ("slack", "gmail")
    }
    assert files["crm/base44/connectors/slack.jsonc"].endswith(b"\n")


def test_an_export_of_connectors_holds_their_whole_projects(browser: Client, projects: list[Project]) -> None:
    files = archive(act(browser, "export_zip", ticked(projects[:1]), "connector"))
    assert set(files) == {"base44/connectors/slack.jsonc", "base44/connectors/gmail.jsonc"}


def test_an_export_changes_only_the_scopes_of_an_imported_file(browser: Client, project: Project) -> None:
    source = b'// For the sales team\n{ "type": "slack", "scopes": ["channels:read"] }\n'
    make_connector(project, "slack", [READ, WRITE], source=source, source_path="Slack.jsonc")
    files = archive(act(browser, "export_zip", [project]))
    assert files == {
        "base44/connectors/Slack.jsonc": source.replace(b'"channels:read"', b'"channels:read", "chat:write"')
    }


def test_the_same_state_gives_the_same_bytes(browser: Client, projects: list[Project]) -> None:
    first = act(browser, "export_zip", projects).content
    Connector.objects.filter(integration_type="gmail").delete()
    for project in projects:
        make_connector(project, "gmail", ["openid"])
    assert act(browser, "export_zip", list(reversed(projects))).content == first


def test_an_export_leaves_out_what_only_base44_has(browser: Client, project: Project) -> None:
    make_connector(project, "slack", [READ])
    make_connector(project, "gmail", registered=["openid"], is_declared=False)
    assert set(archive(act(browser, "export_zip", [project]))) == {"base44/connectors/slack.jsonc"}


def test_whoever_may_look_may_export_and_it_is_recorded(reader: User, projects: list[Project]) -> None:
    browser = Client()
    browser.force_login(reader)
    assert len(archive(act(browser, "export_zip", projects))) == 4
    assert [(event.verb, event.user) for event in Event.objects.all()] == [("project.exported", reader)] * 2


def test_a_stored_file_that_is_broken_is_written_anew(browser: Client, project: Project) -> None:
    make_connector(project, "slack", [READ], source=b"{ broken", source_path="slack.jsonc")
    (content,) = archive(act(browser, "export_zip", [project])).values()
    assert json.loads(content) == {"type": "slack", "scopes": [READ]}
