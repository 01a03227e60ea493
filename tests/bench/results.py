"""What a benchmark found: ratios of medians, with the raw figures behind them and what was aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How much to measure: `scale` 1 is the size that the targets are about, `rounds` how often each side is timed.

    `minutes` is for how long a load lasts.
    """

    scale: float = 1.0
    rounds: int = 5
    minutes: float = 1.0

    def sized(self, full: int) -> int:
        """A number of things at this scale, at least 1."""
        return max(1, round(full * self.scale))

    @property
    def full_size(self) -> bool:
        """Whether the targets apply: below full size fixed costs outweigh what is measured."""
        return self.scale >= 1


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio to reach: at most `limit` times the other side's time, or at least `limit` times faster than it."""

    limit: float
    faster: bool = False

    def met(self, ours: float, theirs: float) -> bool:
        """Whether two times in seconds satisfy it."""
        return theirs / ours >= self.limit if self.faster else ours / theirs <= self.limit

    def __str__(self) -> str:
        return f">= {self.limit:g}x faster" if self.faster else f"<= {self.limit:g}x"


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison: seconds of each round on both sides. Without a `target` it is for information only."""

    what: str
    ours: Sequence[float]
    against: str
    theirs: Sequence[float]
    target: Target | None = None

    @property
    def figures(self) -> tuple[float, float]:
        """The medians of both sides in seconds."""
        return statistics.median(self.ours), statistics.median(self.theirs)

    @property
    def met(self) -> bool:
        """Whether the medians satisfy the target; True without one."""
        return self.target is None or self.target.met(*self.figures)

    @property
    def ratio(self) -> str:
        """`1.30x`, or `61x faster` where the target is put that way."""
        ours, theirs = self.figures
        if self.target is not None and self.target.faster:
            return f"{theirs / ours:.1f}x faster"
        return f"{ours / theirs:.2f}x"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something worth knowing that is no comparison, or a comparison that could not be made and why."""

    text: str
    unmeasured: bool = False


Finding = Line | Fact


def interleaved(rounds: int, *sides: Callable[[], float]) -> list[list[float]]:
    """The seconds of each side, all sides once a round, so that a busy moment of the machine hits all of them.

    Every second round goes through them backwards: whoever comes second finds caches warm.
    """
    times: list[list[float]] = [[] for _ in sides]
    for number in range(rounds):
        order = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
        for side in order:
            times[side].append(sides[side]())
    return times


def shown(seconds: float) -> str:
    """`0.76 s` or `44.1 ms`."""
    return f"{seconds:.2f} s" if seconds >= 0.5 else f"{seconds * 1000:.1f} ms"
