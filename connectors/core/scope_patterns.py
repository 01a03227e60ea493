"""Patterns of scopes, as rules and exceptions name them: literal but for `*`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache


def matches(patterns: Iterable[str], names: Iterable[str]) -> bool:
    """Whether a name is as a pattern says: every character stands for itself, but `*` for any text or none."""
    given = tuple(names)
    return any(_compiled(pattern)(name) for pattern in patterns for name in given)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Callable[[str], object]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL).fullmatch
