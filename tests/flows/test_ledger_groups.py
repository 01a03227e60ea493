"""Entries put together by scope, account and person: each figure, and what comes first."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from connectors.core.ledger import Verdict
from connectors.flows.ledger_groups import By, Group, groups_of
from connectors.models import LedgerEntry, Sensitivity
from tests.factories import keep_ledger, make_connector, make_fleet, make_project, make_token

pytestmark = pytest.mark.django_db

READ, SEND = "https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"


@pytest.fixture
def fleet(db: None) -> None:
    """Three projects; two mailboxes, one of them in two projects, and two people."""
    shop, crm, lab = (make_project(slug) for slug in ("shop", "crm", "lab"))
    first = make_connector(shop, "gmail", [READ, SEND], registered=[READ, SEND])
    second = make_connector(crm, "gmail", [SEND], registered=[SEND])
    third = make_connector(lab, "gmail", [SEND], registered=[])
    make_connector(shop, "github", ["repo"], registered=["repo"], registered_account="octo")
    make_token(first, granted_scopes=[READ], account="ops@acme.example", authorised_by_label="ada")
    make_token(second, granted_scopes=[SEND], account="ops@acme.example", authorised_by_label="ada")
    make_token(third, granted_scopes=None, account="lab@acme.example", authorised_by_label="bob")
    keep_ledger()


def groups(by: By, **chosen: str) -> dict[str, Group]:
    return {group.name: group for group in groups_of(LedgerEntry.objects.filter(**chosen), by)}


def test_a_scope_says_who_has_it_and_who_can_use_it_now(fleet: None) -> None:
    send = groups(By.SCOPE)[SEND]
    assert (send.provider, send.connectors, send.projects, send.accounts) == ("google", 3, 3, 2)
    assert (send.entries, send.holding, send.differing) == (3, 1, 2)
    assert (send.sensitivity, send.worst) == (Sensitivity.HIGH, Verdict.MISSING)


def test_an_account_says_what_it_reaches(fleet: None) -> None:
    ops = groups(By.ACCOUNT)["ops@acme.example"]
    assert (ops.connectors, ops.projects, ops.scopes, ops.types) == (2, 2, 2, ("gmail",))
    assert groups(By.ACCOUNT)["octo"].types == ("github",)


def test_a_person_says_what_they_authorised(fleet: None) -> None:
    people = groups(By.PERSON)
    assert (people["ada"].connectors, people["ada"].accounts) == (2, 1)
    assert people["bob"].projects == 1
    assert (people[""].connectors, people[""].types) == (1, ())


def test_only_the_entries_that_are_given_count(fleet: None) -> None:
    assert groups(By.SCOPE, person="bob")[SEND].connectors == 1
    assert set(groups(By.ACCOUNT, integration_type="github")) == {"octo"}


def test_what_does_most_harm_comes_first_and_then_what_is_most_widespread(fleet: None) -> None:
    names = [group.name for group in groups_of(LedgerEntry.objects.all(), By.SCOPE)]
    assert names == ["repo", SEND, READ]


def test_a_name_of_two_providers_makes_two_groups() -> None:
    project = make_project("shop")
    make_connector(project, "hubspot", ["content"])
    make_connector(project, "salesforce", ["content"])
    keep_ledger()
    found = groups_of(LedgerEntry.objects.all(), By.SCOPE)
    assert [(group.provider, group.connectors) for group in found] == [("hubspot", 1), ("salesforce", 1)]


def test_groups_come_in_parts(fleet: None) -> None:
    every = groups_of(LedgerEntry.objects.all(), By.SCOPE)
    assert groups_of(LedgerEntry.objects.all(), By.SCOPE, 0, 2) == every[:2]
    assert groups_of(LedgerEntry.objects.all(), By.SCOPE, 2, 2) == every[2:]


@pytest.mark.parametrize(("by", "queries"), [(By.SCOPE, 2), (By.ACCOUNT, 3), (By.PERSON, 3)])
def test_groups_cost_the_same_whatever_the_number(by: By, queries: int) -> None:
    make_fleet(200, 3)
    keep_ledger()
    LedgerEntry.objects.update(account="ops@acme.example", person="ada")
    with CaptureQueriesContext(connection) as seen:
        groups_of(LedgerEntry.objects.all(), by, 0, 50)
    assert len(seen) == queries
