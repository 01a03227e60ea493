"""Wherever scopes are changed, a rule stops what is added against it, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.core.base44.client import Base44Client
from connectors.core.base44.emulator import Emulator
from connectors.core.config_files import ProjectFiles, locate_project
from connectors.core.errors import Refused
from connectors.core.plan import Plan
from connectors.core.policy import PolicyRefused
from connectors.flows import apply, consent, ledger, plan, policies, pull
from connectors.flows.authorise import refuse_hopeless
from connectors.flows.declare import declare, undeclare
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import plan_import
from connectors.models import Connector, PolicyRule, Project, SyncRun, SyncStep
from tests.factories import SHELL, make_connector, make_exception, make_oauth_client, make_rule, make_token

from .conftest import APP

pytestmark = pytest.mark.django_db

READ, SEND = "https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"
DRIVE = "https://www.googleapis.com/auth/drive"


@pytest.fixture
def rule(db: None) -> PolicyRule:
    """Nobody adds gmail.send or Slack's users:read without an exception."""
    return make_rule(
        "No sending", effect="approval", explanation="Use the mail service.", scope_patterns=[SEND, "users:read"]
    )


def test_a_declaration_that_breaks_a_rule_is_refused_and_says_which(project: Project, rule: PolicyRule) -> None:
    with pytest.raises(
        PolicyRefused, match=r"“No sending” says so\. Use the mail service\. Ask for an exception"
    ) as got:
        declare(project, "gmail", [READ, SEND], {}, SHELL)
    assert got.value.findings[0].scopes == (SEND,)
    assert not Connector.objects.exists()


def test_the_same_declaration_passes_once_an_exception_is_granted(project: Project, rule: PolicyRule) -> None:
    make_exception(rule, project, type_slug="gmail", scope=SEND)
    assert declare(project, "gmail", [READ, SEND], {}, SHELL).scopes == [READ, SEND]


@pytest.mark.parametrize("state", ["requested", "declined", "withdrawn", "ended"])
def test_an_exception_that_is_not_granted_helps_nobody(project: Project, rule: PolicyRule, state: str) -> None:
    make_exception(rule, project, state=state)
    with pytest.raises(PolicyRefused):
        declare(project, "gmail", [SEND], {}, SHELL)


def test_what_is_there_already_can_stay_and_be_narrowed(project: Project) -> None:
    declare(project, "gmail", [SEND, READ], {}, SHELL)
    make_rule(scope_patterns=["*"])
    declare(project, "gmail", [READ, SEND], {}, SHELL)
    declare(project, "gmail", [SEND], {}, SHELL)
    declare(project, "gmail", [], {}, SHELL)
    undeclare(Connector.objects.get(), SHELL)


def test_adding_beside_what_broke_a_rule_before_is_refused_for_the_new_alone(project: Project) -> None:
    declare(project, "gmail", [READ], {}, SHELL)
    make_rule(types=["gmail"])
    with pytest.raises(PolicyRefused) as got:
        declare(project, "gmail", [READ, SEND], {}, SHELL)
    assert got.value.findings[0].scopes == (SEND,)


def test_another_spelling_of_what_is_there_adds_nothing(project: Project) -> None:
    declare(project, "gmail", ["email"], {}, SHELL)
    make_rule(scope_patterns=["*"])
    assert declare(project, "gmail", ["https://www.googleapis.com/auth/userinfo.email"], {}, SHELL)


def test_a_forbidden_pair_is_refused_whichever_comes_second(project: Project) -> None:
    make_rule("Apart", scope_patterns=[SEND], never_with=[DRIVE])
    declare(project, "gmail", [SEND], {}, SHELL)
    with pytest.raises(PolicyRefused, match="the same project has"):
        declare(project, "googledrive", [DRIVE], {}, SHELL)


def test_a_rule_that_warns_stops_nobody(project: Project) -> None:
    make_rule("Careful", effect="warn", scope_patterns=[SEND])
    said = policies.refuse_broken(project, "gmail", [SEND])
    assert said == [f"gmail: {SEND} should not be here: the policy names it. The policy “Careful” says so."]
    declare(project, "gmail", [SEND], {}, SHELL)


def test_a_rule_that_is_off_stops_nobody(project: Project, rule: PolicyRule) -> None:
    PolicyRule.objects.update(is_enabled=False)
    declare(project, "gmail", [SEND], {}, SHELL)


def test_check_tells_what_would_count(project: Project, rule: PolicyRule) -> None:
    (finding,) = policies.check(project, {"gmail": [READ, SEND]})
    assert (finding.rule.key, finding.scopes) == (rule.pk, (SEND,))


def files(tmp_path: Path, **scopes: list[str]) -> ProjectFiles:
    directory = tmp_path / "base44" / "connectors"
    directory.mkdir(parents=True)
    for name, wanted in scopes.items():
        (directory / f"{name}.jsonc").write_text(json.dumps({"type": name, "scopes": wanted}))
    return locate_project(tmp_path)


def test_an_import_shows_what_a_rule_stops_and_takes_nothing(
    project: Project, rule: PolicyRule, tmp_path: Path
) -> None:
    plan_ = plan_import(project, files(tmp_path, gmail=[SEND], slackbot=["chat:write"]))
    (note,) = next(change.policy for change in plan_.changes if change.type == "gmail")
    assert plan_.stopped
    assert (note.rule, note.verdict, note.asked_scope) == (rule.pk, "approval", SEND)
    with pytest.raises(PolicyRefused):
        apply_import(plan_, SHELL)
    assert not Connector.objects.exists()


