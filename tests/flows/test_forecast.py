"""The forecast: which tokens end for good, from the facts of their provider, and who is told in time."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import override_settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors import tasks
from connectors.flows import forecast as forecasts
from connectors.flows.forecast import Forecast, forecast_for, warn_of_deaths
from connectors.models import Event, OAuthClient, Project, Sealed, Token
from tests.factories import make_connector, make_oauth_client, make_project, make_token

DAY = dt.timedelta(days=1)
GMAIL = ["https://www.googleapis.com/auth/gmail.readonly"]


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


@pytest.fixture
def testing(db: None) -> OAuthClient:
    """A client in testing mode: its tokens end seven days after consent."""
    return make_oauth_client(provider="google", is_testing=True)


@pytest.fixture
def published(db: None) -> OAuthClient:
    return make_oauth_client(provider="google")


def held(client: OAuthClient, *, days_old: float = 0, project: Project | None = None, **values: Any) -> Token:
    """A token of Gmail that was authorised so many days ago."""
    connector = make_connector(project or make_project(), values.pop("type_", "gmail"), GMAIL)
    authorised = timezone.now() - days_old * DAY
    return make_token(connector, oauth_client=client, **{"authorised_at": authorised, **values})


def ahead(user: User, days: int = 30) -> Forecast:
    return forecast_for(user, timezone.now(), days * DAY)


def test_a_token_of_a_client_in_testing_mode_is_foretold_with_the_remedy(testing: OAuthClient, operator: User) -> None:
    token = held(testing, days_old=2)
    (doomed,) = ahead(operator).doomed
    assert doomed.token == token
    assert (doomed.death.at - timezone.now()).days == 4
    assert "Publish the consent screen" in doomed.death.reason


def test_a_token_that_refreshes_itself_is_not_in_the_forecast(published: OAuthClient, operator: User) -> None:
    held(published)
    assert ahead(operator, 365).total == 0


@pytest.mark.parametrize("values", [{"refresh_token": Sealed(), "refresh_at": None}])
def test_a_token_without_anything_to_renew_it_ends_with_its_time(
    published: OAuthClient, operator: User, values: dict[str, Any]
) -> None:
    token = held(published)
    Token.objects.filter(pk=token.pk).update(**values)
    assert [doomed.death.at for doomed in ahead(operator).doomed] == [token.expires_at]


@pytest.mark.parametrize(
    "values",
    [
        {"refresh_at": None},
        {"refresh_at": timezone.now() - 3 * DAY},
        {"state": Token.State.FAILING, "failures": 3},
    ],
)
def test_a_token_that_is_not_being_refreshed_ends_when_the_provider_loses_patience(
    published: OAuthClient, operator: User, values: dict[str, Any]
) -> None:
    held(published, days_old=170, issued_at=timezone.now() - 170 * DAY, **values)
    (doomed,) = ahead(operator).doomed
    assert "not being refreshed" in doomed.death.reason


def test_a_misconfigured_client_lets_its_tokens_end(published: OAuthClient, operator: User) -> None:
    held(published, days_old=170, issued_at=timezone.now() - 170 * DAY)
    assert ahead(operator).total == 0
    OAuthClient.objects.update(state=OAuthClient.State.MISCONFIGURED, state_note="The secret is wrong.")
    found = ahead(operator)
    assert (found.total, [client.state_note for client in found.clients]) == (1, ["The secret is wrong."])


def test_the_facts_of_a_provider_do_not_hold_for_a_server_of_ones_own(operator: User) -> None:
    own = make_oauth_client(is_testing=True, settings={"token_url": "https://idp.example/token"})
    held(own, days_old=2)
    assert ahead(operator).total == 0


def test_only_what_ends_within_the_horizon_is_listed_soonest_first(testing: OAuthClient, operator: User) -> None:
    later, sooner = held(testing, days_old=1), held(testing, days_old=5)
    assert [doomed.token for doomed in ahead(operator).doomed] == [sooner, later]
    assert [doomed.token for doomed in ahead(operator, 3).doomed] == [sooner]


def test_what_needs_consent_or_was_revoked_has_no_future_to_tell(testing: OAuthClient, operator: User) -> None:
    for state in (Token.State.NEEDS_CONSENT, Token.State.REVOKED):
        held(testing, state=state)
    assert ahead(operator).total == 0


def test_endings_are_counted_by_week_and_far_ahead_by_month(testing: OAuthClient, operator: User) -> None:
    for days_old in (0, 0, 6.9, 8):
        held(testing, days_old=days_old)
    near, far = ahead(operator, 30), ahead(operator, 90)
    assert (near.by_week, sum(period.count for period in near.periods)) == (True, 4)
    assert near.periods[0] == forecasts.Period(None, 1)
    assert all(period.start.weekday() == 0 for period in near.periods if period.start)
    assert all(period.start.day == 1 for period in far.periods if period.start)


def test_failing_refreshes_are_named_apart(published: OAuthClient, operator: User) -> None:
    token = held(published, state=Token.State.FAILING, failing_since=timezone.now())
    assert ahead(operator).failing == (token,)


def test_one_sees_only_what_one_may(testing: OAuthClient, stranger: User) -> None:
    held(testing, state=Token.State.FAILING)
    OAuthClient.objects.update(state=OAuthClient.State.MISCONFIGURED)
    found = ahead(stranger)
    assert (found.total, found.failing, found.clients) == (0, (), ())


@pytest.mark.parametrize("count", [1, 12])
def test_the_number_of_queries_does_not_grow(
    count: int, testing: OAuthClient, operator: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        held(testing, state=Token.State.FAILING if number % 2 else Token.State.FRESH)
    with django_assert_num_queries(5):
        found = ahead(operator)
        assert [str(doomed.token.connector.project.workspace) for doomed in found.doomed]
    assert found.total == count


# --- Warnings --------------------------------------------------------------------------------------------------


def test_each_token_that_ends_soon_is_recorded_once(testing: OAuthClient) -> None:
    held(testing)
    assert [warn_of_deaths(timezone.now()) for _ in range(3)] == [1, 0, 0]
    event = Event.objects.get(verb="token.dying")
    assert "Publish the consent screen" in event.note


def test_another_date_is_another_warning(testing: OAuthClient) -> None:
    token = held(testing, days_old=3)
    warn_of_deaths(timezone.now())
    Token.objects.filter(pk=token.pk).update(authorised_at=timezone.now())
    assert warn_of_deaths(timezone.now()) == 1


@override_settings(TOKEN_WARN_DAYS=5)
def test_what_ends_later_than_the_setting_says_is_not_warned_of(testing: OAuthClient) -> None:
    held(testing)
    held(testing, days_old=8)  # over already: refreshing will find out
    assert warn_of_deaths(timezone.now()) == 0


def test_the_scheduled_task_warns(testing: OAuthClient) -> None:
    held(testing)
    tasks.warn_of_deaths()
    assert Event.objects.filter(verb="token.dying").count() == 1


def test_no_text_of_a_token_is_in_a_warning(testing: OAuthClient) -> None:
    token = held(testing)
    warn_of_deaths(timezone.now())
    texts = [repr(list(Event.objects.values_list()))]
    assert not [text for text in texts if token.access_token.reveal() in text or token.refresh_token.reveal() in text]
