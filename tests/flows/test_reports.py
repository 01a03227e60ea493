"""Tables of the ledger: their columns are as documented, and their rows are what the pages show."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.core.reports import Table
from connectors.flows.ledger_groups import By, groups_of
from connectors.flows.report_columns import REPORTS
from connectors.flows.reports import (
    changes_table,
    groups_table,
    history_table,
    ledger_table,
    review_table,
    timeline_table,
)
from connectors.models import (
    Connector,
    LedgerEntry,
    Project,
    ReviewCampaign,
    ReviewItem,
)
from tests.factories import keep_ledger, make_connector, make_fleet, make_period, make_token

pytestmark = pytest.mark.django_db

SEND = "https://www.googleapis.com/auth/gmail.send"
DAY = dt.timedelta(days=1)


@pytest.fixture
def gmail(project: Project) -> Connector:
    """Declares what Base44 has not."""
    connector = make_connector(project, "gmail", [SEND], registered=[])
    keep_ledger(connector)
    return connector


def rows_of(table: Table) -> list[dict[str, Any]]:
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, row, strict=True)) for row in table.rows]


def documented() -> dict[str, list[tuple[str, str]]]:
    """Key and meaning of the columns of every report, as docs/reports.md lists them."""
    text = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### `([\w-]+)`\n(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE) for name, section in sections}


def test_the_documented_columns_are_those_of_the_reports() -> None:
    assert documented() == {
        name: [(column.key, column.about) for column in columns] for name, columns in REPORTS.items()
    }


@pytest.mark.parametrize("name", REPORTS)
def test_no_report_has_two_columns_of_one_key(name: str) -> None:
    keys = [column.key for column in REPORTS[name]]
    assert len(keys) == len(set(keys))


def test_a_ledger_row_says_what_the_list_shows(gmail: Connector) -> None:
    (row,) = rows_of(ledger_table(LedgerEntry.objects.all()))
    assert row["title"]
    expected = {
        "workspace": "Acme",
        "project": "crm",
        "project_name": "Crm",
        "environment": "development",
        "type": "gmail",
        "provider": "google",
        "scope": SEND,
        "declared": True,
        "repository": None,
        "registered": False,
        "account": None,
        "policy": None,
    }
    assert {key: row[key] for key in expected} == expected
    assert (row["verdict"], row["differs"], row["reason"]) == LedgerEntry.objects.values_list(
        "verdict", "differs", "reason"
    ).get()


def test_a_ledgers_rows_come_in_the_order_and_number_of_the_list(gmail: Connector, project: Project) -> None:
    keep_ledger(make_connector(project, "slack", ["chat:write", "users:read"]))
    chosen = LedgerEntry.objects.filter(integration_type="slack").order_by("-scope")
    assert [row["scope"] for row in rows_of(ledger_table(chosen))] == ["users:read", "chat:write"]


def test_a_longer_ledger_takes_no_more_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    make_fleet(projects=20, connectors=3)
    keep_ledger()
    with django_assert_num_queries(2):
        assert len(rows_of(ledger_table(LedgerEntry.objects.all()))) == 120


@pytest.mark.parametrize(("by", "key", "value"), [(By.SCOPE, "scope", SEND), (By.ACCOUNT, "account", "a@acme.example")])
def test_groups_say_how_many_there_are_of_what(by: By, key: str, value: str, gmail: Connector) -> None:
    make_token(gmail, granted_scopes=[SEND], account="a@acme.example", authorised_by_label="ada")
    keep_ledger(gmail)
    (row,) = rows_of(groups_table(by, groups_of(LedgerEntry.objects.all(), by)))
    assert (row[key], row["connectors"], row["projects"], row["usable"]) == (value, 1, 1, 1)


def test_a_group_of_people_names_their_types(gmail: Connector) -> None:
    make_token(gmail, granted_scopes=[SEND], authorised_by_label="ada")
    keep_ledger(gmail)
    (row,) = rows_of(groups_table(By.PERSON, groups_of(LedgerEntry.objects.all(), By.PERSON)))
    assert (row["person"], row["types"], row["scopes"]) == ("ada", ("gmail",), 1)


@pytest.fixture
def past(project: Project) -> Connector:
    """Slack, which declared one scope ten days ago and another one five days ago."""
    now = timezone.now()
    connector = make_connector(project, "slack", ["chat:write", "users:read"])
    make_period(connector, "declared", "", now - 10 * DAY)
    make_period(connector, "declared", "chat:write", now - 10 * DAY)
    make_period(connector, "declared", "users:read", now - 5 * DAY)
    return connector


def test_the_ledger_at_a_date_has_what_was_listed_then(past: Connector) -> None:
    then = timezone.now() - 7 * DAY
    (row,) = rows_of(history_table(Project.objects.all(), then))
    assert (row["at"], row["project"], row["type"], row["scope"], row["declared"]) == (
        then,
        "crm",
        "slack",
        "chat:write",
        True,
    )


def test_changes_name_each_scope_side_and_cause(past: Connector) -> None:
    now = timezone.now()
    (row,) = rows_of(changes_table(Project.objects.all(), now - 6 * DAY, now))
    assert (row["side"], row["change"], row["scope"]) == ("declared", "added", "users:read")
    assert (row["through"], row["by"], row["project"]) == ("project.synced", "tests", "crm")


def test_a_timeline_goes_back_to_the_beginning(past: Connector) -> None:
    table = timeline_table(past)
    assert [(row["change"], row["scope"]) for row in rows_of(table)] == [
        ("added", "users:read"),
        ("side", None),
        ("added", "chat:write"),
    ]
    assert table.about == "slack in Crm"


def test_a_reviews_evidence_has_what_was_frozen_and_decided(gmail: Connector) -> None:
    now = timezone.now()
    campaign = ReviewCampaign.objects.create(name="Autumn", due_at=now, snapshot_digest="d" * 64)
    ReviewItem.objects.create(
        campaign=campaign,
        project_label="Crm",
        environment="production",
        type_slug="gmail",
        scope=SEND,
        sensitivity=2,
        verdict="agrees",
        finding="As asked.",
        since=now,
        decision="remove",
        decision_reason="Nobody sends mail.",
        decided_by_label="ada",
        decided_at=now,
    )
    (row,) = rows_of(review_table(campaign))
    assert (row["scope"], row["sensitivity"], row["reason"]) == (SEND, "high", "As asked.")
    assert (row["decision"], row["decision_reason"], row["decided_by"]) == ("remove", "Nobody sends mail.", "ada")
    assert row["snapshot_digest"] == "d" * 64
