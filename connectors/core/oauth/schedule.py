"""When to refresh a token, and when to try again: pure arithmetic on times."""

from __future__ import annotations

import datetime as dt

MIN_MARGIN = 60.0
"""Seconds: also a token that lives for minutes is renewed before a call can find it ended."""

MAX_MARGIN = 7 * 86_400.0
"""Seconds: a token that lives for months has a week in which somebody can see to it that refreshing works."""

FIRST_PAUSE = 30.0
LONGEST_PAUSE = 3_600.0

GIVE_UP_AFTER = dt.timedelta(hours=24)
"""A refresh that has failed for so long, of a token that has ended, is not tried again until somebody asks for it."""


def margin(lifetime: float) -> float:
    """Seconds before its end at which a token that lives `lifetime` seconds should be refreshed: a fifth of it,
    within MIN_MARGIN and MAX_MARGIN, and never in its first half."""
    return min(max(lifetime / 5, MIN_MARGIN), MAX_MARGIN, lifetime / 2)


def refresh_at(issued_at: dt.datetime, expires_at: dt.datetime, jitter: float) -> dt.datetime:
    """When to refresh; `jitter` in 0..1 spreads tokens that were issued together over half a margin.

    A token issued at 12:00 for an hour is due between 12:42 and 12:48.
    """
    lifetime = max((expires_at - issued_at).total_seconds(), 0.0)
    early = min(margin(lifetime) * (1 + jitter / 2), lifetime / 2)
    return expires_at - dt.timedelta(seconds=early)


def next_try(now: dt.datetime, failures: int, jitter: float, retry_after: float | None = None) -> dt.datetime:
    """When to try again after the `failures`th failure in a row: doubling from FIRST_PAUSE to LONGEST_PAUSE.

    A provider that says when to come back (`retry_after`, seconds) is believed, up to LONGEST_PAUSE.
    """
    pause = min(FIRST_PAUSE * 2.0 ** min(failures - 1, 20), LONGEST_PAUSE) * (0.75 + jitter / 2)
    if retry_after is not None:
        pause = max(pause, min(retry_after, LONGEST_PAUSE))
    return now + dt.timedelta(seconds=pause)


def is_hopeless(now: dt.datetime, failing_since: dt.datetime, expires_at: dt.datetime | None) -> bool:
    """Whether trying on by itself makes no sense any more."""
    ended = expires_at is None or expires_at <= now
    return ended and now - failing_since >= GIVE_UP_AFTER
