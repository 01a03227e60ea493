"""Quiet hours: by day, over midnight, and when the clocks change."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest

from connectors.core.quiet_hours import quiet_end

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("now", "start", "end", "over"),
    [
        ("2026-01-10 12:30", "12:00", "14:00", "2026-01-10 13:00"),
        ("2026-01-10 21:30", "22:00", "07:00", "2026-01-11 06:00"),
        ("2026-01-11 03:00", "22:00", "07:00", "2026-01-11 06:00"),
        ("2026-01-11 06:00", "22:00", "07:00", None),
        ("2026-01-10 20:59", "22:00", "07:00", None),
        ("2026-07-10 20:30", "22:00", "07:00", "2026-07-11 05:00"),
        ("2026-01-10 12:00", "07:00", "07:00", None),
        ("2026-03-28 22:00", "22:00", "07:00", "2026-03-29 05:00"),  # the night that lacks an hour
        ("2026-10-24 22:00", "22:00", "07:00", "2026-10-25 06:00"),  # and the one that has one more
        ("2026-10-25 01:15", "22:00", "02:30", "2026-10-25 01:30"),  # 02:15 for the second time
    ],
)
def test_quiet_hours_end_by_the_clock_of_their_place(now: str, start: str, end: str, over: str | None) -> None:
    expected = at(over) if over else None
    assert quiet_end(at(now), dt.time.fromisoformat(start), dt.time.fromisoformat(end), BERLIN) == expected
