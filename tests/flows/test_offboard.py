"""What hangs on one person, what becomes of it when they go, and the plan that hands it over or ends it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.core.errors import Refused
from connectors.flows.offboard import Fate, Holdings, Reach, holdings_of, people, person_called, reaches_of
from connectors.flows.offboard_plan import Plan, carry_out, plan_for
from connectors.models import (
    AlertRoute,
    OAuthClient,
    PolicyException,
    PolicyRule,
    Project,
    ReviewCampaign,
    Sensitivity,
    Token,
    Workspace,
)
from tests.factories import (
    SHELL,
    make_connector,
    make_consent_link,
    make_membership,
    make_oauth_client,
    make_project,
    make_token,
    make_user,
    make_workspace,
)
from tests.servers.token_endpoint import TokenServer

SEND = "https://www.googleapis.com/auth/gmail.send"


@pytest.fixture
def ada(db: None) -> User:
    """Who leaves, and looks at that herself, with a role that holds everywhere."""
    user = make_user("ada", staff=True)
    make_membership(user, "owner")
    return user


@pytest.fixture
def oauth_client(idp: TokenServer) -> OAuthClient:
    """Of Google, whose revocation ends all that an account gave to the client."""
    return make_oauth_client(settings={"revoke_url": f"{idp.url}/revoke", "issuer": idp.url})


def token_of(project: Project, type_: str, account: str, by: str = "ada", **values: Any) -> Token:
    held = {"account": account, "account_id": account, "authorised_by_label": by, "asked_scopes": [SEND], **values}
    return make_token(make_connector(project, type_, [SEND]), **held)


def reaches(user: User, name: str = "ada") -> list[Reach]:
    return reaches_of(user, person_called(name))


def holdings(user: User, name: str = "ada") -> Holdings:
    return holdings_of(user, person_called(name), timezone.now())


def plan(viewer: User, hand: list[str], revoke: list[str]) -> Plan:
    return plan_for(viewer, person_called("ada"), hand, revoke)


# --- What hangs on them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "fate"),
    [
        ("ada@example.com", Fate.STOPS),
        ("ADA@Example.com", Fate.STOPS),
        ("team@acme.com", Fate.GOES_ON),
        ("", Fate.MAY_STOP),
    ],
)
def test_what_becomes_of_a_token_hangs_on_whose_account_it_is(
    account: str, fate: Fate, ada: User, project: Project
) -> None:
    token_of(project, "gmail", account)
    (one,) = reaches(ada)
    assert (one.fate, one.by_them, one.key) == (fate, True, f"portal-{one.connector.pk}")


def test_their_account_counts_though_somebody_else_authorised_it(ada: User, project: Project) -> None:
    token_of(project, "gmail", "ada@example.com", by="grace")
    (one,) = reaches(ada)
    assert (one.fate, one.by_them) == (Fate.STOPS, False)


def test_what_base44_holds_counts_by_who_asked_and_by_its_account(ada: User, project: Project) -> None:
    make_connector(project, "slack", registered=["chat:write"], consent_asked_by="ada", registered_account="x@acme.com")
    make_connector(project, "notion", registered=[], registered_account="ada@example.com")
    make_connector(project, "github", registered=["repo"], registered_account="grace@example.com")
    make_connector(project, "linear", consent_asked_by="ada")
    found = {one.connector.integration_type_id: (one.fate, one.token) for one in reaches(ada)}
    assert found == {"slack": (Fate.GOES_ON, None), "notion": (Fate.STOPS, None)}


def test_a_revoked_token_hangs_on_nobody(ada: User, project: Project) -> None:
    token_of(project, "gmail", "ada@example.com", state=Token.State.REVOKED)
    assert reaches(ada) == []


def test_what_stops_comes_first_then_what_does_most_harm(ada: User, project: Project) -> None:
    token_of(project, "slack", "team@acme.com")
    token_of(project, "googlecalendar", "ada@example.com", asked_scopes=["openid"])
    token_of(project, "gmail", "ada@example.com")
    assert [one.connector.integration_type_id for one in reaches(ada)] == ["gmail", "googlecalendar", "slack"]
    assert (reaches(ada)[0].sensitivity or Sensitivity.LOW) >= Sensitivity.MEDIUM


def test_everything_else_of_theirs_is_found(ada: User, project: Project) -> None:
    now = timezone.now()
    make_workspace("Theirs", credential_account="ada@example.com", credential_state=Workspace.CredentialState.ACCEPTED)
    owned = make_project("owned", owner=ada)
    link = make_consent_link(make_connector(project, "slack"), created_by=ada)
    rule = PolicyRule.objects.create(name="No mail")
    exception = PolicyException.objects.create(
        rule=rule, project=project, owner=ada, owner_label="ada", expires_at=now + dt.timedelta(days=1), state="granted"
    )
    campaign = ReviewCampaign.objects.create(name="Autumn", due_at=now, escalate_to=ada)
    route = AlertRoute.objects.create(name="Mail", emails=["ops@acme.com", "Ada@example.com"])
    found = holdings(ada)
    assert [row.name for row in found.workspaces] == ["Theirs"]
    assert (found.projects, found.links, found.exceptions) == ((owned,), (link,), (exception,))
    assert (found.campaigns, found.routes) == ((campaign,), (route,))
    assert not found.is_nothing


def test_what_is_over_or_of_others_is_left_out(ada: User, project: Project) -> None:
    other, now = make_user("grace"), timezone.now()
    make_workspace(credential_account="grace@example.com", credential_state=Workspace.CredentialState.ACCEPTED)
    make_project(owner=other)
    make_consent_link(make_connector(project, "slack"), created_by=ada, revoked_at=now)
    rule = PolicyRule.objects.create(name="No mail")
    PolicyException.objects.create(
        rule=rule, project=project, owner=ada, owner_label="ada", expires_at=now, state="granted"
    )
    ReviewCampaign.objects.create(name="Spring", due_at=now, escalate_to=ada, state=ReviewCampaign.State.CLOSED)
    assert holdings(ada).is_nothing


def test_somebody_without_a_login_has_what_bears_their_name(ada: User, project: Project) -> None:
    token_of(project, "gmail", "", by="old-timer")
    make_project("ownerless")
    found = holdings(ada, "old-timer")
    assert [one.connector.integration_type_id for one in found.reaches] == ["gmail"]
    assert (found.person.user_id, found.projects) == (None, ())


def test_a_person_is_found_by_e_mail_address_too(ada: User) -> None:
    assert person_called("Ada@example.com").name == "ada"


def test_a_stranger_learns_nothing(ada: User, project: Project, stranger: User) -> None:
    token_of(project, "gmail", "ada@example.com")
    assert holdings(stranger).is_nothing
    assert people(stranger) == []


def test_people_are_listed_by_how_much_they_authorised(ada: User, project: Project) -> None:
    token_of(project, "gmail", "", by="grace")
    token_of(project, "slack", "", by="ada")
    make_connector(project, "notion", registered=[], consent_asked_by="grace")
    assert people(ada) == [("grace", 2), ("ada", 1)]
    assert people(ada, "gra") == [("grace", 2)]


def test_whoever_authorised_nothing_is_found_by_search_alone(ada: User) -> None:
    assert people(ada) == []
    assert people(ada, "ada@exa") == [("ada", 0)]


def test_queries_do_not_grow_with_what_hangs_on_them(ada: User, project: Project) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            holdings(ada)
        return len(seen)

    token_of(project, "gmail", "ada@example.com")
    queries()  # her roles are read once
    before = queries()
    for _ in range(5):
        token_of(make_project(owner=ada), "gmail", "ada@example.com")
    assert queries() == before


# --- The plan -----------------------------------------------------------------------------------------------------


def test_a_colleague_may_come_with_an_account_of_their_own_where_theirs_goes(ada: User, project: Project) -> None:
    mine, teams = token_of(project, "gmail", "ada@example.com"), token_of(project, "slack", "team@acme.com")
    made = plan(ada, [f"portal-{row.connector_id}" for row in (mine, teams)], [])
    assert [(one.connector.integration_type_id, one.other_account) for one in made.hand] == [
        ("gmail", True),
        ("slack", False),
    ]


def test_revoking_shows_all_that_end_with_it(ada: User, project: Project, oauth_client: OAuthClient) -> None:
    one = token_of(project, "gmail", "ada@example.com", oauth_client=oauth_client)
    other = token_of(project, "googledrive", "ada@example.com", oauth_client=oauth_client)
    made = plan(ada, [], [f"portal-{one.connector_id}"])
    assert [(ending.token, ending.others) for ending in made.end] == [(one, (other,))]
    assert made.shown == {one.pk, other.pk}


def test_what_is_handed_over_is_not_revoked_and_what_ends_all_the_same_is_said(
    ada: User, project: Project, oauth_client: OAuthClient
) -> None:
    one = token_of(project, "gmail", "ada@example.com", oauth_client=oauth_client)
    other = token_of(project, "googledrive", "ada@example.com", oauth_client=oauth_client)
    both = [f"portal-{row.connector_id}" for row in (one, other)]
    assert plan(ada, both, both).end == ()
    assert plan(ada, both[:1], both[1:]).stopped == (one,)


def test_carrying_out_ends_what_was_shown(ada: User, project: Project, oauth_client: OAuthClient) -> None:
    one = token_of(project, "gmail", "ada@example.com", oauth_client=oauth_client)
    made = plan(ada, [], [f"portal-{one.connector_id}"])
    (outcome,) = carry_out(made, [one.pk], SHELL)
    assert outcome.ended
    assert Token.objects.get().state == Token.State.REVOKED


def test_nothing_ends_when_more_would_end_than_was_shown(
    ada: User, project: Project, oauth_client: OAuthClient
) -> None:
    one = token_of(project, "gmail", "ada@example.com", oauth_client=oauth_client)
    token_of(project, "googledrive", "ada@example.com", oauth_client=oauth_client)
    with pytest.raises(Refused, match="More tokens would end"):
        carry_out(plan(ada, [], [f"portal-{one.connector_id}"]), [one.pk], SHELL)
    assert set(Token.objects.values_list("state", flat=True)) == {Token.State.FRESH}


def test_a_provider_that_ends_no_token_is_owned_up_to(ada: User, project: Project) -> None:
    one = token_of(project, "clickup", "ada@example.com", oauth_client=make_oauth_client(provider="clickup"))
    made = plan(ada, [], [f"portal-{one.connector_id}"])
    assert (len(made.refused), made.ending, bool(made)) == (1, (), False)


@pytest.mark.parametrize("key", ["", "portal-", "portal-x", "hosted-1", f"portal-{'9' * 40}", "nonsense"])
def test_senseless_keys_plan_nothing(key: str, ada: User) -> None:
    assert not plan(ada, [key], [key])


# --- Of what the viewer may see and change -------------------------------------------------------------------------


def seeing(project: Project, role: str) -> User:
    """Somebody else, with a role at this project alone."""
    user = make_user(f"{role}-of-{project.slug}", staff=True)
    make_membership(user, role, project=project)
    return user


def test_nothing_of_other_teams_is_among_what_hangs_on_somebody(ada: User, project: Project) -> None:
    other = make_project(owner=ada)
    for place in (project, other):
        token_of(place, "gmail", "ada@example.com")
    found = holdings(seeing(project, "auditor"))
    assert [one.connector.project for one in found.reaches] == [project]
    assert found.projects == ()
    assert people(seeing(project, "owner")) == [("ada", 1)]


def test_whoever_may_only_look_hands_over_and_ends_nothing(ada: User, project: Project) -> None:
    mine = token_of(project, "gmail", "ada@example.com")
    keys = [f"portal-{mine.connector_id}"]
    assert not plan(seeing(project, "auditor"), [], keys)
    assert not plan(seeing(project, "approver"), keys, [])
    assert plan(seeing(project, "editor"), [], keys)


def test_a_token_does_not_end_with_others_of_projects_where_one_may_only_look(
    ada: User, project: Project, oauth_client: OAuthClient
) -> None:
    other = make_project()
    mine = token_of(project, "gmail", "ada@example.com", oauth_client=oauth_client)
    token_of(other, "googledrive", "ada@example.com", oauth_client=oauth_client)
    editor = seeing(project, "editor")
    make_membership(editor, "auditor", project=other)
    (ending,) = plan(editor, [], [f"portal-{mine.connector_id}"]).end
    assert ending.others == ()
    assert "may end none" in ending.refusal
