"""Every door to what needs approval: plans, the end of tokens, files, repositories, exceptions, shell and schedules."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from connectors.core.actor import SCHEDULER
from connectors.core.base44.client import Base44Client
from connectors.core.base44.emulator import Emulator
from connectors.core.errors import Refused
from connectors.flows import apply
from connectors.flows.approval_decisions import decide
from connectors.flows.approval_matters import ending_matters, files_matter, plan_matter
from connectors.flows.approvals import ApprovalNeeded
from connectors.flows.declare import declare, undeclare
from connectors.flows.export_files import export_all, export_to_directory, export_zip, hand_out_file, plan_zip
from connectors.flows.forget import forget_project
from connectors.flows.plan import show_plan
from connectors.flows.policy_exceptions import Wish, decide_exception, request_exception
from connectors.flows.repository_runs import ask_export
from connectors.flows.repository_runs import run as run_repository
from connectors.flows.revoke import forget_token, revoke_tokens
from connectors.models import Approval, Event, Placement, Project, RepositoryRun, SyncRun, Token
from connectors.models.approval import Subject
from tests.factories import (
    SHELL,
    make_connector,
    make_demand,
    make_membership,
    make_oauth_client,
    make_placement,
    make_project,
    make_repository,
    make_rule,
    make_token,
)
from tests.flows.approving import actor, approve, approved, member
from tests.servers.git_repos import RepoMaker
from tests.servers.token_endpoint import TokenServer

from .conftest import APP

pytestmark = pytest.mark.django_db

State = Approval.State


@pytest.fixture
def shop(db: None) -> Project:
    """In production, where everything needs approval; it declares one connector."""
    make_demand(*Subject.values)
    project = make_project("shop", environment="production")
    make_connector(project, "slack", ["chat:write"])
    return project


@pytest.fixture
def ann(shop: Project) -> User:
    return member("ann", "owner", shop)


@pytest.fixture
def bob(shop: Project) -> User:
    return member("bob", "approver", shop)


# --- Plans --------------------------------------------------------------------------------------------------------


@pytest.fixture
def live(live_project: Project) -> Project:
    """A project at the emulator whose plans need approval."""
    make_demand("plan", environment=live_project.environment)
    make_connector(live_project, "slackbot", ["chat:write"])
    return live_project


def test_the_shell_applies_no_plan_alone(base44: Emulator, live: Project, client: Base44Client) -> None:
    with pytest.raises(ApprovalNeeded):
        apply.apply_now(live, show_plan(live, client, SHELL), [], client, SHELL)
    assert not SyncRun.objects.filter(kind=SyncRun.Kind.APPLY).exists()
    assert not any(method == "PUT" for method, _ in base44.requests)


def test_an_approved_plan_is_applied_and_its_event_names_the_approval(live: Project, client: Base44Client) -> None:
    plan = show_plan(live, client, SHELL)
    row = apply.ask_to_apply(live, plan, [], SHELL, "Because.")
    approve(row, member("bob", "approver", live))
    assert apply.apply_now(live, plan, [], client, SHELL).state == SyncRun.State.DONE
    assert Event.objects.get(verb="plan.applied").after["approval"] == row.pk


def test_other_removals_make_another_plan(base44: Emulator, live: Project, client: Base44Client) -> None:
    base44.register(APP, "linear", ["write"])
    plan = show_plan(live, client, SHELL)
    approve(apply.ask_to_apply(live, plan, [], SHELL, "Because."), member("bob", "approver", live))
    with pytest.raises(ApprovalNeeded):
        apply.queue_apply(live, plan, ["linear"], SHELL)


def test_an_approval_survives_an_apply_that_could_not_be_queued(live: Project, client: Base44Client) -> None:
    plan = show_plan(live, client, SHELL)
    row = approve(apply.ask_to_apply(live, plan, [], SHELL, "Because."), member("bob", "approver", live))
    SyncRun.objects.create(project=live, kind=SyncRun.Kind.APPLY, actor_label="x", dispatched_at=timezone.now())
    with pytest.raises(Refused, match="being applied"):
        apply.queue_apply(live, plan, [], SHELL)
    row.refresh_from_db()
    assert row.state == State.APPROVED


def test_a_wider_plan_is_not_what_was_approved(live: Project, client: Base44Client) -> None:
    approve(
        apply.ask_to_apply(live, show_plan(live, client, SHELL), [], SHELL, "Why."), member("bob", "approver", live)
    )
    declare(live, "slackbot", ["chat:write", "users:read"], {}, SHELL)
    with pytest.raises(ApprovalNeeded):
        apply.queue_apply(live, show_plan(live, client, SHELL), [], SHELL)


def test_a_plan_is_another_when_base44_has_changed(base44: Emulator, live: Project, client: Base44Client) -> None:
    before = plan_matter(live, show_plan(live, client, SHELL), []).fingerprint
    base44.register(APP, "slackbot", ["users:read"])
    assert plan_matter(live, show_plan(live, client, SHELL), []).fingerprint != before


# --- Tokens -------------------------------------------------------------------------------------------------------


@pytest.fixture
def token(shop: Project, idp: TokenServer) -> Token:
    """A live token that its provider can end."""
    client = make_oauth_client(settings={"revoke_url": f"{idp.url}/revoke", "issuer": idp.url})
    return make_token(make_connector(shop, "gmail"), oauth_client=client, account_id="a-1")


def test_no_token_is_revoked_or_forgotten_alone(token: Token, ann: User) -> None:
    for end in (lambda: revoke_tokens([token], actor(ann)), lambda: forget_token(token, actor(ann))):
        with pytest.raises(ApprovalNeeded):
            end()
    token.refresh_from_db()
    assert token.state == Token.State.FRESH


def test_a_token_is_free_again_when_forgetting_it_was_refused(token: Token, ann: User, bob: User) -> None:
    with pytest.raises(ApprovalNeeded):
        forget_token(token, actor(ann))
    approved(ending_matters([token], "forget")[0], ann, bob)
    forget_token(token, actor(ann))
    assert not Token.objects.exists()


def test_an_approved_token_is_revoked(token: Token, ann: User, bob: User) -> None:
    approved(ending_matters([token], "revoke")[0], ann, bob)
    (outcome,) = revoke_tokens([token], actor(ann))
    assert outcome.ended


def test_leave_to_forget_a_token_is_none_to_revoke_it(token: Token, ann: User, bob: User) -> None:
    approved(ending_matters([token], "forget")[0], ann, bob)
    with pytest.raises(ApprovalNeeded):
        revoke_tokens([token], actor(ann))


def test_tokens_of_two_projects_need_the_approval_of_both(token: Token, ann: User, bob: User) -> None:
    other = make_token(
        make_connector(make_project("blog", environment="production"), "gmail"), oauth_client=token.oauth_client
    )
    approved(ending_matters([token, other], "revoke")[0], ann, bob)
    with pytest.raises(ApprovalNeeded, match="in Blog"):
        revoke_tokens([token, other], actor(ann))


def test_a_connector_or_project_takes_no_live_token_with_it(token: Token, ann: User) -> None:
    with pytest.raises(ApprovalNeeded):
        undeclare(token.connector, actor(ann))
    with pytest.raises(ApprovalNeeded):
        forget_project(token.connector.project, actor(ann))
    assert Token.objects.exists()


def test_a_token_that_has_ended_needs_nobody(token: Token, ann: User) -> None:
    Token.objects.update(state=Token.State.REVOKED)
    undeclare(token.connector, actor(ann))
    assert not Token.objects.exists()


# --- Files --------------------------------------------------------------------------------------------------------


def test_no_file_of_production_leaves_alone(shop: Project, tmp_path: Path) -> None:
    with pytest.raises(ApprovalNeeded):
        export_zip([shop], SHELL)
    with pytest.raises(ApprovalNeeded):
        export_to_directory(shop, tmp_path, SHELL)
    with pytest.raises(Refused, match="download all files together"):
        hand_out_file(shop, "slack.jsonc", SHELL)
    assert list(tmp_path.rglob("*.jsonc")) == []
    assert not Event.objects.filter(verb="project.exported").exists()


def test_in_an_export_of_all_the_others_go_on(shop: Project, tmp_path: Path) -> None:
    blog = make_project("blog")
    make_connector(blog, "slack", ["chat:write"])
    results = {result.project: result for result in export_all([shop, blog], tmp_path, SHELL)}
    assert "needs another person's approval" in results[shop].problem
    assert [path.parts[-4] for path in tmp_path.rglob("*.jsonc")] == ["blog"]


def test_a_check_of_files_needs_nobody(shop: Project, tmp_path: Path) -> None:
    assert export_to_directory(shop, tmp_path, SHELL, check=True).differs


def test_the_approved_bytes_are_handed_out_once(shop: Project, ann: User, bob: User) -> None:
    approved(files_matter(shop, plan_zip([shop])[0].changes), ann, bob)
    assert export_zip([shop], actor(ann))
    with pytest.raises(ApprovalNeeded):
        export_zip([shop], actor(ann))


# --- Repositories -------------------------------------------------------------------------------------------------


@pytest.fixture
def repo(disk_repo: RepoMaker) -> RepoMaker:
    disk_repo.commit({"README.md": "# Apps\n"})
    return disk_repo


@pytest.fixture
def placed(shop: Project, repo: RepoMaker) -> Placement:
    """The shop in a repository, with a project of development beside it that has something to write."""
    repository = make_repository("Apps", url=repo.url)
    blog = make_project("blog")
    make_connector(blog, "notion", ["read"])
    make_placement(blog, repository, path="apps/blog")
    return make_placement(shop, repository, path="apps/shop")


def exported(placement: Placement) -> RepositoryRun:
    """What the schedule's export comes to."""
    row = ask_export(placement.repository, SCHEDULER, "Asked for by the repository's schedule.")
    run_repository(row.pk)
    row.refresh_from_db()
    return row


