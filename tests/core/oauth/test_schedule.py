"""When tokens are refreshed and failures are tried again."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.core.oauth.schedule import (
    LONGEST_PAUSE,
    MAX_MARGIN,
    MIN_MARGIN,
    is_hopeless,
    margin,
    next_try,
    refresh_at,
)

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
jitters = st.floats(0, 1)
lifetimes = st.floats(0, 10 * 365 * 86_400)


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [(3_600, 720), (600, 120), (100, 50), (180, 60), (5_184_000, MAX_MARGIN), (0, 0)],
)
def test_the_margin_fits_the_lifetime(lifetime: float, expected: float) -> None:
    assert margin(lifetime) == expected


@given(lifetimes, jitters)
def test_a_refresh_is_due_in_the_second_half_of_the_life(lifetime: float, jitter: float) -> None:
    end = NOON + dt.timedelta(seconds=lifetime)
    due = refresh_at(NOON, end, jitter)
    assert NOON + (end - NOON) / 2 - dt.timedelta(seconds=1) <= due <= end


@given(st.floats(4 * MIN_MARGIN, 10 * 365 * 86_400), jitters)
def test_a_refresh_leaves_time_before_the_end(lifetime: float, jitter: float) -> None:
    end = NOON + dt.timedelta(seconds=lifetime)
    assert end - refresh_at(NOON, end, jitter) >= dt.timedelta(seconds=MIN_MARGIN - 1)


def test_tokens_issued_together_are_not_refreshed_together() -> None:
    end = NOON + dt.timedelta(hours=1)
    assert refresh_at(NOON, end, 1.0) == NOON + dt.timedelta(minutes=42)
    assert refresh_at(NOON, end, 0.0) == NOON + dt.timedelta(minutes=48)


@given(st.integers(1, 1_000), jitters)
def test_the_next_try_is_never_at_once_and_never_far_off(failures: int, jitter: float) -> None:
    pause = (next_try(NOON, failures, jitter) - NOON).total_seconds()
    assert 20 < pause <= LONGEST_PAUSE * 1.25


def test_each_failure_waits_longer() -> None:
    tries = [next_try(NOON, failures, 0.5) for failures in (1, 2, 3, 4)]
    assert tries == sorted(set(tries))


def test_a_provider_that_says_when_is_believed() -> None:
    assert next_try(NOON, 1, 0.5, retry_after=600) == NOON + dt.timedelta(seconds=600)


def test_a_provider_that_says_next_year_is_not() -> None:
    assert next_try(NOON, 1, 0.5, retry_after=3e7) == NOON + dt.timedelta(seconds=LONGEST_PAUSE)


def test_a_day_of_failures_is_hopeless_only_when_the_token_has_ended() -> None:
    since = NOON - dt.timedelta(hours=25)
    assert is_hopeless(NOON, since, NOON - dt.timedelta(hours=20))
    assert not is_hopeless(NOON, since, NOON + dt.timedelta(days=20))
    assert not is_hopeless(NOON, NOON - dt.timedelta(hours=2), NOON - dt.timedelta(hours=1))
