"""Approval rules hold for a project until somebody changes the rules: it is not taken away from them, nor deleted."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from connectors.models import ApprovalDemand, Project
from tests.factories import make_demand, make_membership, make_project, make_rule, make_user, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db: None) -> Project:
    """In production, where a rule of all workspaces has it that everything needs approval."""
    make_demand("plan", "revoke", "export")
    return make_project("shop", environment="production")


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:connectors_{name}", args=args)


ESCAPES: list[dict[str, Any]] = [{"environment": "development"}, {"app_id": "app-other"}]


def change_project(project: Project, role: str, place: dict[str, Any], change: dict[str, Any]) -> str:
    """What the page says when somebody with this role at this place saves the change."""
    user = make_user(f"eve-{role}", staff=True)
    make_membership(user, role, **place)
    client = Client()
    client.force_login(user)
    form = client.get(url("project_change", project.pk)).context["adminform"].form
    values = {name: form[name].value() or "" for name in form.fields}
    answer = client.post(url("project_change", project.pk), {**values, **change}, follow=True)
    project.refresh_from_db()
    return answer.content.decode()


@pytest.mark.parametrize("change", ESCAPES)
@pytest.mark.parametrize("role", ["editor", "owner"])
def test_only_who_may_change_a_workspaces_rule_takes_a_project_away_from_it(
    shop: Project, role: str, change: dict[str, str]
) -> None:
    ApprovalDemand.objects.update(workspace=shop.workspace)
    said = change_project(shop, role, {"workspace": shop.workspace}, change)
    (name, value) = next(iter(change.items()))
    assert (getattr(shop, name) == value) is (role == "owner")
    assert ("Only somebody who may change the approval rules" in said) is (role == "editor")


@pytest.mark.parametrize("change", ESCAPES)
@pytest.mark.parametrize("place", ["workspace", "project"])
def test_an_owner_takes_no_project_away_from_a_rule_of_all_workspaces(
    shop: Project, place: str, change: dict[str, str]
) -> None:
    there = {"workspace": shop.workspace} if place == "workspace" else {"project": shop}
    said = change_project(shop, "owner", there, change)
    assert "Only somebody who may change the approval rules" in said
    assert (shop.environment, shop.app_id == "app-other") == ("production", False)


def test_a_projects_owner_takes_it_not_away_from_its_workspaces_rule(shop: Project) -> None:
    ApprovalDemand.objects.update(workspace=shop.workspace)
    change_project(shop, "owner", {"project": shop}, {"environment": "development"})
    assert shop.environment == "production"


def test_no_project_moves_to_where_its_mover_can_lift_the_rule(shop: Project) -> None:
    ApprovalDemand.objects.update(workspace=shop.workspace)
    elsewhere = make_workspace("Elsewhere")
    make_demand("plan", "revoke", "export", workspace=elsewhere)
    user = make_user("eve", staff=True)
    make_membership(user, "owner", workspace=elsewhere)
    make_membership(user, "editor", workspace=shop.workspace)
    client = Client()
    client.force_login(user)
    form = client.get(url("project_change", shop.pk)).context["adminform"].form
    values = {name: form[name].value() or "" for name in form.fields}
    client.post(url("project_change", shop.pk), {**values, "workspace": elsewhere.pk})
    shop.refresh_from_db()
    assert shop.workspace != elsewhere


@pytest.mark.parametrize("watched", [True, False])
def test_where_exceptions_need_two_nobody_takes_the_tag_away_by_which_a_policy_holds(
    shop: Project, watched: bool
) -> None:
    Project.objects.filter(pk=shop.pk).update(tags=["payments"])
    make_rule("No mail", tags=["payments"])
    ApprovalDemand.objects.update(subjects=["exception"] if watched else ["plan"])
    said = change_project(shop, "editor", {"workspace": shop.workspace}, {"tags": "web"})
    assert (shop.tags == ["payments"]) is watched
    assert ("the policy No mail would no longer hold" in said) is watched


@pytest.mark.parametrize("workspaces_own", [True, False])
def test_a_project_is_not_deleted_to_be_added_again_without_its_rules(shop: Project, workspaces_own: bool) -> None:
    if workspaces_own:
        ApprovalDemand.objects.update(workspace=shop.workspace)
    user = make_user("eve", staff=True)
    make_membership(user, "owner", workspace=shop.workspace)
    client = Client()
    client.force_login(user)
    answer = client.post(url("project_delete", shop.pk), {"post": "yes"}, follow=True)
    assert Project.objects.filter(pk=shop.pk).exists() is not workspaces_own
    refusal = "Only somebody who may change the approval rules can delete the project"
    assert (refusal in answer.content.decode()) is not workspaces_own