SHOP = "apps/shop/base44/connectors/slack.jsonc"


def test_a_schedule_writes_the_rest_and_asks_once(placed: Placement, repo: RepoMaker) -> None:
    assert exported(placed).state == RepositoryRun.State.PARTIAL
    assert repo.changed(repo.head()) == ["apps/blog/base44/connectors/notion.jsonc"]
    assert exported(placed).state == RepositoryRun.State.REFUSED
    row = Approval.objects.get()
    assert (row.asked_by, row.asked_by_label, row.project) == (None, "scheduler", placed.project)


def test_what_was_approved_is_exported_by_itself(placed: Placement, repo: RepoMaker, bob: User) -> None:
    exported(placed)
    approve(Approval.objects.get(), bob)
    waiting = RepositoryRun.objects.get(state=RepositoryRun.State.QUEUED)
    run_repository(waiting.pk)
    waiting.refresh_from_db()
    assert (waiting.state, repo.changed(repo.head())) == (RepositoryRun.State.DONE, [SHOP])
    assert Approval.objects.get().state == State.USED


def test_who_declared_what_a_schedule_exports_does_not_approve_it(placed: Placement, ann: User, bob: User) -> None:
    declare(placed.project, "slack", ["chat:write", "channels:read"], {}, actor(ann))
    exported(placed)
    asked = Approval.objects.get(state=State.OPEN)
    assert asked.asked_by is None
    with pytest.raises(Refused, match="what you changed yourself"):
        approve(asked, ann)
    assert approve(asked, bob).state == State.APPROVED


