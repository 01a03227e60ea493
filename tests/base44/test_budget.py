"""The rate budget: never above Base44's limits, never more waiting than they demand."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.core.base44.budget import (
    BASE_PER_MINUTE,
    LocalBudget,
    Unlimited,
    hold,
    limit_of,
    plan_multiplier,
    reserve,
)

limits = st.integers(1, 600)
bursts = st.integers(1, 60)
gaps = st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200)


def granted(gaps_between: list[float], per_minute: float, burst: float) -> list[float]:
    """When calls that are asked for with these gaps may be made."""
    tat, now, times = 0.0, 1_000.0, []
    for gap in gaps_between:
        now += gap
        tat, wait = reserve(tat, now, 1, per_minute, burst)
        times.append(now + wait)
    return times


@given(gaps, limits, bursts)
def test_no_sixty_seconds_hold_more_calls_than_rate_and_burst(waits: list[float], per_minute: int, burst: int) -> None:
    times = granted(waits, per_minute, burst)
    busiest = max(sum(start <= time < start + 59.999 for time in times) for start in times)
    assert busiest <= per_minute + burst


@given(gaps, limits, bursts)
def test_calls_are_granted_in_the_order_they_asked(waits: list[float], per_minute: int, burst: int) -> None:
    times = granted(waits, per_minute, burst)
    assert times == sorted(times)


@given(st.floats(0, 1e9), limits, bursts)
def test_an_idle_budget_grants_its_burst_at_once(now: float, per_minute: int, burst: int) -> None:
    tat = 0.0
    for _ in range(burst):
        tat, wait = reserve(tat, now + 1_000, 1, per_minute, burst)
        assert wait == pytest.approx(0, abs=1e-5)
    assert reserve(tat, now + 1_000, 1, per_minute, burst)[1] == pytest.approx(60 / per_minute, abs=1e-5)


@given(limits, bursts, st.integers(1, 20))
def test_reserving_many_waits_as_long_as_reserving_them_one_by_one(per_minute: int, burst: int, n: int) -> None:
    tat, wait = 0.0, 0.0
    for _ in range(n):
        tat, wait = reserve(tat, 100.0, 1, per_minute, burst)
    assert reserve(0.0, 100.0, n, per_minute, burst) == pytest.approx((tat, wait))


@given(st.floats(0, 2_000), st.floats(0, 900), limits, bursts)
def test_after_a_hold_the_next_call_waits_at_least_so_long(tat: float, seconds: float, rate: int, burst: int) -> None:
    held = hold(tat, 1_000.0, seconds, rate, burst)
    assert held >= tat
    assert reserve(held, 1_000.0, 1, rate, burst)[1] >= seconds - 1e-6


@pytest.mark.parametrize("kind", [*BASE_PER_MINUTE, "something new"])
@pytest.mark.parametrize("multiplier", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_rate_and_burst_share_what_base44_publishes(kind: str, multiplier: int, share: float) -> None:
    limit = limit_of(kind, multiplier, burst_share=share)
    assert limit.per_minute + limit.burst == BASE_PER_MINUTE.get(kind, BASE_PER_MINUTE["other"]) * multiplier
    assert limit.burst >= 1


@pytest.mark.parametrize(("tier", "multiplier"), [("Enterprise", 10), ("pro", 3), (None, 1), ("unheard-of", 1)])
def test_the_plan_decides_the_multiplier(tier: str | None, multiplier: int) -> None:
    assert plan_multiplier(tier) == multiplier


def test_a_refused_reservation_is_not_charged() -> None:
    budget = LocalBudget(clock=lambda: 1_000.0)
    for _ in range(5):
        budget.acquire("delete")
    refused = [budget.acquire("delete", max_wait=1) for _ in range(10)]
    assert refused == pytest.approx([12.0] * 10)


def test_kinds_do_not_share_a_budget() -> None:
    budget = LocalBudget(clock=lambda: 1_000.0)
    budget.acquire("delete", 10)
    assert budget.acquire("list") == 0


def test_a_hold_stops_one_kind_for_everybody() -> None:
    budget = LocalBudget(clock=lambda: 1_000.0)
    budget.hold("list", 20)
    assert [budget.acquire("list"), budget.acquire("status")] == pytest.approx([20, 0])


def test_threads_draw_from_one_budget() -> None:
    budget, waits = LocalBudget(clock=lambda: 1_000.0), list[float]()
    threads = [
        threading.Thread(target=lambda: waits.extend(budget.acquire("list") for _ in range(10))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([max(0.0, 2.0 * (n - 29)) for n in range(80)])


def test_without_a_budget_nothing_waits() -> None:
    assert Unlimited().acquire("list", 1_000) == 0