def test_an_import_of_what_is_declared_already_passes(project: Project, tmp_path: Path) -> None:
    declare(project, "gmail", [SEND], {}, SHELL)
    make_rule(scope_patterns=["*"])
    plan_ = plan_import(project, files(tmp_path, gmail=[SEND]))
    assert not plan_.stopped
    assert apply_import(plan_, SHELL).state == SyncRun.State.DONE


def test_a_rule_switched_on_since_the_import_was_shown_stops_it(project: Project, tmp_path: Path) -> None:
    plan_ = plan_import(project, files(tmp_path, gmail=[SEND]))
    make_rule(scope_patterns=[SEND])
    with pytest.raises(PolicyRefused):
        apply_import(plan_, SHELL)


@pytest.fixture
def declared(live_project: Project) -> Project:
    """Two connectors that Base44 does not have yet; a rule will be about the first."""
    make_connector(live_project, "slackbot", ["users:read"])
    make_connector(live_project, "gmail", [READ])
    return live_project


def shown(project: Project, client: Base44Client) -> Plan:
    return plan.show_plan(project, client, SHELL)


def test_a_plan_says_what_a_rule_stops_and_applies_the_rest(
    declared: Project, client: Base44Client, rule: PolicyRule, base44: Emulator
) -> None:
    shown_plan = shown(declared, client)
    (stopped,) = shown_plan.problems
    assert (stopped.type, stopped.policy[0].rule) == ("slackbot", rule.pk)
    run = apply.apply_now(declared, shown_plan, (), client, SHELL)
    states = dict(run.steps.values_list("type", "state"))
    assert states == {"slackbot": SyncStep.State.FAILED, "gmail": SyncStep.State.CONSENT}
    assert not any(method == "PUT" and "slackbot" in path for method, path in base44.requests)


def test_a_plan_that_rules_stop_altogether_is_refused(
    live_project: Project, client: Base44Client, rule: PolicyRule
) -> None:
    make_connector(live_project, "slackbot", ["users:read"])
    with pytest.raises(Refused, match="No sending"):
        apply.queue_apply(live_project, shown(live_project, client), (), SHELL)


def test_after_a_grant_the_same_plan_is_applied(declared: Project, client: Base44Client, rule: PolicyRule) -> None:
    make_exception(rule, declared)
    shown_plan = shown(declared, client)
    assert not shown_plan.problems
    assert [note.verdict for action in shown_plan.actions for note in action.policy] == ["excepted"]


def test_narrowing_at_base44_is_never_stopped(live_project: Project, client: Base44Client, base44: Emulator) -> None:
    base44.register(APP, "slackbot", ["chat:write", "users:read"])
    make_connector(live_project, "slackbot", ["users:read"])
    make_rule(scope_patterns=["*"])
    assert not shown(live_project, client).problems


def test_a_rule_switched_on_since_the_plan_was_shown_makes_it_stale(declared: Project, client: Base44Client) -> None:
    shown_plan = shown(declared, client)
    make_rule(scope_patterns=["users:read"])
    assert apply.apply_now(declared, shown_plan, (), client, SHELL).state == SyncRun.State.REFUSED


def test_plans_of_many_projects_say_the_same(declared: Project, client: Base44Client, rule: PolicyRule) -> None:
    alone = shown(declared, client)
    declared.refresh_from_db()
    assert plan.stored_plans([declared]) == {declared.pk: alone}
    assert Plan.from_json(alone.as_json()) == alone


def test_what_base44_has_against_a_rule_is_not_taken_in(
    live_project: Project, client: Base44Client, base44: Emulator, rule: PolicyRule
) -> None:
    base44.register(APP, "slackbot", ["chat:write", "users:read"])
    make_connector(live_project, "slackbot", ["chat:write"])
    changes = pull.show_pull(live_project, client, SHELL)
    assert [note.verdict for note in pull.policy_notes(live_project, changes)["slackbot"]] == ["approval"]
    with pytest.raises(PolicyRefused):
        pull.accept_pull(live_project, changes, None, SHELL)
    assert live_project.connectors.get().scopes == ["chat:write"]


def test_consent_is_not_asked_for_what_base44_lacks_against_a_rule(
    declared: Project, client: Base44Client, rule: PolicyRule, base44: Emulator
) -> None:
    with pytest.raises(PolicyRefused):
        consent.ask_consent(declared.connectors.get(integration_type="slackbot"), client, SHELL)
    assert not any(method == "PUT" for method, _ in base44.requests)


def test_consent_for_what_base44_has_already_can_be_renewed(live_project: Project, client: Base44Client) -> None:
    connector = make_connector(live_project, "slackbot", ["users:read"], registered=["users:read"])
    make_rule(scope_patterns=["users:read"])
    assert consent.ask_consent(connector, client, SHELL) is not None


def test_nobody_leaves_for_a_provider_with_what_a_rule_stops(project: Project) -> None:
    connector, oauth_client = make_connector(project, "gmail", [SEND]), make_oauth_client()
    ledger.note([connector.pk], SHELL, "connector.declared")
    refuse_hopeless(connector, oauth_client)
    rule = make_rule(scope_patterns=[SEND])
    with pytest.raises(PolicyRefused):
        refuse_hopeless(connector, oauth_client)
    make_exception(rule, project)
    refuse_hopeless(connector, oauth_client)


def test_a_token_that_has_the_scopes_already_can_be_renewed(project: Project) -> None:
    connector, oauth_client = make_connector(project, "gmail", [SEND]), make_oauth_client()
    make_token(connector, oauth_client=oauth_client, granted_scopes=[SEND])
    make_rule(scope_patterns=[SEND])
    refuse_hopeless(connector, oauth_client)
