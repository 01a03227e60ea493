"""The four lists of scopes that a connector has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Who says which scopes there are.

    declared: the portal. repository: the file in the project's git repository. registered: Base44's list for the app.
    granted: the provider, of the token that the portal holds.
    """

    DECLARED = "declared"
    REPOSITORY = "repository"
    REGISTERED = "registered"
    GRANTED = "granted"


@dataclass(frozen=True, slots=True)
class Sides:
    """The scopes of one connector as each side lists them. None: not known; (): known to be none.

    `held`: the portal holds a token for the connector, so granted scopes of None mean that the provider did not say
    what it granted. Otherwise they mean that Base44 holds the token and the portal cannot ask.
    """

    declared: tuple[str, ...] | None = None
    repository: tuple[str, ...] | None = None
    registered: tuple[str, ...] | None = None
    granted: tuple[str, ...] | None = None
    held: bool = False
