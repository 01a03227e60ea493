"""Four eyes in the admin: asking where something is done, deciding on a page that shows the same, and who may."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.core.base44.emulator import Emulator
from connectors.flows.plan import stored_plan
from connectors.models import Approval, ApprovalDemand, Event, Project, SyncRun, Token
from tests.factories import (
    make_connector,
    make_demand,
    make_membership,
    make_oauth_client,
    make_placement,
    make_project,
    make_repository,
    make_token,
    make_user,
)
from tests.servers.token_endpoint import TokenServer

pytestmark = pytest.mark.django_db

State = Approval.State


def person(name: str, role: str, project: Project) -> tuple[User, Client]:
    user = make_user(name, staff=True)
    make_membership(user, role, project=project)
    client = Client()
    client.force_login(user)
    return user, client


@pytest.fixture
def shop(db: None) -> Project:
    """In production, where everything needs approval; its plan sets one connector."""
    make_demand("plan", "revoke", "export")
    project = make_project("shop", environment="production", synced_at=timezone.now(), stripe_mode="none")
    make_connector(project, "slackbot", ["chat:write"])
    return project


@pytest.fixture
def ann(shop: Project) -> Client:
    """Edits the shop."""
    return person("ann", "editor", shop)[1]


@pytest.fixture
def bob(shop: Project) -> Client:
    """Approves."""
    return person("bob", "approver", shop)[1]


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:connectors_{name}", args=args)


def plan_post(project: Project, **values: Any) -> dict[str, Any]:
    plan = stored_plan(project)
    assert plan is not None
    return {"action": "apply", "fingerprint": plan.fingerprint, **values}


def ask_plan(client: Client, project: Project) -> Approval:
    client.post(url("project_plan", project.pk), plan_post(project, ask="1", reason="The shop needs it."))
    return Approval.objects.get()


def approve(client: Client, row: Approval) -> None:
    client.post(url("approval_decide", row.pk), {"decision": "approve"})
    row.refresh_from_db()
    assert row.state == State.APPROVED


def test_a_plan_that_needs_approval_has_a_button_to_ask_and_none_to_apply(ann: Client, shop: Project) -> None:
    page = ann.get(url("project_plan", shop.pk)).content.decode()
    assert "Here another person has to approve it before anybody can apply this plan." in page
    assert "Ask for approval" in page
    assert "data-apply" not in page


def test_applying_without_approval_starts_nothing(ann: Client, shop: Project) -> None:
    page = ann.post(url("project_plan", shop.pk), plan_post(shop)).content.decode()
    assert "needs another person&#x27;s approval in Shop" in page
    assert not SyncRun.objects.exists()


def test_asking_without_a_reason_is_refused(ann: Client, shop: Project) -> None:
    page = ann.post(url("project_plan", shop.pk), plan_post(shop, ask="1", reason="")).content.decode()
    assert "Say why" in page
    assert not Approval.objects.exists()


def test_who_only_looks_cannot_ask(shop: Project) -> None:
    _, reader = person("rita", "auditor", shop)
    assert reader.post(url("project_plan", shop.pk), plan_post(shop, ask="1", reason="x")).status_code == 403


def test_a_plan_is_asked_for_approved_and_applied(ann: Client, bob: Client, shop: Project) -> None:
    row = ask_plan(ann, shop)
    assert "Waits for another person's approval: ann asked" in ann.get(url("project_plan", shop.pk)).content.decode()
    approve(bob, row)
    assert "(approved by bob)" in ann.get(url("project_plan", shop.pk)).content.decode()
    ann.post(url("project_plan", shop.pk), plan_post(shop))
    row.refresh_from_db()
    assert (SyncRun.objects.get().kind, row.state) == (SyncRun.Kind.APPLY, State.USED)


def test_the_approver_sees_the_same_plan_and_the_reason(ann: Client, bob: Client, shop: Project) -> None:
    row = ask_plan(ann, shop)
    page = bob.get(url("approval_change", row.pk)).content.decode()
    assert "chat:write" in page
    assert "Set scopes" in page
    assert "The shop needs it." in page


def test_the_page_says_what_has_changed_since(ann: Client, bob: Client, shop: Project) -> None:
    row = ask_plan(ann, shop)
    assert "What has changed" not in bob.get(url("approval_change", row.pk)).content.decode()
    shop.connectors.update(scopes=["chat:write", "users:read"])
    page = bob.get(url("approval_change", row.pk)).content.decode()
    assert "slackbot: set the scopes chat:write, users:read" in page
    assert "slackbot: set the scopes chat:write</del>" in page


def test_a_changed_plan_needs_a_new_approval(ann: Client, bob: Client, shop: Project) -> None:
    approve(bob, ask_plan(ann, shop))
    shop.connectors.update(scopes=["chat:write", "users:read"])
    ann.post(url("project_plan", shop.pk), plan_post(shop))
    assert not SyncRun.objects.exists()


def test_the_asker_is_told_that_somebody_else_decides(ann: Client, shop: Project) -> None:
    owner_user, owner = person("olga", "owner", shop)
    row = ask_plan(owner, shop)
    page = owner.get(url("approval_change", row.pk)).content.decode()
    assert "Somebody else has to decide on it." in page
    owner.post(url("approval_decide", row.pk), {"decision": "approve"})
    row.refresh_from_db()
    assert (row.state, row.asked_by) == (State.OPEN, owner_user)


def test_an_editor_gets_403_for_a_decision(ann: Client, shop: Project) -> None:
    row = ask_plan(ann, shop)
    _, other = person("ed", "editor", shop)
    assert other.post(url("approval_decide", row.pk), {"decision": "approve"}).status_code == 403


def test_an_approval_of_another_team_does_not_exist(ann: Client, shop: Project) -> None:
    row = ask_plan(ann, shop)
    _, outside = person("otto", "owner", make_project("other"))
    assert outside.get(url("approval_change", row.pk), follow=True).redirect_chain[-1][0] == reverse("admin:index")
    for name in ("approval_decide", "approval_withdraw"):
        assert outside.post(url(name, row.pk), {"decision": "approve"}).status_code == 404
    assert "Apply a plan to Shop" not in outside.get(url("approval_changelist")).content.decode()


@pytest.mark.parametrize("name", ["approval_decide", "approval_withdraw"])
def test_nothing_is_decided_by_a_get(ann: Client, bob: Client, shop: Project, name: str) -> None:
    row = ask_plan(ann, shop)
    assert bob.get(url(name, row.pk)).status_code == 405


def test_the_asker_takes_a_request_back(ann: Client, shop: Project) -> None:
    row = ask_plan(ann, shop)
    ann.post(url("approval_withdraw", row.pk))
    row.refresh_from_db()
    assert row.state == State.WITHDRAWN


def test_the_list_can_show_what_waits_for_me(ann: Client, bob: Client, shop: Project) -> None:
    ask_plan(ann, shop)
    for client, shows in ((bob, True), (ann, False)):
        page = client.get(url("approval_changelist"), {"waiting": "me"}).content.decode()
        assert ("Apply a plan to Shop" in page) is shows


def test_the_sidebar_counts_what_waits_for_the_decider(ann: Client, bob: Client, shop: Project) -> None:
    ask_plan(ann, shop)
    page = bob.get(url("approval_changelist")).content.decode()
    assert page.count("approval/") > 0
    assert Approval.objects.to_decide_by(User.objects.get(username="bob"), timezone.now()).count() == 1


def test_several_plans_leave_out_what_is_not_approved(ann: Client, shop: Project) -> None:
    other = make_project("blog", synced_at=timezone.now(), stripe_mode="none")
    make_connector(other, "slackbot", ["chat:write"])
    make_membership(User.objects.get(username="ann"), "editor", project=other)
    address = f"{url('project_plan_many')}?ids={shop.pk},{other.pk}"
    page = ann.get(address).content.decode()
    assert f"fingerprint-{other.pk}" in page
    assert f"fingerprint-{shop.pk}" not in page
    prints = {f"fingerprint-{p.pk}": plan_post(p)["fingerprint"] for p in (shop, other)}
    page = ann.post(address, {"action": "apply", **prints}).content.decode()
    assert [run.project for run in SyncRun.objects.all()] == [other]
    assert "needs another person&#x27;s approval in Shop" in page


def test_a_token_is_revoked_only_with_approval(ann: Client, bob: Client, shop: Project) -> None:
    token = make_token(shop.connectors.get())
    make_membership(User.objects.get(username="ann"), "owner", project=shop)
    address = url("token_revoke", token.pk)
    assert "needs another person&#x27;s approval in Shop" in ann.post(address, {"how": "forget"}).content.decode()
    ann.post(address, {"how": "forget", "ask": "1", "reason": "Gone."})
    approve(bob, Approval.objects.get())
    ann.post(address, {"how": "forget"})
    assert not Token.objects.exists()


def test_a_connector_with_a_live_token_is_not_deleted_without_approval(ann: Client, shop: Project) -> None:
    make_membership(User.objects.get(username="ann"), "owner", project=shop)
    token = make_token(shop.connectors.get())
    page = ann.post(url("connector_delete", token.connector_id), {"post": "yes"}, follow=True).content.decode()
    assert "needs another person&#x27;s approval in Shop" in page
    assert Token.objects.exists()


def test_files_are_downloaded_only_with_approval(ann: Client, bob: Client, shop: Project) -> None:
    address = url("project_export", shop.pk)
    page = ann.get(address).content.decode()
    assert "Download" not in page.replace("before anybody can download these files", "")
    assert ann.post(address)["Content-Type"].startswith("text/html")
    ann.post(address, {"ask": "1", "reason": "For the audit."})
    approve(bob, Approval.objects.get())
    answer = ann.post(address)
    assert zipfile.ZipFile(io.BytesIO(answer.content)).namelist() == ["base44/connectors/slackbot.jsonc"]
    assert ann.post(address)["Content-Type"].startswith("text/html")


def test_one_file_is_no_way_around_it(ann: Client, shop: Project) -> None:
    page = ann.post(url("project_export", shop.pk), {"file": "slackbot.jsonc"}).content.decode()
    assert "download all files together" in page


@pytest.mark.parametrize("way", ["action", "page"])
def test_a_zip_of_many_is_no_way_around_it(ann: Client, shop: Project, way: str) -> None:
    if way == "page":
        answer = ann.post(url("project_export_many"), {"ids": shop.pk}, follow=True)
    else:
        data = {"action": "export_zip", "_selected_action": [shop.pk]}
        answer = ann.post(url("project_changelist"), data, follow=True)
    assert "needs another person&#x27;s approval in Shop" in answer.content.decode()


def test_an_owner_adds_a_rule_for_their_workspace(project: Project) -> None:
    user = make_user("olga", staff=True)
    make_membership(user, "owner", workspace=project.workspace)
    client = Client()
    client.force_login(user)
    values = {"workspace": project.workspace_id, "environment": "staging", "subjects": ["plan", "export"]}
    client.post(url("approvaldemand_add"), values)
    row = ApprovalDemand.objects.get()
    assert (row.workspace, row.environment, row.subjects) == (project.workspace, "staging", ["plan", "export"])
    assert Event.objects.get(verb="approval_rule.added").after["subjects"] == ["export", "plan"]


def test_an_owner_of_one_workspace_makes_no_rule_for_others(project: Project) -> None:
    user = make_user("olga", staff=True)
    make_membership(user, "owner", workspace=project.workspace)
    client = Client()
    client.force_login(user)
    other = make_project("other").workspace_id
    for workspace in ("", other):
        client.post(url("approvaldemand_add"), {"workspace": workspace, "environment": "staging", "subjects": ["plan"]})
    assert not ApprovalDemand.objects.exists()


def test_a_second_rule_for_the_same_place_is_refused_in_words(browser: Client, shop: Project) -> None:
    answer = browser.post(url("approvaldemand_add"), {"environment": "production", "subjects": ["plan"]})
    assert "There is a rule for this environment here already" in answer.content.decode()


def test_a_rule_is_changed_and_deleted_on_record(browser: Client, shop: Project) -> None:
    row = ApprovalDemand.objects.get()
    page = browser.get(url("approvaldemand_change", row.pk))
    version = page.context["adminform"].form["version"].value()
    browser.post(
        url("approvaldemand_change", row.pk), {"environment": "production", "subjects": ["plan"], "version": version}
    )
    browser.post(url("approvaldemand_delete", row.pk), {"post": "yes"})
    verbs = list(Event.objects.filter(verb__startswith="approval_rule").order_by("pk").values_list("verb", flat=True))
    assert (verbs, ApprovalDemand.objects.count()) == (["approval_rule.changed", "approval_rule.deleted"], 0)


@pytest.mark.parametrize("demanded", [True, False])
def test_consent_is_no_way_around_the_plan(base44: Emulator, live_project: Project, demanded: bool) -> None:
    make_demand("plan", environment=live_project.environment if demanded else "production")
    connector = make_connector(live_project, "slackbot", ["chat:write"])
    _, client = person("ann", "editor", live_project)
    client.post(url("connector_authorise", connector.pk), {"action": "start"})
    assert any(method == "PUT" for method, _ in base44.requests) is not demanded


def test_the_reason_is_on_record(ann: Client, shop: Project) -> None:
    ask_plan(ann, shop)
    event = Event.objects.get(verb="approval.asked")
    assert (event.reason, event.project, event.actor_label) == ("The shop needs it.", shop, "ann")


def test_who_leaves_loses_no_token_without_approval(ann: Client, bob: Client, shop: Project, idp: TokenServer) -> None:
    make_membership(User.objects.get(username="ann"), "owner", workspace=shop.workspace)
    oauth_client = make_oauth_client(settings={"revoke_url": f"{idp.url}/revoke", "issuer": idp.url})
    token = make_token(shop.connectors.get(), oauth_client=oauth_client, authorised_by_label="leaver")
    address = f"{url('ledgerentry_person')}?name=leaver"
    data = {f"do-portal-{token.connector_id}": "revoke", "step": "do", "shown": token.pk}
    assert "needs another person&#x27;s approval in Shop" in ann.post(address, data).content.decode()
    ann.post(address, {**data, "ask": "1", "reason": "They leave."})
    approve(bob, Approval.objects.get())
    assert "Approved by bob" in ann.post(address, {**data, "step": ""}).content.decode()
    ann.post(address, data)
    token.refresh_from_db()
    assert token.state == Token.State.REVOKED


def test_the_page_of_a_repositorys_export_says_what_is_held_back(ann: Client, shop: Project) -> None:
    placement = make_placement(shop, make_repository())
    make_membership(User.objects.get(username="ann"), "owner", workspace=shop.workspace)
    page = ann.get(url("repository_export", placement.repository_id)).content.decode()
    assert "Here another person has to approve it first: Shop." in page
