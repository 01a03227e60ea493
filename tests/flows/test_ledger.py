"""The ledger follows every change of a side, and its history says since when and through whom."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from connectors.core.actor import Actor, Door
from connectors.core.config_files import locate_projects
from connectors.core.specs import RegisteredConnector, RegisteredState
from connectors.flows import ledger
from connectors.flows.declare import declare, undeclare
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import plan_import
from connectors.flows.observe import observe
from connectors.flows.revoke import forget_token
from connectors.models import Connector, LedgerEntry, Project, ScopePeriod, SyncRun, Token
from tests.factories import SHELL, make_connector, make_project, make_token, make_workspace

pytestmark = pytest.mark.django_db

ADA = Actor("ada", Door.ADMIN)
READ, SEND = "https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"
NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
Side = ScopePeriod.Side


@pytest.fixture
def shop() -> Project:
    return make_project("shop", workspace=make_workspace("Acme"))


def seen(
    project: Project, scopes: list[str] | None, *, now: dt.datetime = NOW, account: str = "ops@acme.example"
) -> None:
    """Base44 lists gmail with these scopes, or nothing at all."""
    rows = () if scopes is None else (RegisteredConnector("gmail", "active", tuple(scopes), account),)
    observe({project: RegisteredState(rows, "")}, SHELL, now)


def entries(project: Project) -> dict[str, str]:
    return dict(LedgerEntry.objects.filter(project=project).values_list("scope", "verdict"))


def open_periods(project: Project, side: str) -> set[str]:
    rows = ScopePeriod.objects.open().filter(project=project, side=side, is_listed=True)
    return set(rows.exclude(scope="").values_list("scope", flat=True))


def test_what_is_declared_alone_says_nothing_of_base44(shop: Project) -> None:
    declare(shop, "gmail", [READ], {}, ADA)
    entry = LedgerEntry.objects.get()
    assert (entry.declared, entry.repository, entry.registered, entry.granted) == (True, None, None, None)
    assert not entry.differs
    assert (entry.scope, entry.provider, entry.environment) == (READ, "google", "development")


def test_a_sync_brings_in_what_base44_has(shop: Project) -> None:
    declare(shop, "gmail", [READ, SEND], {}, ADA)
    seen(shop, [READ])
    assert entries(shop) == {READ: "agrees", SEND: "missing"}
    assert LedgerEntry.objects.differing().get().scope == SEND
    assert LedgerEntry.objects.get(scope=READ).account == "ops@acme.example"
    assert open_periods(shop, Side.REGISTERED) == {READ}


def test_what_goes_is_ended_and_not_forgotten(shop: Project) -> None:
    declare(shop, "gmail", [READ, SEND], {}, ADA)
    seen(shop, [READ, SEND])
    declare(shop, "gmail", [READ], {}, ADA)
    period = ScopePeriod.objects.get(side=Side.DECLARED, scope=SEND)
    assert (period.begun_through, period.begun_by) == ("connector.declared", "ada")
    assert (period.ended_through, period.ended_by) == ("connector.changed", "ada")
    assert period.until is not None
    assert entries(shop) == {READ: "agrees", SEND: "excess"}


def test_a_scope_that_comes_back_begins_anew(shop: Project) -> None:
    declare(shop, "gmail", [READ], {}, ADA)
    for day, scopes in enumerate(([READ], [], [READ])):
        seen(shop, scopes, now=NOW + dt.timedelta(days=day))
    found = ScopePeriod.objects.filter(side=Side.REGISTERED, scope=READ).order_by("since")
    assert [(row.since.day, row.until.day if row.until else None) for row in found] == [(4, 5), (6, None)]


def test_looking_again_without_a_change_writes_nothing(shop: Project) -> None:
    declare(shop, "gmail", [READ], {}, ADA)
    seen(shop, [READ])
    before = list(ScopePeriod.objects.values()), list(LedgerEntry.objects.values())
    seen(shop, [READ], now=NOW + dt.timedelta(days=1))
    ledger.note([Connector.objects.get().pk], ADA, "connector.changed")
    assert (list(ScopePeriod.objects.values()), list(LedgerEntry.objects.values())) == before


def test_another_spelling_is_no_change(shop: Project) -> None:
    declare(shop, "gmail", ["email", READ], {}, ADA)
    seen(shop, ["email", READ])
    periods = set(ScopePeriod.objects.values_list("pk", flat=True))
    seen(shop, ["https://www.googleapis.com/auth/userinfo.email", READ], now=NOW + dt.timedelta(days=1))
    assert set(ScopePeriod.objects.values_list("pk", flat=True)) == periods
    assert not LedgerEntry.objects.differing().exists()


def test_another_account_ends_the_side_and_begins_it_anew(shop: Project) -> None:
    declare(shop, "gmail", [READ], {}, ADA)
    seen(shop, [READ])
    seen(shop, [READ], now=NOW + dt.timedelta(days=1), account="eve@acme.example")
    sides = ScopePeriod.objects.filter(side=Side.REGISTERED, scope="").order_by("since")
    accounts = [(row.account, row.until is None, row.is_listed) for row in sides]
    assert accounts == [("ops@acme.example", False, True), ("eve@acme.example", True, True)]


def test_a_connector_that_base44_has_not_is_known_to_be_absent(shop: Project) -> None:
    declare(shop, "gmail", [READ], {}, ADA)
    seen(shop, None)
    side = ScopePeriod.objects.open().get(side=Side.REGISTERED, scope="")
    assert not side.is_listed
    assert entries(shop) == {READ: "missing"}


def test_the_token_speaks_for_what_was_granted(shop: Project) -> None:
    connector = make_connector(shop, "gmail", [READ, SEND])
    make_token(connector, granted_scopes=[READ], account="ops@acme.example", authorised_by_label="bea")
    ledger.note([connector.pk], ADA, "token.authorised")
    assert entries(shop) == {READ: "agrees", SEND: "missing"}
    assert set(LedgerEntry.objects.values_list("account", "person")) == {("ops@acme.example", "bea")}


def test_a_token_whose_consent_has_ended_grants_nothing(shop: Project) -> None:
    connector = make_connector(shop, "gmail", [READ])
    make_token(connector, granted_scopes=[READ], state=Token.State.NEEDS_CONSENT)
    ledger.note([connector.pk], ADA, "token.refreshed")
    assert entries(shop) == {READ: "missing"}


def test_a_forgotten_token_leaves_what_it_granted_in_the_history(shop: Project) -> None:
    connector = make_connector(shop, "gmail", [READ])
    token = make_token(connector, granted_scopes=[READ])
    ledger.note([connector.pk], ADA, "token.authorised")
    forget_token(token, ADA)
    period = ScopePeriod.objects.get(side=Side.GRANTED, scope=READ)
    assert (period.ended_through, period.ended_by) == ("token.forgotten", "ada")
    assert LedgerEntry.objects.get().granted is None


def test_history_outlives_the_connector(shop: Project) -> None:
    connector = declare(shop, "gmail", [READ], {}, ADA)
    undeclare(connector, ADA)
    assert not Connector.objects.exists()
    assert not ScopePeriod.objects.open().exists()
    assert ScopePeriod.objects.get(scope=READ).ended_through == "connector.undeclared"


def test_a_scope_is_as_old_as_the_side_that_listed_it_first(shop: Project) -> None:
    connector = make_connector(shop, "gmail", [READ])
    ledger.note([connector.pk], ADA, "connector.declared", now=NOW)
    seen(shop, [READ, SEND], now=NOW + dt.timedelta(days=3))
    assert dict(LedgerEntry.objects.values_list("scope", "since")) == {READ: NOW, SEND: NOW + dt.timedelta(days=3)}


def test_connectors_that_came_round_the_flows_are_caught_up(shop: Project) -> None:
    make_connector(shop, "gmail", [READ], registered=[READ])
    assert ledger.catch_up() == 1
    assert ledger.catch_up() == 0
    assert entries(shop) == {READ: "agrees"}


def test_overlong_scopes_are_cut_and_not_refused(shop: Project) -> None:
    long = "x" * 400
    connector = make_connector(shop, "unheard-of", [long, long + "y"])
    ledger.note([connector.pk], ADA, "connector.declared")
    assert LedgerEntry.objects.get().scope == "x" * 300


def test_a_fleet_costs_no_query_more(shop: Project) -> None:
    counts = []
    for size in (2, 40):
        projects = [make_project(workspace=shop.workspace) for _ in range(2)]
        made = [make_connector(project, f"t{n}", [f"a{n}", "b"]).pk for project in projects for n in range(size)]
        with CaptureQueriesContext(connection) as queries:
            ledger.note(made, ADA, "connector.declared")
        # SQLite takes fewer rows at once, so that the inserts of many rows are more than one statement there.
        counts.append(sum("INSERT" not in query["sql"] for query in queries))
    assert counts[0] == counts[1]


def test_imported_files_are_the_repositorys_side(shop: Project, tmp_path: Path) -> None:
    declare(shop, "notion", ["read"], {}, ADA)
    folder = tmp_path / "base44" / "connectors"
    folder.mkdir(parents=True)
    (folder / "gmail.jsonc").write_text(f'{{"type": "gmail", "scopes": ["{READ}"]}}')
    run = apply_import(plan_import(shop, locate_projects(tmp_path)[0]), ADA)
    assert LedgerEntry.objects.get(scope=READ).repository is True
    assert LedgerEntry.objects.get(scope="read").repository is False
    period = ScopePeriod.objects.get(side=Side.REPOSITORY, scope=READ)
    assert (period.begun_through, period.begun_by, period.begun_run) == ("project.imported", "ada", run)


def test_a_sync_run_is_named_as_what_found_the_change(shop: Project) -> None:
    connector = make_connector(shop, "gmail", [READ])
    run = SyncRun.objects.create(project=shop, kind=SyncRun.Kind.SYNC, actor_label="ada", door=Door.ADMIN)
    ledger.note([connector.pk], ADA, "project.observed", runs={shop.pk: run.pk})
    assert {period.begun_run for period in ScopePeriod.objects.all()} == {run}


def test_the_environment_of_a_project_follows_into_its_entries(shop: Project) -> None:
    declare(shop, "gmail", [READ], {}, ADA)
    shop.environment = Project.Environment.PRODUCTION
    shop.save()
    ledger.note(shop.connectors.values_list("pk", flat=True), ADA, "project.changed")
    assert LedgerEntry.objects.get().environment == "production"
