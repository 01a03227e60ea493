"""The consent desk: all that waits for a person, of what one may see, by account."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.flows import consent_desk
from connectors.flows.consent_desk import Need, account_of, chosen, desk_of, waiting_count
from connectors.flows.consent_links import make_link
from connectors.models import Connector, ConsentLink, OAuthClient, Project, Token
from tests.factories import SHELL, make_connector, make_oauth_client, make_project, make_token

Kind = ConsentLink.Kind
READ = "https://www.googleapis.com/auth/gmail.readonly"
SEND = "https://www.googleapis.com/auth/gmail.send"
DECLARED = [READ, SEND]


@pytest.fixture
def oauth_client(db: None) -> OAuthClient:
    return make_oauth_client(provider="google")


def held(project: Project, oauth_client: OAuthClient, type_: str = "gmail", **values: Any) -> Token:
    """A token that is as declared, but for `values`."""
    connector = make_connector(project, type_, values.pop("declared", DECLARED))
    values = {"asked_scopes": DECLARED, "granted_scopes": DECLARED, "account": "bea@acme.example", **values}
    return make_token(connector, oauth_client=oauth_client, **values)


def needs(user: User) -> list[Need]:
    return [need for group in desk_of(user, timezone.now()).groups for need in group.needs]


@pytest.mark.parametrize("consent", [value for value in Connector.Consent.values if value])
def test_consent_at_base44_that_is_not_settled_is_listed(project: Project, operator: User, consent: str) -> None:
    make_connector(project, "gmail", consent=consent, consent_note="Somebody has to agree.")
    assert [(need.way, need.why) for need in needs(operator)] == [(Kind.HOSTED, "Somebody has to agree.")]


def test_a_connection_that_broke_at_base44_is_listed(project: Project, operator: User) -> None:
    make_connector(project, "gmail", sync_state=Connector.SyncState.INACTIVE, registered_account="bea@acme.example")
    assert [need.account for need in needs(operator)] == ["bea@acme.example"]


def test_what_is_in_order_or_not_declared_is_not_listed(
    project: Project, operator: User, oauth_client: OAuthClient
) -> None:
    held(project, oauth_client)
    make_connector(project, "slack", sync_state=Connector.SyncState.IN_SYNC)
    make_connector(project, "notion", sync_state=Connector.SyncState.INACTIVE, is_declared=False)
    assert needs(operator) == []


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"state": Token.State.NEEDS_CONSENT, "last_error": "Consent was withdrawn."}, "Consent was withdrawn."),
        ({"state": Token.State.NEEDS_CONSENT}, "The provider ended the consent."),
        ({"refresh_at": None, "expires_at": timezone.now() - dt.timedelta(days=1)}, "nothing to renew it with"),
        ({"granted_scopes": [READ]}, f"Asked for and not granted: {SEND}."),
        ({"asked_scopes": [READ], "granted_scopes": [READ]}, f"Declared since it was authorised: {SEND}."),
        ({"declared": [READ]}, f"No longer declared, and still in the token: {SEND}."),
    ],
)
def test_a_token_that_only_a_person_can_put_right_is_listed_with_the_reason(
    project: Project, operator: User, oauth_client: OAuthClient, values: dict[str, Any], why: str
) -> None:
    held(project, oauth_client, **values)
    assert [need.way for need in needs(operator)] == [Kind.PORTAL]
    assert why in needs(operator)[0].why


@pytest.mark.parametrize(
    "values",
    [
        {"granted_scopes": None},
        {"granted_scopes": [SEND, READ]},
        {"granted_scopes": [*DECLARED, "openid", "https://www.googleapis.com/auth/userinfo.email"]},
        {"asked_scopes": [SEND, READ]},
        {"state": Token.State.REVOKED, "granted_scopes": []},
    ],
)
def test_scopes_that_mean_the_same_or_are_not_known_need_nobody(
    project: Project, operator: User, oauth_client: OAuthClient, values: dict[str, Any]
) -> None:
    held(project, oauth_client, **values)
    assert needs(operator) == []


def test_rows_are_grouped_by_account_and_the_unknown_comes_last(
    project: Project, operator: User, oauth_client: OAuthClient
) -> None:
    for type_, account in [("gmail", "zoe@acme.example"), ("googledocs", ""), ("googlesheets", "ann@acme.example")]:
        held(project, oauth_client, type_, account=account, state=Token.State.NEEDS_CONSENT)
    make_connector(project, "slack", consent="needed", registered_account="ann@acme.example")
    groups = desk_of(operator, timezone.now()).groups
    expected = [("ann@acme.example", 2), ("zoe@acme.example", 1), ("", 1)]
    assert [(group.account, len(group.needs)) for group in groups] == expected


def test_who_authorised_last_is_named(project: Project, operator: User, oauth_client: OAuthClient) -> None:
    hosted = make_connector(project, "slack", consent="failed")
    for name in ("first", "last"):
        Connector.objects.filter(pk=hosted.pk).update(consent_asked_by=name)
    held(project, oauth_client, state=Token.State.NEEDS_CONSENT, authorised_by_label="bea")
    assert {need.last_by for need in needs(operator)} == {"last", "bea"}


def test_the_open_link_is_shown_with_the_row_of_its_way(
    project: Project, operator: User, oauth_client: OAuthClient
) -> None:
    token = held(project, oauth_client, state=Token.State.NEEDS_CONSENT)
    Connector.objects.update(consent="needed")
    make_link(token.connector, Kind.PORTAL, SHELL, oauth_client=oauth_client)
    assert {need.way: need.link is not None for need in needs(operator)} == {Kind.HOSTED: False, Kind.PORTAL: True}


def test_one_sees_only_what_one_may(
    project: Project, stranger: User, operator: User, oauth_client: OAuthClient
) -> None:
    token = held(project, oauth_client, state=Token.State.NEEDS_CONSENT)
    make_connector(project, "slack", consent="needed")
    now = timezone.now()
    assert (len(needs(operator)), waiting_count(operator, now, 99)) == (2, 2)
    assert (needs(stranger), waiting_count(stranger, now, 99)) == ([], 0)
    assert chosen(stranger, [f"portal-{token.connector_id}"]) == []


def test_a_page_shows_no_more_than_its_limit(
    project: Project, operator: User, oauth_client: OAuthClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consent_desk, "LIMIT", 2)
    make_connector(project, "slack", consent="needed")
    make_connector(project, "notion", consent="needed")
    desk = desk_of(operator, timezone.now())
    assert (desk.count, desk.capped) == (2, False)
    held(project, oauth_client, state=Token.State.NEEDS_CONSENT)
    desk = desk_of(operator, timezone.now())
    assert (desk.count, desk.capped) == (2, True)


def test_counting_stops_at_the_limit(project: Project, operator: User) -> None:
    for type_ in ("gmail", "slack", "notion"):
        make_connector(project, type_, consent="needed")
    assert waiting_count(operator, timezone.now(), 2) == 2


@pytest.mark.parametrize("projects", [1, 12])
def test_the_number_of_queries_does_not_grow(
    projects: int, operator: User, oauth_client: OAuthClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(projects):
        project = make_project()
        make_connector(project, "slack", consent="needed")
        held(project, oauth_client, state=Token.State.NEEDS_CONSENT)
        held(project, oauth_client, "googledocs", granted_scopes=[READ])
    with django_assert_num_queries(5):
        found = needs(operator)
        assert [str(need.connector.project.workspace) for need in found if need.oauth_client != oauth_client]
    assert len(found) == 3 * projects


def test_keys_of_a_form_name_connectors_and_nothing_else(
    project: Project, operator: User, oauth_client: OAuthClient
) -> None:
    token = held(project, oauth_client, state=Token.State.NEEDS_CONSENT)
    key = f"portal-{token.connector_id}"
    found = chosen(operator, [key, key, "portal-987654", "other-1", "hosted-", "hosted-x", f"hosted-{'9' * 40}", ""])
    assert [(asked.connector, asked.kind, asked.oauth_client) for asked in found] == [
        (token.connector, Kind.PORTAL, oauth_client)
    ]
    assert account_of(found[0]) == "bea@acme.example"


def test_the_number_in_the_sidebar_is_that_of_what_does_not_work(
    project: Project, operator: User, oauth_client: OAuthClient
) -> None:
    held(project, oauth_client, state=Token.State.NEEDS_CONSENT)
    held(project, oauth_client, "googledrive", granted_scopes=[READ])
    make_connector(project, "slack", consent=Connector.Consent.NEEDED)
    now = timezone.now()
    desk = desk_of(operator, now)
    assert (desk.count, desk.working, desk.stopped) == (3, 1, 2)
    assert waiting_count(operator, now, 100) == desk.stopped


def test_a_token_that_has_ended_does_not_work_whatever_its_client(project: Project, operator: User) -> None:
    broken = make_oauth_client(provider="google", state=OAuthClient.State.MISCONFIGURED)
    now = timezone.now()
    held(project, broken, refresh_at=None, expires_at=now - dt.timedelta(days=1))
    assert desk_of(operator, now).stopped == waiting_count(operator, now, 100) == 1
