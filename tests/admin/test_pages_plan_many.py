"""Several plans on one page: each project is applied on its own, and the page costs the same however many there are."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.admin.pages.frame import MAX_IDS
from connectors.flows.declare import declare
from connectors.flows.plan import stored_plan, stored_plans
from connectors.models import Project, SyncRun, Workspace
from tests.factories import SHELL, make_connector, make_project

PAGE = "admin:connectors_project_plan_many"


def make_read_project(slug: str, workspace: Workspace) -> Project:
    """A project that Base44 was read for: gmail is to be set, slack to be removed."""
    project = make_project(slug, workspace=workspace, synced_at=timezone.now(), stripe_mode="")
    make_connector(project, "gmail", ["mail.read"], registered_at=timezone.now())
    make_connector(project, "slack", [], registered=["chat:write"], is_declared=False)
    return project


@pytest.fixture
def projects(workspace: Workspace) -> list[Project]:
    return [make_read_project(slug, workspace) for slug in ("one", "two", "three")]


def path(projects: list[Project]) -> str:
    return f"{reverse(PAGE)}?ids={','.join(str(project.pk) for project in projects)}"


def fields(browser: Client, projects: list[Project]) -> dict[str, Any]:
    """What the page's form posts with nothing ticked."""
    plans = browser.get(path(projects)).context["plans"]
    return {"action": "apply", **{f"fingerprint-{shown.project.pk}": shown.plan.fingerprint for shown in plans}}


def applied() -> set[str]:
    return set(SyncRun.objects.filter(kind=SyncRun.Kind.APPLY).values_list("project__slug", flat=True))


def test_each_plan_is_the_one_that_its_own_page_shows(projects: list[Project]) -> None:
    assert stored_plans(projects) == {project.pk: stored_plan(project) for project in projects}


def test_every_plan_is_started(browser: Client, projects: list[Project]) -> None:
    answer = browser.post(path(projects), fields(browser, projects))
    assert answer["Location"] == path(projects)
    assert applied() == {"one", "two", "three"}
    assert not SyncRun.objects.exclude(removals=[]).exists()


def test_one_alone_can_be_started(browser: Client, projects: list[Project]) -> None:
    browser.post(path(projects), {**fields(browser, projects), "only": str(projects[1].pk)})
    assert applied() == {"two"}


def test_a_tick_counts_for_its_own_project(browser: Client, projects: list[Project]) -> None:
    ticked = {f"remove-{projects[0].pk}": ["slack"], "confirmed": "1"}
    browser.post(path(projects), {**fields(browser, projects), **ticked})
    assert {run.project.slug: run.removals for run in SyncRun.objects.select_related("project")} == {
        "one": ["slack"],
        "two": [],
        "three": [],
    }


def test_removals_that_were_not_confirmed_start_nothing(browser: Client, projects: list[Project]) -> None:
    answer = browser.post(path(projects), {**fields(browser, projects), f"remove-{projects[0].pk}": ["slack"]})
    assert answer.context["confirm"]
    assert applied() == set()


def test_a_tick_elsewhere_does_not_stop_the_one_that_was_asked_for(browser: Client, projects: list[Project]) -> None:
    ticked = {f"remove-{projects[0].pk}": ["slack"], "only": str(projects[1].pk)}
    browser.post(path(projects), {**fields(browser, projects), **ticked})
    assert applied() == {"two"}


def test_a_stale_plan_holds_up_no_other(browser: Client, projects: list[Project]) -> None:
    form = fields(browser, projects)
    declare(projects[0], "notion", [], {}, SHELL)
    answer = browser.post(path(projects), form)
    assert applied() == {"two", "three"}
    assert "has changed" in answer.context["plans"][0].problem


def test_looking_again_queues_a_sync_of_each(browser: Client, projects: list[Project]) -> None:
    browser.post(path(projects), {"action": "look"})
    assert SyncRun.objects.filter(kind=SyncRun.Kind.SYNC).count() == 3


def test_the_page_is_reloaded_when_the_runs_are_over(browser: Client, projects: list[Project]) -> None:
    browser.post(path(projects), {"action": "look"})
    busy = f"{path(projects)}&busy=1"
    assert "HX-Refresh" not in browser.get(busy)
    SyncRun.objects.update(state=SyncRun.State.DONE)
    assert browser.get(busy)["HX-Refresh"] == "true"


def test_no_more_than_a_page_of_projects_is_shown_and_that_is_said(browser: Client, workspace: Workspace) -> None:
    many = [make_project(f"p{number}", workspace=workspace) for number in range(MAX_IDS + 3)]
    answer = browser.get(path(many))
    assert len(answer.context["plans"]) == MAX_IDS
    assert b"3 more were ticked" in answer.content


def test_the_number_of_queries_does_not_grow_with_the_projects(
    browser: Client, projects: list[Project], workspace: Workspace
) -> None:
    more = [*projects, *(make_read_project(f"more-{number}", workspace) for number in range(12))]
    browser.get(path(projects))
    counts = []
    for shown in (projects, more):
        with CaptureQueriesContext(connection) as captured:
            browser.get(path(shown))
        counts.append(len(captured))
    assert counts[0] == counts[1]
