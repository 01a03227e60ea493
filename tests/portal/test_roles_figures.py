"""Roles and the figures: dashboard, sidebar and search count and name what a person may see, as it is now."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import RequestFactory

from connectors.core.actor import Actor, Door
from connectors.flows.events import record_event
from connectors.models import SyncRun
from portal.dashboard import dashboard_context
from portal.navigation import attention_badge, consent_badge, navigation
from tests.factories import make_membership
from tests.teams import FOREIGN, Teams, browser_of, page, said, two_teams


@pytest.fixture
def teams(db: None) -> Teams:
    cache.clear()
    made = two_teams()
    for project in (made.shop, made.crm, made.bank):
        SyncRun.objects.create(project=project, kind="sync", state="failed", actor_label="x", door="admin")
        record_event(Actor(FOREIGN if project == made.bank else "ann", Door.SHELL), "project.changed", project)
    return made


def fresh(user: User) -> User:
    return User.objects.get(pk=user.pk)


def figures(user: User) -> dict[str, Any]:
    request = RequestFactory().get("/admin/")
    request.user = fresh(user)
    return dashboard_context(request, {})


def badges(user: User) -> tuple[str, str]:
    request = RequestFactory().get("/admin/")
    request.user = fresh(user)
    return attention_badge(request), consent_badge(request)


COUNTED = [("looker", 2), ("owner", 2), ("single", 1), ("grouped", 2), ("other", 1), ("both", 3), ("idle", 0)]


@pytest.mark.parametrize(("name", "count"), COUNTED)
def test_the_dashboard_counts_what_one_may_see(teams: Teams, name: str, count: int) -> None:
    found = figures(getattr(teams, name))
    values = [tile.value for tile in found["tiles"][:3]]
    assert values == [count, count, count]
    assert (found["projects"]["all"], found["runs_failed"]) == (count, count)
    assert found["oauth"]["waiting"] == count
    assert len(found["attention"]) == count


@pytest.mark.parametrize(("name", "count"), COUNTED)
def test_the_badges_of_the_sidebar_count_what_one_may_see(teams: Teams, name: str, count: int) -> None:
    assert badges(getattr(teams, name)) == ((str(count), str(count)) if count else ("", ""))


@pytest.mark.parametrize("name", ["looker", "auditor", "owner", "single", "idle"])
def test_the_dashboard_names_nothing_of_another_team(teams: Teams, name: str) -> None:
    assert FOREIGN not in said(browser_of(getattr(teams, name)).get("/admin/"))


@pytest.mark.parametrize(("name", "count"), [("auditor", 2), ("single", 1), ("looker", 0), ("other", 1)])
def test_the_latest_activity_is_that_of_places_where_one_may_see_it(teams: Teams, name: str, count: int) -> None:
    assert len(figures(getattr(teams, name))["events"]) == count


def test_a_role_that_is_given_or_taken_counts_at_once_and_not_when_the_cache_runs_out(teams: Teams) -> None:
    assert badges(teams.idle) == ("", "")
    assert figures(teams.idle)["runs_failed"] == 0
    made = make_membership(teams.idle, "viewer", workspace=teams.theirs)
    assert badges(teams.idle) == ("1", "1")
    assert figures(teams.idle)["runs_failed"] == 1
    made.delete()
    assert badges(teams.idle) == ("", "")
    assert figures(teams.idle)["oauth"]["waiting"] == 0


def test_whoever_has_no_role_is_told_to_ask_for_one_and_not_to_add_a_workspace(teams: Teams) -> None:
    shown = said(browser_of(teams.idle).get("/admin/"))
    assert "Ask an administrator for a role" in shown
    assert page("workspace_add") not in shown


def test_the_sidebar_has_the_pages_that_the_role_opens(teams: Teams) -> None:
    def titles(user: User) -> set[str]:
        request = RequestFactory().get("/admin/")
        request.user = fresh(user)
        return {item["title"] for group in navigation(request) for item in group["items"]}

    assert titles(teams.idle) == {"Dashboard"}
    assert "Connectors" in titles(teams.looker)
    assert not {"Tokens", "Activity", "Users"} & titles(teams.looker)
    assert {"Tokens", "Activity"} <= titles(teams.auditor)


@pytest.mark.parametrize("word", ["zebra", "bank", "gmail", "workspace"])
def test_the_palette_finds_nothing_of_another_team(teams: Teams, word: str) -> None:
    assert FOREIGN not in said(browser_of(teams.owner).get("/admin/search/", {"s": word}))
    assert FOREIGN in said(browser_of(teams.other).get("/admin/search/", {"s": word}))
