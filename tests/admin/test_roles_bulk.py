"""Roles and what is done to many rows at once: own and foreign rows mixed, ticked or forged."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from connectors.models import Event, Project, SyncRun
from tests.factories import make_membership
from tests.teams import FOREIGN, Teams, browser_of, page, said, two_teams


@pytest.fixture
def teams(db: None) -> Teams:
    return two_teams()


@pytest.fixture
def mixed(teams: Teams) -> User:
    """Somebody who edits the shop, looks on in the CRM, and must not know of the bank."""
    make_membership(teams.single, "viewer", project=teams.crm)
    return teams.single


def act(user: User, model: str, action: str, *rows: Any) -> Any:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return browser_of(user).post(page(f"{model}_changelist"), data)


def synced() -> set[Project]:
    return {run.project for run in SyncRun.objects.select_related("project")}


def test_a_bulk_sync_reaches_only_projects_that_one_may_change_and_says_so(teams: Teams, mixed: User) -> None:
    answer = act(mixed, "project", "sync_now", teams.shop, teams.crm, teams.bank)
    assert synced() == {teams.shop}
    assert "1 project(s) queued" in said(answer)
    assert "1 project(s) were left out" in said(answer)


def test_a_bulk_sync_of_rows_that_one_may_only_see_is_forbidden(teams: Teams, mixed: User) -> None:
    assert act(mixed, "project", "sync_now", teams.crm).status_code == 403
    assert synced() == set()


def test_a_bulk_sync_of_foreign_rows_is_like_one_of_rows_that_are_gone(teams: Teams, mixed: User) -> None:
    answer = act(mixed, "project", "sync_now", teams.bank)
    assert "no longer here" in said(answer) or "No action" in said(answer)
    assert "left out" not in said(answer)
    assert synced() == set()


def test_ticking_everything_means_everything_that_one_may_see(teams: Teams) -> None:
    data = {"action": "sync_now", "_selected_action": [str(teams.shop.pk)], "select_across": "1"}
    browser_of(teams.owner).post(page("project_changelist"), data)
    assert synced() == {teams.shop, teams.crm}


def test_connectors_lead_to_those_of_their_projects_that_one_may_change(teams: Teams, mixed: User) -> None:
    rows = [project.connectors.get() for project in (teams.shop, teams.crm, teams.bank)]
    act(mixed, "connector", "sync_now", *rows)
    assert synced() == {teams.shop}


def test_the_plans_of_ticked_rows_are_those_that_one_may_change(teams: Teams, mixed: User) -> None:
    answer = act(mixed, "project", "show_plans", teams.shop, teams.crm, teams.bank)
    assert answer["Location"] == page("project_plan", teams.shop.pk)


def names_in(answer: Any) -> set[str]:
    raw = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return {name.split("/")[0] for name in zipfile.ZipFile(io.BytesIO(raw)).namelist()}


def test_an_archive_holds_the_projects_that_one_may_see(teams: Teams, mixed: User) -> None:
    answer = act(mixed, "project", "export_zip", teams.shop, teams.crm, teams.bank)
    assert names_in(answer) == {"shop", "crm"}


def test_foreign_ids_in_an_archives_address_are_like_ids_that_do_not_exist(teams: Teams, mixed: User) -> None:
    ids = {"ids": f"{teams.shop.pk},{teams.crm.pk},{teams.bank.pk}"}
    assert names_in(browser_of(mixed).post(page("project_export_many"), ids)) == {"shop", "crm"}
    assert browser_of(mixed).post(page("project_export_many"), {"ids": teams.bank.pk}).status_code == 404
    assert not Event.objects.filter(project=teams.bank, user=mixed).exists()


# --- The page of several plans --------------------------------------------------------------------------------------


def plans(teams: Teams) -> str:
    return f"{page('project_plan_many')}?ids={teams.shop.pk},{teams.crm.pk},{teams.bank.pk}"


def test_several_plans_are_shown_where_one_may_see_and_counted_where_one_may_apply(teams: Teams, mixed: User) -> None:
    answer = browser_of(mixed).get(plans(teams))
    assert [plan.project for plan in answer.context["plans"]] == [teams.shop, teams.crm]
    assert answer.context["allowed"] == [teams.shop]
    assert f"fingerprint-{teams.crm.pk}" not in said(answer)
    assert FOREIGN not in said(answer)


def test_several_plans_are_read_anew_only_where_one_may_change(teams: Teams, mixed: User) -> None:
    browser_of(mixed).post(plans(teams), {"action": "look"})
    assert synced() == {teams.shop}


def test_a_plan_among_several_that_one_may_only_see_is_not_applied(teams: Teams, mixed: User) -> None:
    Project.objects.update(synced_at=timezone.now())
    shown = {plan.project: plan.plan for plan in browser_of(teams.owner).get(plans(teams)).context["plans"]}
    forged = {f"fingerprint-{project.pk}": plan.fingerprint for project, plan in shown.items()}
    only = {"action": "apply", "only": str(teams.crm.pk), **forged}
    assert browser_of(mixed).post(plans(teams), only).status_code == 403
    assert synced() == set()


def test_looking_on_alone_is_not_enough_for_several_plans(teams: Teams) -> None:
    assert browser_of(teams.looker).get(plans(teams)).status_code == 200
    assert browser_of(teams.looker).post(plans(teams), {"action": "look"}).status_code == 403


# --- Importing several ----------------------------------------------------------------------------------------------


def archive(*slugs: str) -> SimpleUploadedFile:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as made:
        for slug in slugs:
            text = json.dumps({"type": "gmail", "scopes": ["mail.send"]})
            made.writestr(f"{slug}/base44/connectors/gmail.jsonc", text)
    return SimpleUploadedFile("all.zip", raw.getvalue(), "application/zip")


def test_an_archive_is_taken_over_where_one_may_change_and_shown_as_it_will_be(teams: Teams, mixed: User) -> None:
    browser, address = browser_of(mixed), page("project_import_many")
    shown = browser.post(address, {"files": archive("shop", "crm", "zebra-bank")})
    plan = next(match.plan for match in shown.context["matches"] if match.plan)
    forged = {f"fingerprint-{project.pk}": plan.plan.fingerprint for project in (teams.shop, teams.crm, teams.bank)}
    browser.post(address, {"action": "apply", "upload": shown.context["upload"], **forged})
    scopes = {project.slug: project.connectors.get().scopes for project in (teams.shop, teams.crm, teams.bank)}
    assert scopes == {"shop": ["mail.send"], "crm": ["mail.read"], "zebra-bank": ["mail.read"]}


def test_an_archive_tells_a_foreign_project_from_none_in_no_way(teams: Teams, mixed: User) -> None:
    uploads = archive("shop", "zebra-bank", "nothing-here")
    shown = browser_of(mixed).post(page("project_import_many"), {"files": uploads})
    said_of = {match.root: match.problem for match in shown.context["matches"]}
    assert said_of["zebra-bank"].replace("zebra-bank", "X") == said_of["nothing-here"].replace("nothing-here", "X")
    assert FOREIGN not in said(shown)
