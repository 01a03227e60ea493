"""Who does something, and through which door: every flow takes one and every event names it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Door(StrEnum):
    """The way in through which an actor reached the portal."""

    ADMIN = "admin"
    SHELL = "shell"
    TASK = "task"
    API = "api"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or process that acts. `user_id` is None for the shell and for scheduled work."""

    label: str
    door: Door
    user_id: int | None = None


SCHEDULER = Actor(label="scheduler", door=Door.TASK)
"""Work that nobody asked for by hand: periodic syncs, sweeps, consent polling."""
