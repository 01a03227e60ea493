"""The trail's keys as the settings give them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from connectors.core.trail.keys import TrailKeys


@lru_cache(maxsize=1)
def trail_keys() -> TrailKeys:
    """What digests, segments and checkpoints are made and checked with."""
    return TrailKeys(settings.TRAIL_KEYS)


def _forget_keys(*, setting: str, **_: Any) -> None:
    if setting == "TRAIL_KEYS":
        trail_keys.cache_clear()


setting_changed.connect(_forget_keys)  # sent by override_settings only: tests of another key need it
