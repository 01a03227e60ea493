"""audit_scopes."""

from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path

import pytest
from django.utils import timezone

from connectors.core.base44.emulator import Emulator
from connectors.flows.report_columns import REPORTS
from connectors.models import Connector, PolicyException, PolicyFinding, PolicyRule, Project, Workspace
from tests.commands.conftest import Run, Said
from tests.factories import make_connector, make_project
from tests.flows.conftest import APP

pytestmark = pytest.mark.django_db(transaction=True)

SEND = "https://www.googleapis.com/auth/gmail.send"
READ = "https://www.googleapis.com/auth/calendar.readonly"


@pytest.fixture
def shop(workspace: Workspace) -> Project:
    """A project that agrees with Base44 in everything."""
    shop = make_project("shop", workspace=workspace, environment="production", synced_at=timezone.now())
    make_connector(shop, "slack", ["chat:write"], registered=["chat:write"], sync_state="in_sync")
    return shop


@pytest.fixture
def gmail(project: Project) -> Connector:
    """Differs: Base44 has nothing of what it declares."""
    Project.objects.filter(pk=project.pk).update(synced_at=timezone.now())
    return make_connector(project, "gmail", [SEND], registered=[], sync_state="differs")


@pytest.fixture
def breach(shop: Project) -> PolicyFinding:
    """A rule that the shop breaks."""
    rule = PolicyRule.objects.create(name="No chats", effect="block", is_enabled=True, scope_patterns=["chat:*"])
    return PolicyFinding.objects.create(
        rule=rule,
        project=shop,
        connector=shop.connectors.get(),
        scopes=["chat:write"],
        sentence="It may write.",
        since=timezone.now(),
    )


def kinds(said: Said) -> list[str]:
    return [row["action"] for row in said.document["results"]]


def test_a_fleet_that_agrees_passes(run: Run, shop: Project) -> None:
    said = run("audit_scopes", "--fail-on", "drift,policy,policy-warn,unknown")
    assert (said.code, said.out) == (
        0,
        "1 project, 1 connector, 1 scope: 0 differing, 0 against a policy, 0 with a policy's warning, 0 not known.\n",
    )


def test_connectors_that_the_ledger_lacks_are_taken_in_first(run: Run, gmail: Connector) -> None:
    assert gmail.ledger_at is None
    assert kinds(run("audit_scopes", "--json")) == ["drift"]


@pytest.mark.parametrize(("fail_on", "code"), [("", 0), ("drift", 1), ("policy,unknown", 0), (" policy , drift", 1)])
def test_the_exit_code_follows_what_it_is_told_to_fail_on(fail_on: str, code: int, run: Run, gmail: Connector) -> None:
    said = run("audit_scopes", "--json", "--fail-on", fail_on)
    assert (said.code, said.document["failed"]) == (code, bool(code))


def test_a_person_reads_by_project_what_differs_and_why(run: Run, shop: Project, gmail: Connector) -> None:
    lines = run("audit_scopes", "--fail-on", "drift").out.splitlines()
    assert lines[0] == "crm (development)"
    assert lines[1].startswith(f"  missing  gmail  {SEND}: ")
    assert lines[2].startswith("2 projects, 2 connectors, 2 scopes: 1 differing, ")
    assert lines[3] == "Fails on drift (1)."


def test_the_document_has_counts_and_a_reason_for_each_row(run: Run, shop: Project, gmail: Connector) -> None:
    document = run("audit_scopes", "--json", "--fail-on", "drift").document
    assert document["counts"] == {
        "projects": 2,
        "connectors": 2,
        "scopes": 2,
        "drift": 1,
        "policy": 0,
        "policy-warn": 0,
        "unknown": 0,
    }
    (row,) = document["results"]
    assert list(row) == [column.key for column in REPORTS["audit"]]
    assert (row["project"], row["type"], row["scopes"], row["word"]) == ("crm", "gmail", [SEND], "missing")
    assert row["reason"]


@pytest.mark.parametrize(
    ("effect", "kind", "fail_on", "code"),
    [
        ("block", "policy", "policy", 1),
        ("approval", "policy", "policy", 1),
        ("warn", "policy-warn", "policy", 0),
        ("warn", "policy-warn", "policy-warn", 1),
    ],
)
def test_a_broken_rule_counts_by_its_effect(
    effect: str, kind: str, fail_on: str, code: int, run: Run, breach: PolicyFinding
) -> None:
    PolicyRule.objects.update(effect=effect)
    said = run("audit_scopes", "--project", "shop", "--json", "--fail-on", fail_on)
    assert (said.code, kinds(said)) == (code, [kind])
    assert said.document["results"][0]["policy"] == "No chats"


