"""Figures that are dear to work out and need not be of this second."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.core.cache import cache
from redis.exceptions import RedisError

T = TypeVar("T", int, dict[str, int], dict[str, object])

log = logging.getLogger(__name__)


def remembered(key: str, seconds: int, work_out: Callable[[], T]) -> T:
    """What `work_out` said at most so many seconds ago; while Redis is away, what it says now."""
    try:
        found: T | None = cache.get(key)
        if found is None:
            found = work_out()
            cache.set(key, found, seconds)
    except RedisError as error:
        log.warning("%s is worked out for each page, because Redis does not answer: %s", key, type(error).__name__)
        return work_out()
    return found
