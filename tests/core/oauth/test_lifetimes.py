"""When a token ends for good, and what does not count as an end."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.core.catalog import Lifetimes, load_catalog
from connectors.core.oauth.lifetimes import Death, deaths

CONSENT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)


def forecast(facts: Lifetimes | None = None, **known: Any) -> tuple[Death, ...]:
    """A token that was just given, lasts an hour, and refreshes well, unless said otherwise."""
    values: dict[str, Any] = {
        "authorised_at": CONSENT,
        "issued_at": CONSENT,
        "refreshed_at": None,
        "used_at": None,
        "expires_at": CONSENT + HOUR,
        "refresh_expires_at": None,
        "has_refresh_token": True,
        "is_testing": False,
        "refresh_works": True,
    }
    return deaths(facts or Lifetimes(), **values | known)


def of(slug: str) -> Lifetimes:
    return load_catalog().types[slug].oauth.lifetimes


def test_the_hourly_end_that_refreshing_takes_care_of_is_no_death() -> None:
    assert forecast() == ()
    assert forecast(refresh_works=False) == ()


def test_a_google_client_in_testing_mode_ends_its_tokens_after_seven_days() -> None:
    (death,) = forecast(of("gmail"), provider="Google", is_testing=True)
    reason = "Google ends tokens of an app in testing mode after 7 days. Publish the consent screen."
    assert death == Death(CONSENT + 7 * DAY, reason, certain=True)


def test_testing_mode_means_nothing_at_a_provider_without_one() -> None:
    assert forecast(of("github"), is_testing=True) == ()


def test_refreshing_does_not_move_the_end_that_testing_mode_sets() -> None:
    (death,) = forecast(of("gmail"), is_testing=True, refreshed_at=CONSENT + 6 * DAY, issued_at=CONSENT + 6 * DAY)
    assert death.at == CONSENT + 7 * DAY


def test_a_google_token_that_is_refreshed_lives_on() -> None:
    assert forecast(of("gmail")) == ()


def test_a_google_token_whose_refresh_fails_ends_half_a_year_after_the_last_one_that_worked() -> None:
    (death,) = forecast(of("gmail"), refresh_works=False, refreshed_at=CONSENT + 10 * DAY)
    assert (death.at, death.certain) == (CONSENT + 190 * DAY, False)


def test_a_cap_holds_however_often_the_token_is_refreshed() -> None:
    (death,) = forecast(of("quickbooks"), provider="QuickBooks", refreshed_at=CONSENT + 400 * DAY)
    assert death.at == CONSENT + 5 * 365 * DAY
    assert death.certain
    assert "5 years" in death.reason


def test_a_refresh_token_that_refreshing_does_not_prolong_ends_as_counted_from_consent() -> None:
    (death,) = forecast(of("linkedin"), refreshed_at=CONSENT + 100 * DAY, issued_at=CONSENT + 100 * DAY)
    assert death.at == CONSENT + 365 * DAY


def test_what_the_provider_said_goes_before_what_is_usual() -> None:
    (death,) = forecast(of("snowflake"), refresh_expires_at=CONSENT + 30 * DAY)
    assert (death.at, death.certain) == (CONSENT + 30 * DAY, True)


def test_a_refresh_token_that_each_refresh_renews_ends_only_when_refreshing_fails() -> None:
    renewed = CONSENT + 3 * DAY
    known = {"refreshed_at": renewed, "issued_at": renewed, "refresh_expires_at": renewed + 60 * DAY}
    assert forecast(of("airtable"), **known) == ()
    (death,) = forecast(of("airtable"), **known, refresh_works=False)
    assert (death.at, death.certain) == (renewed + 60 * DAY, False)


def test_a_renewed_refresh_token_ends_as_usual_where_the_provider_says_nothing() -> None:
    (death,) = forecast(of("outlook"), refresh_works=False, refreshed_at=CONSENT + DAY)
    assert death.at == CONSENT + 91 * DAY


def test_without_a_refresh_token_the_end_of_the_access_token_is_the_end() -> None:
    (death,) = forecast(expires_at=CONSENT + 60 * DAY, has_refresh_token=False, refresh_works=False)
    assert (death.at, death.certain) == (CONSENT + 60 * DAY, True)
    assert "no refresh token" in death.reason


def test_an_access_token_that_renews_itself_lives_on() -> None:
    assert forecast(has_refresh_token=False, refresh_works=True) == ()


def test_an_instagram_token_that_is_not_renewed_ends_after_sixty_days() -> None:
    (death,) = forecast(of("instagram"), refresh_works=False)
    assert death.at == CONSENT + 60 * DAY


def test_an_unused_token_of_an_oauth_app_at_github_ends_after_a_year_from_its_last_use() -> None:
    known = {"has_refresh_token": False, "refresh_works": False, "expires_at": None}
    (death,) = forecast(of("github"), **known, used_at=CONSENT + 20 * DAY)
    assert (death.at, death.certain) == (CONSENT + 385 * DAY, False)


def test_the_soonest_end_comes_first() -> None:
    facts = Lifetimes(cap_s=100 * 86_400, testing_s=7 * 86_400, refresh_s=50 * 86_400)
    assert [death.at - CONSENT for death in forecast(facts, is_testing=True)] == [7 * DAY, 50 * DAY, 100 * DAY]


def test_an_end_before_consent_is_put_at_consent() -> None:
    (death,) = forecast(refresh_expires_at=CONSENT - DAY)
    assert death.at == CONSENT


@pytest.mark.parametrize(("seconds", "said"), [(3_600 * 12, "12 hours"), (604_800, "7 days"), (63_072_000, "2 years")])
def test_a_span_is_said_in_the_unit_that_people_use(seconds: int, said: str) -> None:
    (death,) = forecast(Lifetimes(cap_s=seconds))
    assert said in death.reason


SPANS = st.none() | st.integers(min_value=3_600, max_value=20 * 365 * 86_400)
TIMES = st.none() | st.integers(min_value=-3_000, max_value=9_000).map(lambda days: CONSENT + days * DAY)
FACTS = st.builds(
    Lifetimes,
    refresh_s=SPANS,
    refresh_slides=st.booleans(),
    idle_s=SPANS,
    cap_s=SPANS,
    testing_s=SPANS,
    access_idle_s=SPANS,
)
KNOWN = st.fixed_dictionaries(
    {
        "refreshed_at": TIMES,
        "used_at": TIMES,
        "expires_at": TIMES,
        "refresh_expires_at": TIMES,
        "has_refresh_token": st.booleans(),
        "is_testing": st.booleans(),
        "refresh_works": st.booleans(),
    }
)


@given(facts=FACTS, known=KNOWN)
def test_ends_come_sorted_never_before_consent_and_each_says_what_to_do(
    facts: Lifetimes, known: dict[str, Any]
) -> None:
    found = forecast(facts, **known)
    assert [death.at for death in found] == sorted(death.at for death in found)
    assert all(death.at >= CONSENT for death in found)
    assert all(death.reason.count(". ") == 1 and death.reason.endswith(".") for death in found)


@given(facts=FACTS, known=KNOWN)
def test_a_refresh_that_works_never_brings_an_end_nearer(facts: Lifetimes, known: dict[str, Any]) -> None:
    working = forecast(facts, **known | {"refresh_works": True})
    failing = forecast(facts, **known | {"refresh_works": False})
    assert set(working) <= set(failing)


@given(slides=st.booleans(), known=KNOWN)
def test_without_facts_a_token_ends_only_when_its_provider_said_so(slides: bool, known: dict[str, Any]) -> None:
    said = {known["expires_at"], known["refresh_expires_at"], CONSENT}
    assert {death.at for death in forecast(Lifetimes(refresh_slides=slides), **known)} <= said


@given(facts=FACTS, known=KNOWN)
def test_a_later_use_never_brings_the_first_end_nearer(facts: Lifetimes, known: dict[str, Any]) -> None:
    before = forecast(facts, **known | {"used_at": CONSENT})
    after = forecast(facts, **known | {"used_at": CONSENT + 30 * DAY})
    assert [a.at >= b.at for a, b in zip(after, before, strict=True)] == [True] * len(before)