@pytest.mark.parametrize(("days", "expected"), [(1, []), (-1, ["policy"])])
def test_an_exception_covers_a_finding_until_it_ends(
    days: int, expected: list[str], run: Run, breach: PolicyFinding
) -> None:
    breach.exception = PolicyException.objects.create(
        rule=breach.rule,
        project=breach.project,
        reason="A test",
        owner_label="ada",
        state="granted",
        expires_at=timezone.now() + dt.timedelta(days=days),
    )
    breach.save()
    Connector.objects.update(ledger_at=timezone.now())
    assert kinds(run("audit_scopes", "--json")) == expected


def test_a_project_that_was_never_read_is_not_known(run: Run, project: Project) -> None:
    said = run("audit_scopes", "--json", "--fail-on", "unknown")
    (row,) = said.document["results"]
    assert (said.code, row["action"], row["type"]) == (1, "unknown", None)
    assert row["reason"] == "It was never read from Base44. Sync it."


def test_a_project_whose_last_sync_failed_is_not_known(run: Run, shop: Project) -> None:
    Project.objects.update(sync_error="Base44 is down.")
    (row,) = run("audit_scopes", "--json").document["results"]
    assert row["reason"].endswith("; then Base44 could not be read: Base44 is down.")


def test_a_connector_that_no_sync_has_seen_is_not_known(run: Run, shop: Project) -> None:
    make_connector(shop, "notion", [])
    rows = run("audit_scopes", "--json").document["results"]
    assert ("notion", [], "unknown") in [(row["type"], row["scopes"], row["word"]) for row in rows]


def test_what_cannot_be_known_is_listed_for_people_only_when_asked_for(run: Run, project: Project) -> None:
    assert "never read" not in run("audit_scopes").out
    assert "never read" in run("audit_scopes", "--fail-on", "unknown").out
    assert "never read" in run("audit_scopes", "-v", "2").out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"crm", "shop"}),
        (["--project", "shop"], {"shop"}),
        (["--project", "shop", "crm"], {"crm", "shop"}),
        (["--environment", "production"], {"shop"}),
        (["--workspace", "Acme"], {"crm", "shop"}),
        (["--project", "crm", "--environment", "production"], set()),
    ],
)
def test_projects_are_chosen(options: list[str], expected: set[str], run: Run, shop: Project, gmail: Connector) -> None:
    Connector.objects.update(registered_scopes=[])
    rows = run("audit_scopes", "--json", *options).document["results"]
    assert {row["project"] for row in rows} == expected


@pytest.mark.parametrize(("level", "types"), [("high", {"gmail"}), ("low", {"gmail", "googlecalendar"})])
def test_less_grave_scopes_are_left_out(level: str, types: set[str], run: Run, gmail: Connector) -> None:
    make_connector(gmail.project, "googlecalendar", [READ], registered=[], sync_state="differs")
    rows = run("audit_scopes", "--json", "--min-sensitivity", level).document["results"]
    assert {row["type"] for row in rows} == types


def test_the_csv_has_the_rows_of_the_document(run: Run, gmail: Connector, tmp_path: Path) -> None:
    said = run("audit_scopes", "--json", "--csv", str(tmp_path / "audit.csv"))
    (row,) = csv.DictReader(io.StringIO((tmp_path / "audit.csv").read_text(encoding="utf-8-sig")))
    assert row["reason"] == said.document["results"][0]["reason"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["--fail-on", "drift,weather"],
            "--fail-on does not know weather. It knows drift, policy, policy-warn, unknown",
        ),
        (["--project", "cmr"], "There is no project cmr. Did you mean crm?"),
        (["--workspace", "Acne"], "There is no workspace Acne. Did you mean Acme?"),
        (["--csv", "/nowhere/at/all.csv"], "--csv /nowhere/at/all.csv: there is no such folder, or it is one itself"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(words: list[str], error: str, run: Run, project: Project) -> None:
    said = run("audit_scopes", *words)
    assert (said.code, said.error) == (2, error)


def test_comparing_now_finds_what_base44_has_since(run: Run, base44: Emulator, live_project: Project) -> None:
    base44.register(APP, "slackbot", ["chat:write"])
    assert kinds(run("audit_scopes", "--json")) == ["unknown"]
    said = run("audit_scopes", "--json", "--compare-now")
    assert [row["word"] for row in said.document["results"]] == ["excess"]


def test_a_base44_that_cannot_be_read_fails_the_audit(run: Run, project: Project) -> None:
    said = run("audit_scopes", "--compare-now", "--json")
    assert (said.code, len(said.document["problems"])) == (1, 1)
    assert said.document["problems"][0].startswith("crm: ")
