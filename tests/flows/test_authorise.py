"""Authorising with the team's own client: who may come back, what the answer must hold, and what is kept."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.errors import Refused
from connectors.core.oauth.answer_check import CallbackAnswer
from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.grant import Grant
from connectors.core.oauth.inspect import Account
from connectors.core.oauth.profile import Profile, Registration, profile_of
from connectors.flows.authorise import (
    TIME_TO_DECIDE,
    StateError,
    Wish,
    claim,
    depart,
    finish,
    forget_abandoned,
    refuse_hopeless,
)
from connectors.models import Authorisation, Connector, Event, OAuthClient, Project, Token
from tests.factories import SHELL, make_connector, make_oauth_client, make_rule, make_token, make_workspace

pytestmark = pytest.mark.django_db

Outcome = Authorisation.Outcome
ISSUER = "https://idp.example"
NONCE = SecretStr("nonce-of-this-trip")


@dataclass
class Answers:
    """A trip whose provider answers as told: `flows.authorise.Trip` without HTTP."""

    grant: Grant | OAuthError
    account: Account | None = None
    client_id: str = "client-1"
    profile: Profile = field(
        default_factory=lambda: profile_of(
            "gmail",
            Registration(
                "client-1",
                SecretStr(""),
                {"issuer": ISSUER, "authorize_url": f"{ISSUER}/auth", "token_url": f"{ISSUER}/token"},
            ),
        )
    )
    exchanges: int = 0

    def exchange(self) -> Grant:
        self.exchanges += 1
        if isinstance(self.grant, OAuthError):
            raise self.grant
        return self.grant

    def identify(self, grant: Grant) -> Account | None:
        return self.account

    def can_refresh(self, grant: Grant) -> bool:
        return grant.refresh_token is not None


def granted(*scopes: str, claims: Mapping[str, Any] | None = None, refresh: str = "refresh-1") -> Grant:
    return Grant(
        access_token=SecretStr("access-1"),
        refresh_token=SecretStr(refresh) if refresh else None,
        expires_in=3600,
        scopes=scopes or None,
        claims=claims or {},
    )


ALICE = Account("sub-alice", "alice@acme.example")
BOB = Account("sub-bob", "bob@acme.example")
SCOPES = ["openid", "https://www.googleapis.com/auth/gmail.readonly"]
CODE = CallbackAnswer(code=True, iss=ISSUER)


@pytest.fixture
def connector(project: Project) -> Connector:
    return make_connector(project, "gmail", SCOPES)


@pytest.fixture
def client(connector: Connector) -> OAuthClient:
    return make_oauth_client("idp", provider="google")


def leave(connector: Connector, client: OAuthClient, user: User, **values: Any) -> str:
    wish = Wish(connector, client, user.pk, "session-1", "https://portal.example/oauth/idp/callback/", **values)
    return depart(wish, verifier=SecretStr("verifier"), nonce=NONCE, now=timezone.now()).get_secret_value()


def come_back(state: str, client: OAuthClient, user: User, *, session: str = "session-1") -> Authorisation:
    return claim(state, client, user_id=user.pk, session_key=session, now=timezone.now())


def travel(
    connector: Connector,
    client: OAuthClient,
    user: User,
    trip: Answers,
    answer: CallbackAnswer = CODE,
    **values: Any,
) -> Authorisation:
    state = leave(connector, client, user, **values)
    return finish(come_back(state, client, user), answer, trip, SHELL, timezone.now())


def test_all_scopes_granted_connects(connector: Connector, client: OAuthClient, operator: User) -> None:
    settled = travel(connector, client, operator, Answers(granted(*SCOPES), ALICE))
    token = Token.objects.get(connector=connector)
    assert settled.outcome == Outcome.CONNECTED
    assert (token.account, token.account_id, token.granted_scopes) == (ALICE.label, ALICE.id, SCOPES)
    assert token.authorised_by == operator
    assert token.access_token.reveal() == "access-1"
    assert token.refresh_at is not None


def test_what_was_secret_about_the_trip_is_forgotten(connector: Connector, client: OAuthClient, operator: User) -> None:
    settled = travel(connector, client, operator, Answers(granted(*SCOPES), ALICE))
    stored = Authorisation.objects.get(pk=settled.pk)
    assert not stored.verifier
    assert not stored.nonce


def test_a_silent_provider_leaves_the_granted_scopes_unknown(
    connector: Connector, client: OAuthClient, operator: User
) -> None:
    travel(connector, client, operator, Answers(granted(), ALICE))
    assert Token.objects.get().granted_scopes is None


def test_a_token_whose_end_is_not_told_is_refreshed_as_usual(
    connector: Connector, client: OAuthClient, operator: User
) -> None:
    grant = dataclasses.replace(granted(*SCOPES), expires_in=None)
    travel(connector, client, operator, Answers(grant, ALICE))
    token = Token.objects.get()
    assert token.expires_at is None
    assert token.refresh_at is not None


def test_without_a_refresh_token_nothing_is_scheduled(
    connector: Connector, client: OAuthClient, operator: User
) -> None:
    travel(connector, client, operator, Answers(granted(*SCOPES, refresh=""), ALICE))
    assert Token.objects.get().refresh_at is None


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (CallbackAnswer(error="access_denied", iss=ISSUER), Outcome.DENIED),
        (CallbackAnswer(error="temporarily_unavailable", iss=ISSUER), Outcome.PROVIDER_DOWN),
        (CallbackAnswer(error="invalid_scope", iss=ISSUER), Outcome.PROVIDER_ERROR),
        (CallbackAnswer(error="unauthorized_client", iss=ISSUER), Outcome.CLIENT_ERROR),
        (CallbackAnswer(iss=ISSUER), Outcome.PROVIDER_ERROR),
        (CallbackAnswer(code=True, iss="https://other.example"), Outcome.NOT_TRUSTED),
        (CallbackAnswer(error="access_denied", iss="https://other.example"), Outcome.NOT_TRUSTED),
    ],
)
def test_an_answer_without_a_trusted_code_changes_nothing(
    connector: Connector, client: OAuthClient, operator: User, answer: CallbackAnswer, outcome: Outcome
) -> None:
    make_token(connector, oauth_client=client, access="held-before")
    trip = Answers(granted(*SCOPES), ALICE)
    settled = travel(connector, client, operator, trip, answer)
    assert (settled.outcome, trip.exchanges) == (outcome, 0)
    assert settled.message
    assert Token.objects.get().access_token.reveal() == "held-before"


def test_each_failure_has_its_own_message(connector: Connector, client: OAuthClient, operator: User) -> None:
    errors = ("access_denied", "server_error", "invalid_scope", "unauthorized_client", "something_else")
    trip = Answers(granted(*SCOPES), ALICE)
    said = {
        travel(connector, client, operator, trip, CallbackAnswer(error=error, iss=ISSUER)).message for error in errors
    }
    assert len(said) == len(errors)


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (Kind.TRANSIENT, Outcome.PROVIDER_DOWN),
        (Kind.CLIENT, Outcome.CLIENT_ERROR),
        (Kind.REFUSED, Outcome.PROVIDER_ERROR),
        (Kind.CONSENT, Outcome.PROVIDER_ERROR),
    ],
)
def test_a_failed_exchange_keeps_what_there_was(
    connector: Connector, client: OAuthClient, operator: User, kind: Kind, outcome: Outcome
) -> None:
    make_token(connector, oauth_client=client, access="held-before")
    trip = Answers(OAuthError("It did not work.", kind=kind))
    assert travel(connector, client, operator, trip).outcome == outcome
    assert Token.objects.get().access_token.reveal() == "held-before"


def test_a_refused_client_is_marked(connector: Connector, client: OAuthClient, operator: User) -> None:
    travel(connector, client, operator, Answers(OAuthError("No such client.", kind=Kind.CLIENT)))
    client.refresh_from_db()
    assert (client.state, client.state_note) == (OAuthClient.State.MISCONFIGURED, "No such client.")


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "of-another-trip"},
        {"nonce": None},
        {"iss": "https://other.example"},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
    ],
)
def test_an_identity_token_that_is_not_for_us_is_not_believed(
    connector: Connector, client: OAuthClient, operator: User, wrong: dict[str, Any]
) -> None:
    claims = {"iss": ISSUER, "aud": "client-1", "nonce": NONCE.get_secret_value(), "sub": "sub-alice", **wrong}
    settled = travel(connector, client, operator, Answers(granted(*SCOPES, claims=claims), ALICE))
    assert settled.outcome == Outcome.NOT_TRUSTED
    assert not Token.objects.exists()


def test_an_identity_token_of_this_trip_is_believed(connector: Connector, client: OAuthClient, operator: User) -> None:
    claims = {"iss": ISSUER, "aud": ["client-1"], "nonce": NONCE.get_secret_value(), "sub": "sub-alice"}
    settled = travel(connector, client, operator, Answers(granted(*SCOPES, claims=claims), ALICE))
    assert settled.outcome == Outcome.CONNECTED


def test_fewer_scopes_at_first_are_stored_and_said(connector: Connector, client: OAuthClient, operator: User) -> None:
    settled = travel(connector, client, operator, Answers(granted("openid"), ALICE))
    assert settled.outcome == Outcome.FEWER_SCOPES
    assert "gmail.readonly" in settled.message
    assert Token.objects.get().granted_scopes == ["openid"]


def test_fewer_scopes_than_the_token_has_keep_that_token(
    connector: Connector, client: OAuthClient, operator: User
) -> None:
    make_token(connector, oauth_client=client, access="held-before", granted_scopes=SCOPES, account_id=ALICE.id)
    settled = travel(connector, client, operator, Answers(granted("openid"), ALICE))
    assert settled.outcome == Outcome.FEWER_SCOPES
    assert Token.objects.get().access_token.reveal() == "held-before"


def test_another_account_does_not_take_over_by_accident(
    connector: Connector, client: OAuthClient, operator: User
) -> None:
    make_token(connector, oauth_client=client, access="held-before", account=ALICE.label, account_id=ALICE.id)
    settled = travel(connector, client, operator, Answers(granted(*SCOPES), BOB))
    assert settled.outcome == Outcome.OTHER_ACCOUNT
    assert ALICE.label in settled.message
    assert BOB.label in settled.message
    assert Token.objects.get().account == ALICE.label


def test_another_account_takes_over_when_that_was_wanted(
    connector: Connector, client: OAuthClient, operator: User
) -> None:
    make_token(connector, oauth_client=client, account=ALICE.label, account_id=ALICE.id)
    travel(connector, client, operator, Answers(granted(*SCOPES), BOB), allow_other_account=True)
    assert Token.objects.get().account == BOB.label


@pytest.mark.parametrize("account", [Account("sub-eve", "eve@evil.example"), Account("sub-eve", "eve"), None])
def test_only_accounts_of_the_allowed_domains_are_taken(
    connector: Connector, client: OAuthClient, operator: User, account: Account | None
) -> None:
    workspace = connector.project.workspace
    workspace.allowed_account_domains = ["acme.example"]
    workspace.save()
    settled = travel(connector, client, operator, Answers(granted(*SCOPES), account))
    assert settled.outcome == Outcome.WRONG_DOMAIN
    assert "acme.example" in settled.message
    assert not Token.objects.exists()


def test_an_account_of_an_allowed_domain_is_taken(connector: Connector, client: OAuthClient, operator: User) -> None:
    workspace = connector.project.workspace
    workspace.allowed_account_domains = ["acme.example"]
    workspace.save()
    assert travel(connector, client, operator, Answers(granted(*SCOPES), ALICE)).outcome == Outcome.CONNECTED


def test_a_policy_about_accounts_is_asked_once_it_is_known_whose_it_is(
    connector: Connector, client: OAuthClient, operator: User
) -> None:
    make_rule("Our own accounts", effect="approval", account_domains=["acme.example"])
    settled = travel(connector, client, operator, Answers(granted(*SCOPES), Account("sub-eve", "eve@evil.example")))
    assert settled.outcome == Outcome.WRONG_DOMAIN
    assert "“Our own accounts” says so" in settled.message
    assert not Token.objects.exists()


def test_authorising_anew_is_a_new_generation(connector: Connector, client: OAuthClient, operator: User) -> None:
    held = make_token(connector, oauth_client=client, generation=7, lease_until=timezone.now())
    travel(connector, client, operator, Answers(granted(*SCOPES), ALICE))
    held.refresh_from_db()
    assert (held.generation, held.lease_until) == (8, None)


def test_success_and_failure_are_on_record(connector: Connector, client: OAuthClient, operator: User) -> None:
    travel(connector, client, operator, Answers(granted(*SCOPES), ALICE), CallbackAnswer(error="access_denied"))
    travel(connector, client, operator, Answers(granted(*SCOPES), ALICE))
    verbs = Event.objects.order_by("pk").values_list("verb", "project_id")
    assert list(verbs) == [
        ("authorisation.failed", connector.project_id),
        ("token.authorised", connector.project_id),
    ]


def test_a_state_counts_once(connector: Connector, client: OAuthClient, operator: User) -> None:
    state = leave(connector, client, operator)
    come_back(state, client, operator)
    with pytest.raises(StateError, match="used already"):
        come_back(state, client, operator)


def test_a_state_of_nobody_is_refused(connector: Connector, client: OAuthClient, operator: User) -> None:
    with pytest.raises(StateError, match="not started here"):
        come_back("made-up", client, operator)


def test_another_person_cannot_bring_the_answer(
    connector: Connector, client: OAuthClient, operator: User, viewer: User
) -> None:
    state = leave(connector, client, operator)
    with pytest.raises(StateError, match="not started here"):
        come_back(state, client, viewer)
    assert come_back(state, client, operator).claimed_at is not None


def test_another_browser_cannot_bring_the_answer(connector: Connector, client: OAuthClient, operator: User) -> None:
    state = leave(connector, client, operator)
    with pytest.raises(StateError, match="not started here"):
        come_back(state, client, operator, session="session-2")


def test_an_answer_for_one_client_is_none_for_another(
    connector: Connector, client: OAuthClient, operator: User
) -> None:
    state = leave(connector, client, operator)
    with pytest.raises(StateError, match="not started here"):
        come_back(state, make_oauth_client("other", provider="google"), operator)


def test_a_late_answer_is_refused_and_closed(connector: Connector, client: OAuthClient, operator: User) -> None:
    state = leave(connector, client, operator)
    Authorisation.objects.update(expires_at=timezone.now())
    with pytest.raises(StateError, match="too long"):
        come_back(state, client, operator)
    assert Authorisation.objects.get().outcome == Outcome.EXPIRED


def test_abandoned_trips_are_closed_and_hold_no_secret(
    connector: Connector, client: OAuthClient, operator: User
) -> None:
    leave(connector, client, operator)
    assert forget_abandoned(timezone.now()) == 0
    assert forget_abandoned(timezone.now() + TIME_TO_DECIDE + dt.timedelta(seconds=1)) == 1
    closed = Authorisation.objects.get()
    assert (closed.outcome, bool(closed.verifier)) == (Outcome.EXPIRED, False)


@pytest.mark.django_db(transaction=True)
def test_of_eight_replays_at_once_one_is_taken(connector: Connector, client: OAuthClient, operator: User) -> None:
    state = leave(connector, client, operator)

    def replay(_: int) -> bool:
        try:
            come_back(state, client, operator)
        except StateError:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(replay, range(8))) == 1


def test_a_connector_that_nobody_asks_for_is_not_authorised(project: Project, client: OAuthClient) -> None:
    undeclared = make_connector(project, "googledrive", SCOPES, is_declared=False)
    with pytest.raises(Refused, match="does not ask"):
        refuse_hopeless(undeclared, client)


def test_a_connector_without_scopes_is_not_authorised(project: Project, client: OAuthClient) -> None:
    with pytest.raises(Refused, match="no scopes"):
        refuse_hopeless(make_connector(project, "googledrive"), client)


def test_stripe_says_why_it_is_not_authorised(project: Project) -> None:
    with pytest.raises(Refused, match="Base44"):
        refuse_hopeless(make_connector(project, "stripe"), make_oauth_client("stripe", provider="stripe"))


def test_a_client_of_another_workspace_does_not_serve(connector: Connector) -> None:
    foreign = make_oauth_client("foreign", provider="google", workspace=make_workspace())
    with pytest.raises(Refused, match="does not serve"):
        refuse_hopeless(connector, foreign)


def test_a_client_of_another_provider_does_not_serve(connector: Connector) -> None:
    with pytest.raises(Refused, match="does not serve"):
        refuse_hopeless(connector, make_oauth_client("ms", provider="microsoft"))
