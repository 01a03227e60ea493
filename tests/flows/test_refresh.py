"""Refreshing: what is stored of the answer, what a failure means, and that it happens once."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.errors import Refused
from connectors.core.oauth.grant import Grant
from connectors.flows.refresh import TOKENS, fresh_access_token, prune_history, refresh_due, refresh_now
from connectors.flows.refresh_store import Answer, store_answers
from connectors.models import Event, OAuthClient, Project, Sealed, Token, TokenRefresh
from tests.factories import SHELL, make_connector, make_oauth_client, make_token
from tests.servers.token_endpoint import TokenServer

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)
Outcome = TokenRefresh.Outcome


@pytest.fixture
def client(idp: TokenServer) -> OAuthClient:
    return make_oauth_client(
        "idp",
        provider="google",
        settings={
            "issuer": idp.url,
            "authorize_url": f"{idp.url}/auth",
            "token_url": f"{idp.url}/token",
        },
    )


@pytest.fixture
def token(project: Project, client: OAuthClient, idp: TokenServer) -> Token:
    return due_token(project, client, idp)


def due_token(project: Project, client: OAuthClient, idp: TokenServer, type_: str = "gmail") -> Token:
    now = timezone.now()
    access, refresh = idp.issue()
    return make_token(
        make_connector(project, type_, ["openid"]),
        oauth_client=client,
        access=access,
        refresh=refresh,
        issued_at=now - HOUR,
        expires_at=now - dt.timedelta(seconds=1),
        refresh_at=now - dt.timedelta(minutes=5),
    )


def test_a_due_token_gets_a_new_pair_and_the_next_time(token: Token) -> None:
    old = token.access_token.reveal(), token.refresh_token.reveal()
    assert refresh_due() == 1
    token.refresh_from_db()
    assert token.access_token.reveal() != old[0]
    assert token.refresh_token.reveal() != old[1]
    assert token.refresh_at is not None
    assert timezone.now() + HOUR / 2 < token.refresh_at < timezone.now() + HOUR
    assert (token.generation, token.refresh_count, token.lease_until) == (1, 1, None)


def test_a_refresh_that_somebody_asked_for_or_that_failed_is_on_record(token: Token, idp: TokenServer) -> None:
    refresh_due()
    refresh_now(Token.objects.get(), SHELL)
    idp.fail_with(500, "server_error")
    Token.objects.update(refresh_at=timezone.now())
    refresh_due()
    events = list(Event.objects.order_by("pk"))
    assert [(event.verb, event.actor_label) for event in events] == [
        ("token.refreshed", SHELL.label),
        ("token.refresh_failed", "scheduler"),
    ]
    assert {event.project for event in events} == {token.connector.project}
    assert events[-1].after == {"outcome": "transient"}


def test_a_token_that_is_not_due_is_left_alone(token: Token, idp: TokenServer) -> None:
    Token.objects.update(refresh_at=timezone.now() + HOUR)
    assert refresh_due() == 0
    assert idp.forms == []


def test_the_old_refresh_token_stays_when_none_comes_back(token: Token, idp: TokenServer) -> None:
    idp.rotates = False
    refresh_due()
    refreshed = Token.objects.get()
    assert refreshed.refresh_token.reveal() == token.refresh_token.reveal()
    assert refreshed.access_token.reveal() != token.access_token.reveal()


def test_granted_scopes_stay_when_the_answer_names_none(token: Token) -> None:
    Token.objects.update(granted_scopes=["openid"])
    refresh_due()
    assert Token.objects.get().granted_scopes == ["openid"]


def test_granted_scopes_follow_the_answer(token: Token, idp: TokenServer) -> None:
    idp.extra = {"expires_in": 60, "scope": "openid email"}
    refresh_due()
    assert Token.objects.get().granted_scopes == ["openid", "email"]


def test_a_token_whose_end_is_not_told_is_refreshed_as_usual(token: Token, idp: TokenServer) -> None:
    idp.extra = {}
    refresh_due()
    token.refresh_from_db()
    assert token.expires_at is None
    assert token.refresh_at is not None
    assert timezone.now() + HOUR / 2 < token.refresh_at < timezone.now() + HOUR


def test_every_refresh_stands_in_the_history(token: Token) -> None:
    refresh_due()
    line = TokenRefresh.objects.get()
    assert (line.outcome, line.token_id, line.note) == (Outcome.OK, token.pk, "")


def test_consent_that_ended_needs_a_person_at_once(token: Token, idp: TokenServer) -> None:
    idp.fail_with(400, "invalid_grant")
    refresh_due()
    token.refresh_from_db()
    assert (token.state, token.refresh_at) == (Token.State.NEEDS_CONSENT, None)
    assert TokenRefresh.objects.get().outcome == Outcome.CONSENT
    assert Event.objects.get(verb="token.needs_consent").project == token.connector.project
    assert refresh_due() == 0


def test_a_refused_client_stops_all_its_tokens(project: Project, client: OAuthClient, idp: TokenServer) -> None:
    tokens = [due_token(project, client, idp, type_) for type_ in ("gmail", "googlecalendar", "googledrive")]
    idp.fail_with(401, "invalid_client")
    refresh_due(threads=1)
    client.refresh_from_db()
    assert client.state == OAuthClient.State.MISCONFIGURED
    assert Event.objects.filter(verb="oauth_client.misconfigured").count() == 1
    conditions = {token.condition(timezone.now()) for token in Token.objects.filter(pk__in=[t.pk for t in tokens])}
    assert conditions == {Token.Condition.MISCONFIGURED}
    calls = idp.refreshes
    assert refresh_due() == 0
    assert idp.refreshes == calls


def test_tokens_of_other_clients_go_on(project: Project, client: OAuthClient, idp: TokenServer) -> None:
    client.state = OAuthClient.State.MISCONFIGURED
    client.save()
    due_token(project, client, idp)
    other = make_oauth_client("second", provider="google", settings=client.settings)
    good = due_token(project, other, idp, "googledrive")
    assert refresh_due() == 1
    assert Token.objects.get(pk=good.pk).refresh_count == 1


def test_a_passing_failure_is_tried_again_later_and_later(token: Token, idp: TokenServer) -> None:
    idp.fail_with(503, "temporarily_unavailable")
    pauses = []
    for _ in range(3):
        refresh_due()
        token.refresh_from_db()
        assert token.refresh_at is not None
        pauses.append(token.refresh_at - timezone.now())
        Token.objects.update(refresh_at=timezone.now())
    assert token.state == Token.State.FAILING
    assert pauses[0] < pauses[1] < pauses[2]
    assert token.last_error != ""


def test_a_provider_that_is_down_is_asked_a_few_times_only(
    project: Project, client: OAuthClient, idp: TokenServer
) -> None:
    types = ("gmail", "googlecalendar", "googledrive", "googledocs", "googlesheets", "googlemeet")
    tokens = [due_token(project, client, idp, type_) for type_ in types]
    idp.fail_with(503, "temporarily_unavailable")
    assert refresh_due(threads=1) == len(tokens)
    assert idp.refreshes == 3
    assert set(Token.objects.values_list("state", "failures")) == {(Token.State.FAILING, 1)}


def test_a_provider_that_is_down_holds_up_no_other(project: Project, client: OAuthClient, idp: TokenServer) -> None:
    for type_ in ("gmail", "googlecalendar", "googledrive", "googledocs"):
        due_token(project, client, idp, type_)
    other = make_oauth_client("second", provider="google", settings=client.settings)
    good = due_token(project, other, idp, "googlemeet")
    failing = client.client_id
    idp.override = lambda form: (503, {"error": "down"}) if form["client_id"] == failing else None
    refresh_due(threads=1)
    assert Token.objects.get(pk=good.pk).refresh_count == 1


def test_after_a_day_of_failures_it_gives_up_visibly(token: Token, idp: TokenServer) -> None:
    idp.fail_with(503, "temporarily_unavailable")
    Token.objects.update(failures=9, failing_since=timezone.now() - dt.timedelta(hours=25), state="failing")
    refresh_due()
    token.refresh_from_db()
    assert (token.state, token.refresh_at) == (Token.State.FAILING, None)
    assert Event.objects.filter(verb="token.gave_up").count() == 1


def test_success_after_failures_forgets_them(token: Token) -> None:
    Token.objects.update(failures=4, failing_since=timezone.now() - HOUR, state="failing", last_error="Away.")
    refresh_due()
    token.refresh_from_db()
    assert (token.state, token.failures, token.failing_since, token.last_error) == ("fresh", 0, None, "")


def test_a_lost_key_is_said_and_hurts_only_its_token(project: Project, client: OAuthClient, idp: TokenServer) -> None:
    lost = due_token(project, client, idp)
    good = due_token(project, client, idp, "googledrive")
    Token.objects.filter(pk=lost.pk).update(refresh_token=Sealed("no-key-opens-this"))
    refresh_due()
    lost.refresh_from_db()
    assert lost.state == Token.State.FAILING
    assert "ENCRYPTION_KEYS" in lost.last_error
    assert Token.objects.get(pk=good.pk).refresh_count == 1


def test_a_token_given_anew_meanwhile_is_not_overwritten(token: Token) -> None:
    assert TOKENS.take(token.pk, 0, timezone.now())
    late = Answer(token.pk, 0, Grant(SecretStr("too-late")), None, 0.1, timezone.now(), 0.5)
    Token.objects.update(generation=5, access_token=Sealed.of("given-meanwhile"))
    store_answers([late], SHELL)
    assert Token.objects.get().access_token.reveal() == "given-meanwhile"
    assert not TokenRefresh.objects.exists()


def test_an_answer_that_was_never_asked_for_leaves_the_lease_alone(token: Token) -> None:
    assert TOKENS.take(token.pk, 0, timezone.now())
    given_up = Answer(token.pk, 0, None, None, 0.0, timezone.now(), 0.5, sent=False)
    store_answers([given_up], SHELL)
    assert Token.objects.get().lease_until is not None


def test_a_leased_token_is_left_to_its_worker(token: Token, idp: TokenServer) -> None:
    assert TOKENS.take(token.pk, token.generation, timezone.now())
    assert refresh_due() == 0
    assert idp.forms == []


def test_a_lease_that_ran_out_is_taken_over(token: Token) -> None:
    Token.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    assert refresh_due() == 1
    assert Token.objects.get().refresh_count == 1


def test_a_fresh_access_token_costs_no_call(token: Token, idp: TokenServer) -> None:
    Token.objects.update(expires_at=timezone.now() + HOUR)
    assert fresh_access_token(token.pk, SHELL).get_secret_value() == token.access_token.reveal()
    assert idp.forms == []


def test_use_is_noted_to_the_hour(token: Token) -> None:
    Token.objects.update(expires_at=timezone.now() + HOUR)
    fresh_access_token(token.pk, SHELL)
    first = Token.objects.get().used_at
    fresh_access_token(token.pk, SHELL)
    assert first is not None
    assert Token.objects.get().used_at == first
    assert Event.objects.get(verb="token.used").actor_label == SHELL.label


def test_an_ended_access_token_is_refreshed_on_use(token: Token) -> None:
    given = fresh_access_token(token.pk, SHELL).get_secret_value()
    assert given == Token.objects.get().access_token.reveal() != token.access_token.reveal()


def test_without_consent_there_is_no_access_token(token: Token, idp: TokenServer) -> None:
    idp.fail_with(400, "invalid_grant")
    with pytest.raises(Refused):
        fresh_access_token(token.pk, SHELL)
    with pytest.raises(Refused):
        fresh_access_token(token.pk, SHELL)
    assert idp.refreshes == 1


def test_refresh_now_does_it_before_its_time(token: Token, idp: TokenServer) -> None:
    Token.objects.update(refresh_at=timezone.now() + HOUR)
    assert refresh_now(token, SHELL).outcome == Outcome.OK
    assert idp.refreshes == 1


def test_refresh_now_tells_a_failure(token: Token, idp: TokenServer) -> None:
    idp.fail_with(500, "server_error")
    line = refresh_now(token, SHELL)
    assert line.outcome == Outcome.TRANSIENT
    assert line.note


def test_no_error_text_holds_a_token(token: Token, idp: TokenServer) -> None:
    idp.override = lambda form: (
        400,
        {"error": "odd", "error_description": f"no such {form['refresh_token']}"},
    )
    refresh_due()
    refreshed = Token.objects.get()
    secret = token.refresh_token.reveal()
    assert secret not in refreshed.last_error + TokenRefresh.objects.get().note


def test_history_is_kept_a_week_and_failures_longer(token: Token) -> None:
    now = timezone.now()
    for outcome, days in ((Outcome.OK, 8), (Outcome.OK, 6), (Outcome.TRANSIENT, 8), (Outcome.TRANSIENT, 31)):
        TokenRefresh.objects.create(token=token, at=now - dt.timedelta(days=days), outcome=outcome)
    prune_history(now, keep_days=30)
    left = TokenRefresh.objects.order_by("at").values_list("outcome", flat=True)
    assert list(left) == [Outcome.TRANSIENT, Outcome.OK]
