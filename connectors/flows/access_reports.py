"""Who can do what, as tables to take along: one of a person, one of a place."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User

from connectors.core.reports import Column, Row, Table
from connectors.flows.access_words import Held, PersonHere
from connectors.models import Project, Workspace

EVERYTHING = "Everything"

_REASON = (
    Column("role", "Role", "The role, Superuser, or Single permissions where Django itself gives them."),
    Column("place", "Where", "The project or workspace at which it counts, or Everywhere."),
    Column("through", "Through", "In person, or the group by which they have it."),
    Column("allows", "Allows", "What it lets them do there, in words."),
)
PERSON = _REASON
PLACE = (
    Column("person", "Person", "The name to log in with."),
    Column("name", "Name", "First and last name."),
    Column("email", "E-mail", "Their address."),
    *_REASON,
    Column("last_login", "Last login (UTC)", "Empty: never."),
    Column("second_factor", "Second factor", "Whether they have set one up here."),
)


def person_table(user: User, held: Iterable[Held]) -> Table:
    """What one person can do where, and why."""
    rows = [_reason(one) for one in held]
    return Table("access-of-person", f"What {user.get_username()} can do", PERSON, rows)


def place_table(place: Project | Workspace, people: Iterable[PersonHere], about: str = "") -> Table:
    """Everybody who can do something at a place: a row for each reason."""
    rows: list[Row] = [
        (
            one.user.get_username(),
            one.user.get_full_name(),
            one.user.email,
            *_reason(held),
            one.user.last_login,
            one.has_second_factor,
        )
        for one in people
        for held in one.held
    ]
    return Table("access-to-place", f"Who can do what in {place}", PLACE, rows, about)


def _reason(held: Held) -> Row:
    allows = (EVERYTHING,) if held.is_everything else tuple(ability.text for ability in held.abilities)
    return held.role, held.place, held.through, allows