def test_content_that_changed_after_the_approval_is_asked_for_anew(placed: Placement, bob: User) -> None:
    exported(placed)
    approve(Approval.objects.get(), bob)
    declare(placed.project, "slack", ["chat:write", "im:read"], {}, SHELL)
    run_repository(RepositoryRun.objects.get(state=RepositoryRun.State.QUEUED).pk)
    assert list(Approval.objects.order_by("pk").values_list("state", flat=True)) == [State.APPROVED, State.OPEN]


def test_what_was_declined_is_not_asked_for_by_itself_again(placed: Placement, bob: User) -> None:
    exported(placed)
    decide(Approval.objects.get(), bob, actor(bob), approve=False, note="Not now.")
    assert "was declined" in exported(placed).message
    assert Approval.objects.count() == 1


# --- Exceptions ---------------------------------------------------------------------------------------------------


def test_where_exceptions_need_approval_changing_policies_is_not_enough(shop: Project, ann: User) -> None:
    rule = make_rule("No sending", scope_patterns=["chat:write"])
    wish = Wish(rule, shop, "For a while.", ann, timezone.now() + dt.timedelta(days=3))
    row = request_exception(wish, actor(ann))
    ruler = member("rolf", "editor", shop)
    make_membership(ruler, "owner", workspace=make_project().workspace)
    with pytest.raises(Refused, match="grant and decline"):
        decide_exception(row, ruler, actor(ruler), grant=True)
