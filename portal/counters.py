"""Count what happens in a span of time, for all processes together: in Redis, or in files where there is no Redis.

Django's cache on files adds by reading and writing, so that two processes at once would count one of two. A byte put at
the end of a file is counted by the operating system.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Count:
    """The how-manieth it was in this span, and in how many seconds the next span begins."""

    number: int
    seconds_left: int


def count(key: str, seconds: int) -> Count:
    """Counts one more of `key` in the span of so many seconds that is now.

    While Redis is away nothing is counted: a portal that nobody can use would be worse than one that limits nobody.
    """
    now = int(time.time())
    span = now // seconds
    told = hashlib.sha256(key.encode()).hexdigest()[:40]
    left = (span + 1) * seconds - now
    if not settings.REDIS_URL:
        return Count(_in_file(told, seconds, span), left)
    try:
        return Count(_in_cache(f"count:{told}:{seconds}:{span}", seconds), left)
    except RedisError as error:
        log.warning("Nothing is counted, because Redis does not answer: %s", type(error).__name__)
        return Count(0, left)


def _in_cache(key: str, seconds: int) -> int:
    cache.add(key, 0, timeout=2 * seconds)
    try:
        return int(cache.incr(key))
    except ValueError:  # forgotten meanwhile
        return 1


def _in_file(name: str, seconds: int, span: int) -> int:
    """The size of the file after one more byte. Each span has a folder; the one before the last is thrown away."""
    base = Path(settings.PORTAL_DATA_DIR) / "counters" / str(seconds)
    folder = base / str(span)
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _forget_old(base, span)
    try:
        handle = os.open(folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except FileNotFoundError:  # thrown away by a process whose clock is ahead
        return 1
    try:
        os.write(handle, b".")
        return os.lseek(handle, 0, os.SEEK_CUR)
    finally:
        os.close(handle)


def _forget_old(base: Path, span: int) -> None:
    for folder in base.iterdir():
        with suppress(ValueError):
            if int(folder.name) < span - 1:
                shutil.rmtree(folder, ignore_errors=True)
