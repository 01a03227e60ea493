"""What the team says of scopes counts in the ledger, survives the shipped catalogue, and can be taken back."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from connectors.core.catalog import ScopeInfo, load_catalog
from connectors.core.errors import Refused
from connectors.flows import ledger
from connectors.flows.catalogue import load_catalogue, note_type
from connectors.flows.judge_scope import add_scope, forget_scope, judge_scope
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import (
    CatalogueScope,
    Connector,
    Event,
    IntegrationType,
    LedgerEntry,
    PolicyFinding,
    PolicyRule,
    Project,
    Sensitivity,
)
from tests.factories import SHELL, make_connector, make_project

pytestmark = pytest.mark.django_db

READ = "channels:read"
MEDIUM, CRITICAL = Sensitivity.MEDIUM, Sensitivity.CRITICAL


@pytest.fixture(autouse=True)
def catalogue(db: None) -> None:
    load_catalogue(SHELL)


@pytest.fixture
def slack(project: Project) -> Connector:
    """A connector with one scope, in the ledger."""
    return in_ledger(project, "slack", [READ])


def in_ledger(project: Project, type_: str, scopes: list[str]) -> Connector:
    connector = make_connector(project, type_, scopes)
    ledger.note([connector.pk], SHELL, "connector.declared")
    return connector


def scope_of(provider: str, name: str) -> CatalogueScope:
    return CatalogueScope.objects.get(provider=provider, name=name)


def levels() -> dict[str, int | None]:
    return dict(LedgerEntry.objects.values_list("scope", "sensitivity"))


def new_scope(name: str, provider: str = "slack", level: Sensitivity = CRITICAL) -> CatalogueScope:
    return CatalogueScope(provider=provider, name=name, title="Do a new thing", team_sensitivity=level)


# --- The shipped rows -----------------------------------------------------------------------------------------------


def test_every_shipped_scope_gets_a_row_with_its_source() -> None:
    known = {(info.provider, scope.name) for info in load_catalog().types.values() for scope in _scopes(info.slug)}
    assert set(CatalogueScope.objects.values_list("provider", "name")) == known
    assert not CatalogueScope.objects.filter(source="").exists()
    assert not CatalogueScope.objects.filter(sensitivity=None).exists()


def test_loading_again_reads_twice_and_writes_nothing() -> None:
    with CaptureQueriesContext(connection) as seen:
        assert not load_catalogue(SHELL)
    assert [query["sql"].split()[0] for query in seen if "SAVEPOINT" not in query["sql"]] == ["SELECT", "SELECT"]


def test_loading_repairs_shipped_columns_and_keeps_the_teams() -> None:
    rows = CatalogueScope.objects.filter(provider="slack", name=READ)
    rows.update(title="Something else", team_sensitivity=CRITICAL, team_note="Ask Ada.")
    assert load_catalogue(SHELL).scopes == 1
    (row,) = rows
    assert (row.team_sensitivity, row.team_note) == (CRITICAL, "Ask Ada.")
    assert row.title != "Something else"


def test_a_scope_that_is_gone_from_the_catalogue_goes_unless_the_team_speaks_of_it() -> None:
    CatalogueScope.objects.create(provider="slack", name="old:mute", sensitivity=MEDIUM)
    CatalogueScope.objects.create(provider="slack", name="old:noted", sensitivity=MEDIUM, team_note="Still in use.")
    load_catalogue(SHELL)
    left = CatalogueScope.objects.filter(name__startswith="old:").values_list("name", "is_shipped", "sensitivity")
    assert list(left) == [("old:noted", False, None)]


def test_a_difference_in_the_catalogue_sends_the_providers_connectors_through_the_ledger_again(
    slack: Connector, project: Project
) -> None:
    other = in_ledger(project, "github", ["repo"])
    CatalogueScope.objects.filter(provider="slack", name=READ).update(title="Something else")
    load_catalogue(SHELL)
    assert set(Connector.objects.without_ledger()) == {slack}
    assert other.pk not in Connector.objects.without_ledger().values_list("pk", flat=True)


# --- The team's word ------------------------------------------------------------------------------------------------


def test_the_teams_sensitivity_counts_in_the_ledger_at_once(slack: Connector) -> None:
    judge_scope(scope_of("slack", READ), SHELL, sensitivity=CRITICAL, note="")
    assert levels() == {READ: CRITICAL}
    assert ScopeFacts().sensitivity("slack", READ) is CRITICAL


def test_a_sibling_type_and_another_provider_of_the_same_name_are_told_apart(project: Project) -> None:
    in_ledger(project, "slackbot", ["chat:write"])
    in_ledger(project, "discord", ["email"])
    judge_scope(scope_of("slack", "chat:write"), SHELL, sensitivity=CRITICAL, note="")
    assert levels()["chat:write"] == CRITICAL
    assert levels()["email"] == ScopeFacts().sensitivity("discord", "email") != CRITICAL


def test_taking_it_back_gives_the_shipped_one(slack: Connector) -> None:
    shipped = scope_of("slack", READ).sensitivity
    judge_scope(scope_of("slack", READ), SHELL, sensitivity=CRITICAL, note="Careful.")
    judge_scope(scope_of("slack", READ), SHELL, sensitivity=None, note="")
    assert levels() == {READ: shipped}
    assert ScopeFacts().note("slack", READ) == ""


def test_a_judgement_is_on_record_with_what_was_said_before() -> None:
    judge_scope(scope_of("slack", READ), SHELL, sensitivity=CRITICAL, note=" Ask Ada. ")
    event = Event.objects.get(verb="scope.judged")
    assert event.before == {"sensitivity": "", "note": ""}
    assert event.after == {"sensitivity": "Critical", "note": "Ask Ada."}
    assert scope_of("slack", READ).team_changed_at is not None


def test_saying_the_same_again_records_nothing() -> None:
    judge_scope(scope_of("slack", READ), SHELL, sensitivity=None, note="")
    assert not Event.objects.filter(verb="scope.judged").exists()


def test_a_rule_finds_a_scope_that_the_team_now_calls_critical(slack: Connector) -> None:
    PolicyRule.objects.create(name="No critical scopes", min_sensitivity=CRITICAL, effect="warn", is_enabled=True)
    judge_scope(scope_of("slack", READ), SHELL, sensitivity=CRITICAL, note="")
    assert PolicyFinding.objects.count() == 1
    judge_scope(scope_of("slack", READ), SHELL, sensitivity=None, note="")
    assert not PolicyFinding.objects.exists()


def test_a_judgement_of_a_beginning_counts_for_all_that_begin_so(project: Project) -> None:
    in_ledger(project, "snowflake", ["session:role:ANALYST", "session:role:BOSS", "refresh_token"])
    add_scope(new_scope("session:role:BOSS", "snowflake", Sensitivity.HIGH), SHELL)
    judge_scope(scope_of("snowflake", "session:role:*"), SHELL, sensitivity=Sensitivity.LOW, note="Views only.")
    found, facts = levels(), ScopeFacts()
    assert (found["session:role:ANALYST"], found["session:role:BOSS"]) == (Sensitivity.LOW, Sensitivity.HIGH)
    assert facts.sensitivity("snowflake", "session:role:ANALYST") is Sensitivity.LOW
    assert facts.note("snowflake", "session:role:ANALYST") == "Views only."


def test_a_thousand_entries_cost_no_query_more(project: Project) -> None:
    def cost(level: Sensitivity) -> int:
        with CaptureQueriesContext(connection) as seen:
            judge_scope(scope_of("slack", READ), SHELL, sensitivity=level, note="")
        return len(seen)

    in_ledger(project, "slack", [READ])
    few = cost(CRITICAL)
    made = [make_connector(make_project(), "slack", [READ]).pk for _ in range(60)]
    ledger.note(made, SHELL, "connector.declared")
    assert cost(MEDIUM) == few


# --- Scopes that only the team knows ---------------------------------------------------------------------------------


def test_an_added_scope_is_known_everywhere(project: Project) -> None:
    in_ledger(project, "slack", ["brand:new"])
    add_scope(new_scope("brand:new"), SHELL)
    facts = ScopeFacts()
    assert levels() == {"brand:new": CRITICAL}
    assert facts.title("slackbot", "brand:new") == "Do a new thing"
    assert facts.unknown("slack", ["brand:new", "brand:newer"]) == ("brand:newer",)
    assert list(facts.added("slack")) == ["brand:new"]


@pytest.mark.parametrize(("provider", "name", "reason"), [
    ("slack", READ, "already"),
    ("google", "email", "another name of https://www.googleapis.com/auth/userinfo.email"),
    ("snowflake", "session:role:*", "already"),
    ("nobody", "x", "no provider"),
])  # fmt: skip
def test_what_the_catalogue_knows_cannot_be_added(provider: str, name: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        add_scope(new_scope(name, provider), SHELL)


def test_a_deleted_scope_is_unknown_again(project: Project) -> None:
    in_ledger(project, "slack", ["brand:new"])
    scope = new_scope("brand:new")
    add_scope(scope, SHELL)
    forget_scope(scope, SHELL)
    assert levels() == {"brand:new": None}
    assert Event.objects.get(verb="scope.deleted").before["title"] == "Do a new thing"


def test_a_shipped_scope_is_never_deleted() -> None:
    with pytest.raises(Refused, match="not deleted"):
        forget_scope(scope_of("slack", READ), SHELL)


def test_an_added_scope_that_is_shipped_later_keeps_the_teams_word() -> None:
    CatalogueScope.objects.filter(provider="slack", name=READ).delete()
    CatalogueScope.objects.create(
        provider="slack", name=READ, title="Ours", team_sensitivity=CRITICAL, is_shipped=False
    )
    load_catalogue(SHELL)
    row = scope_of("slack", READ)
    assert (row.is_shipped, row.team_sensitivity) == (True, CRITICAL)
    assert row.title != "Ours"


# --- A note on a type -----------------------------------------------------------------------------------------------


def test_a_note_on_a_type_is_recorded_once_and_survives_loading() -> None:
    type_ = IntegrationType.objects.get(pk="slack")
    note_type(type_, "Ask Ada first.", SHELL)
    note_type(type_, "Ask Ada first. ", SHELL)
    IntegrationType.objects.filter(pk="slack").update(description="Something else")
    load_catalogue(SHELL)
    assert IntegrationType.objects.get(pk="slack").team_note == "Ask Ada first."
    assert Event.objects.filter(verb="catalogue.type_noted").count() == 1


def _scopes(type_: str) -> tuple[ScopeInfo, ...]:
    return load_catalog().provider_scopes(type_)
