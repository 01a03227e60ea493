"""What lock files say of projects: what is known of Base44 and of the tokens, and nothing that changes by itself."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.core.lock_file import account_fingerprint, render
from connectors.flows.lock_file import locks_of
from connectors.models import Connector, Project, Token
from tests.factories import make_connector, make_fleet, make_token

pytestmark = pytest.mark.django_db


def written(project: Project) -> bytes:
    return render(locks_of([project])[project.pk])


def locked(project: Project) -> dict[str, Any]:
    connectors: dict[str, Any] = json.loads(written(project))["connectors"]
    return connectors


def test_a_project_without_connectors_has_an_empty_one(project: Project) -> None:
    assert locked(project) == {}


def test_what_base44_has_registered_is_sorted(project: Project) -> None:
    make_connector(project, "slack", ["b"], registered=["im:read", "chat:write"])
    assert locked(project)["slack"]["registered"] == ["chat:write", "im:read"]


def test_before_base44_was_asked_nothing_of_it_is_known(project: Project) -> None:
    make_connector(project, "slack", ["b"])
    said = locked(project)["slack"]
    assert (said["atBase44"], said["registered"]) == (None, None)


def test_a_type_without_scopes_shows_whether_base44_has_it(project: Project) -> None:
    make_connector(project, "notion", registered=[])
    make_connector(project, "stripe", registered_at=timezone.now())
    assert {type_: said["atBase44"] for type_, said in locked(project).items()} == {"notion": True, "stripe": False}


def test_scopes_stand_in_the_providers_main_spelling(project: Project) -> None:
    make_connector(project, "gmail", registered=["email"])
    assert locked(project)["gmail"]["registered"] == ["https://www.googleapis.com/auth/userinfo.email"]


def test_without_a_token_it_is_not_known_what_was_granted(project: Project) -> None:
    make_connector(project, "slack", registered=["chat:write"])
    assert locked(project)["slack"]["granted"] is None


def test_granted_scopes_are_those_of_the_token(project: Project) -> None:
    make_token(make_connector(project, "slack"), granted_scopes=["im:read", "chat:write"])
    assert locked(project)["slack"]["granted"] == ["chat:write", "im:read"]


def test_a_token_whose_consent_has_ended_can_do_nothing(project: Project) -> None:
    make_token(make_connector(project, "slack"), granted_scopes=["a"], state=Token.State.NEEDS_CONSENT)
    assert locked(project)["slack"]["granted"] == []


def test_the_account_is_not_named(project: Project) -> None:
    make_connector(project, "slack", registered=[], registered_account="ann@example.com")
    assert b"ann" not in written(project)
    assert locked(project)["slack"]["account"] == account_fingerprint(project.app_id, "ann@example.com")


def test_what_only_base44_has_is_in_it(project: Project) -> None:
    make_connector(project, "slack", registered=["a"], is_declared=False)
    assert list(locked(project)) == ["slack"]


def test_a_connector_that_nobody_has_any_more_is_not_in_it(project: Project) -> None:
    make_connector(project, "slack", is_declared=False)
    assert locked(project) == {}


def test_looking_again_changes_no_byte(project: Project) -> None:
    row = make_connector(project, "slack", ["a"], registered=["a"])
    token = make_token(row, granted_scopes=["a"])
    before = written(project)
    later = timezone.now() + dt.timedelta(days=3)
    Connector.objects.update(registered_at=later, registered_status="expired", updated_at=later)
    Token.objects.filter(pk=token.pk).update(refreshed_at=later, expires_at=later, refresh_count=7)
    assert written(project) == before


def test_a_fleet_costs_two_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    projects = make_fleet(12, 3)
    with django_assert_num_queries(2):
        assert len(locks_of(projects)) == 12
