"""Where rules are broken now: findings and the ledger's marks follow the rows, at a fixed cost."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.core.errors import Refused
from connectors.flows import ledger, policies
from connectors.flows.declare import declare, undeclare
from connectors.flows.policy_exceptions import expire
from connectors.flows.policy_rules import delete_rule, rehearse, save_rule, switch_rule
from connectors.models import (
    CatalogueScope,
    Connector,
    Event,
    LedgerEntry,
    PolicyException,
    PolicyFinding,
    PolicyRule,
    Project,
)
from tests.factories import SHELL, make_connector, make_exception, make_fleet, make_project, make_rule, make_token

pytestmark = pytest.mark.django_db

READ, SEND = "https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"
FULL = "https://mail.google.com/"
DRIVE = "https://www.googleapis.com/auth/drive"


@pytest.fixture
def shop(db: None) -> Project:
    return make_project("shop", environment="production", tags=["payments"])


def mail(project: Project, *scopes: str, **values: object) -> Connector:
    """A gmail connector with its ledger entries."""
    connector = make_connector(project, "gmail", scopes, **values)  # type: ignore[arg-type]
    ledger.note([connector.pk], SHELL, "connector.declared")
    return connector


def marks(project: Project) -> dict[str, str]:
    return dict(LedgerEntry.objects.filter(project=project).values_list("scope", "policy"))


def test_a_broken_rule_is_found_when_a_connector_changes(shop: Project) -> None:
    rule = make_rule("No sending", scope_patterns=[SEND])
    declare(shop, "gmail", [READ], {}, SHELL)
    rule.effect = "warn"
    rule.save()
    connector = declare(shop, "gmail", [READ, SEND], {}, SHELL)
    finding = PolicyFinding.objects.get()
    assert (finding.rule, finding.connector, finding.scopes) == (rule, connector, [SEND])
    assert marks(shop) == {READ: "", SEND: "warn"}


def test_the_finding_goes_with_what_broke_the_rule(shop: Project) -> None:
    connector = mail(shop, SEND)
    make_rule(scope_patterns=[SEND])
    policies.recheck([shop.pk])
    assert PolicyFinding.objects.exists()
    undeclare(connector, SHELL)
    assert not PolicyFinding.objects.exists()


def test_a_finding_keeps_the_time_since_when_it_is_one(shop: Project) -> None:
    mail(shop, SEND)
    make_rule(scope_patterns=["*gmail*"])
    policies.recheck([shop.pk], now=timezone.now() - dt.timedelta(days=3))
    before = PolicyFinding.objects.get()
    declare(shop, "gmail", [SEND], {}, SHELL)
    Connector.objects.update(scopes=[SEND, READ])
    ledger.note(Connector.objects.values_list("pk", flat=True), SHELL, "connector.changed")
    after = PolicyFinding.objects.get()
    assert (after.pk, after.since) == (before.pk, before.since)
    assert len(after.scopes) == 2


def test_the_teams_word_on_sensitivity_counts(shop: Project) -> None:
    make_rule(min_sensitivity=3)
    CatalogueScope.objects.update_or_create(provider="google", name=READ, defaults={"team_sensitivity": 3})
    mail(shop, READ)
    assert marks(shop) == {READ: "block"}


def test_the_projects_own_environment_and_tags_count(shop: Project) -> None:
    mail(shop, SEND)
    make_rule(environments=["production"], tags=["payments"])
    policies.recheck([shop.pk])
    assert marks(shop) == {SEND: "block"}
    Project.objects.filter(pk=shop.pk).update(tags=[])
    policies.recheck([shop.pk])
    assert marks(shop) == {SEND: ""}


def test_a_broader_scope_breaks_the_rule_about_the_narrower(shop: Project) -> None:
    make_rule(scope_patterns=[SEND])
    mail(shop, FULL)
    assert marks(shop) == {FULL: "block"}
    assert f"includes {SEND}" in PolicyFinding.objects.get().sentence


def test_a_rule_about_another_spelling_means_the_same_scope(shop: Project) -> None:
    make_rule(scope_patterns=["email"])
    mail(shop, "https://www.googleapis.com/auth/userinfo.email")
    assert set(marks(shop).values()) == {"block"}


def test_forbidden_pairs_are_looked_for_in_the_whole_project(shop: Project) -> None:
    make_rule(scope_patterns=[SEND], never_with=[DRIVE])
    mail(shop, SEND)
    assert marks(shop) == {SEND: ""}
    other = make_connector(shop, "googledrive", [DRIVE])
    ledger.note([other.pk], SHELL, "connector.declared")
    assert marks(shop) == {SEND: "block", DRIVE: ""}


def test_a_pair_in_two_projects_is_none(shop: Project) -> None:
    make_rule(scope_patterns=[SEND], never_with=[DRIVE])
    other = make_connector(make_project(), "googledrive", [DRIVE])
    ledger.note([other.pk], SHELL, "connector.declared")
    mail(shop, SEND)
    assert not PolicyFinding.objects.exists()


def test_only_accounts_of_other_domains_break_a_rule_about_accounts(shop: Project) -> None:
    make_rule(account_domains=["acme.com"])
    connector = mail(shop, SEND)
    assert marks(shop) == {SEND: ""}
    for account, mark in (("ann@acme.com", ""), ("eve@evil.net", "block")):
        Connector.objects.filter(pk=connector.pk).update(registered_account=account)
        ledger.note([connector.pk], SHELL, "project.observed")
        assert marks(shop) == {SEND: mark}


def test_a_connector_without_scopes_can_break_a_rule_about_its_type(shop: Project) -> None:
    make_rule(types=["notion"])
    connector = make_connector(shop, "notion")
    ledger.note([connector.pk], SHELL, "connector.declared")
    finding = PolicyFinding.objects.get()
    assert (finding.scopes, finding.sentence) == ([], "This connector is forbidden: the type is notion.")


def test_an_exception_covers_until_it_is_over(shop: Project) -> None:
    rule, now = make_rule(scope_patterns=[SEND]), timezone.now()
    row = make_exception(rule, shop, expires_at=now + dt.timedelta(hours=1))
    mail(shop, SEND)
    assert marks(shop) == {SEND: "excepted"}
    assert PolicyFinding.objects.get().exception == row
    assert expire(now + dt.timedelta(hours=2)) == 1
    row.refresh_from_db()
    assert row.state == PolicyException.State.ENDED
    assert marks(shop) == {SEND: "block"}
    assert PolicyFinding.objects.counting().count() == 1


def test_what_an_exception_does_not_cover_still_counts(shop: Project) -> None:
    rule = make_rule(scope_patterns=["*gmail*"])
    make_exception(rule, shop, scope=READ)
    mail(shop, READ, SEND)
    assert marks(shop) == {READ: "excepted", SEND: "block"}
    finding = PolicyFinding.objects.get()
    assert (finding.scopes, finding.exception) == ([SEND], None)


def test_the_gravest_of_several_rules_is_marked(shop: Project) -> None:
    make_rule(effect="warn", scope_patterns=[SEND])
    make_rule(effect="approval", environments=["production"])
    mail(shop, SEND)
    assert marks(shop) == {SEND: "approval"}
    assert PolicyFinding.objects.count() == 2


def test_a_rule_that_is_off_finds_nothing_and_clears_what_it_found(shop: Project) -> None:
    rule = make_rule(scope_patterns=[SEND])
    mail(shop, SEND)
    switch_rule(rule, SHELL, on=False)
    policies.recheck_all()
    assert not PolicyFinding.objects.exists()
    assert marks(shop) == {SEND: ""}


def test_without_rules_a_recheck_costs_two_queries(shop: Project) -> None:
    mail(shop, SEND)
    with CaptureQueriesContext(connection) as captured:
        policies.recheck([shop.pk])
    assert len(captured) == 2


def queries_of(projects: list[Project]) -> int:
    PolicyFinding.objects.all().delete()
    with CaptureQueriesContext(connection) as captured:
        policies.recheck([project.pk for project in projects])
    return len(captured)


def test_the_cost_does_not_grow_with_the_projects(shop: Project) -> None:
    fleet = make_fleet(12, 3)
    ledger.note(Connector.objects.values_list("pk", flat=True), SHELL, "connector.declared")
    make_rule(scope_patterns=["b:*"])
    make_rule(scope_patterns=["*"], never_with=["a:read"])
    assert queries_of(fleet[:2]) == queries_of(fleet[2:]) <= 12
    assert PolicyFinding.objects.count() == 60


def test_a_rehearsal_tells_what_a_rule_would_find_and_writes_nothing(shop: Project) -> None:
    mail(shop, SEND)
    mail(make_project("lab", environment="staging"), SEND)
    rule = PolicyRule(name="Try", effect="block", environments=["production"], scope_patterns=[SEND])
    found = rehearse(rule, Project.objects.all())
    assert (found.counting, found.projects, found.looked_at) == (1, 1, 1)
    ((project, (judged,)),) = found.by_project
    assert project == shop
    assert judged.finding.sentence == f"{SEND} is forbidden: the project is in production."
    assert not PolicyFinding.objects.exists()


def test_a_rehearsal_says_what_exceptions_cover(shop: Project) -> None:
    mail(shop, SEND)
    rule = make_rule(scope_patterns=[SEND], is_enabled=False)
    row = make_exception(rule, shop)
    found = rehearse(rule, Project.objects.all())
    assert (found.counting, found.excepted) == (0, 1)
    exemption = found.by_project[0][1][0].exemption
    assert exemption is not None
    assert exemption.key == row.pk


def test_a_rehearsal_looks_only_where_it_is_told_to(shop: Project) -> None:
    mail(shop, SEND)
    assert rehearse(make_rule(), Project.objects.none()).counting == 0


def test_what_changes_about_a_rule_is_on_record(db: None) -> None:
    rule = save_rule(PolicyRule(name="Mail", scope_patterns=[SEND]), SHELL)
    rule.scope_patterns = [FULL]
    save_rule(rule, SHELL)
    switch_rule(rule, SHELL, on=True)
    assert not switch_rule(rule, SHELL, on=True)
    verbs = list(Event.objects.filter(target_type="policyrule").order_by("id").values_list("verb", flat=True))
    assert verbs == ["policy.added", "policy.changed", "policy.switched_on"]
    changed = Event.objects.get(verb="policy.changed")
    assert (changed.before, changed.after) == ({"scope_patterns": [SEND]}, {"scope_patterns": [FULL]})


def test_a_rule_in_force_is_not_deleted(db: None) -> None:
    rule = make_rule("Mail")
    with pytest.raises(Refused, match="Switch it off"):
        delete_rule(rule, SHELL)
    switch_rule(rule, SHELL, on=False)
    delete_rule(rule, SHELL)
    assert not PolicyRule.objects.exists()
    assert Event.objects.latest("id").verb == "policy.deleted"


def test_a_changed_rule_is_unchecked_until_the_fleet_is_judged(shop: Project) -> None:
    rule = make_rule()
    assert PolicyRule.objects.unchecked().count() == 1
    policies.recheck_all()
    assert not PolicyRule.objects.unchecked().exists()
    switch_rule(rule, SHELL, on=False)
    assert PolicyRule.objects.unchecked().count() == 1


def test_what_a_token_can_do_counts_as_well(shop: Project) -> None:
    make_rule(scope_patterns=[FULL])
    connector = mail(shop, SEND)
    make_token(connector, granted_scopes=[FULL])
    ledger.note([connector.pk], SHELL, "token.authorised")
    assert marks(shop)[FULL] == "block"
