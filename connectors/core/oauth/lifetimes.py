"""When a token that the portal holds will end for good: the forecast, as pure arithmetic on times."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

from connectors.core.catalog import Lifetimes

_DAY = 86_400
_YEAR = 365 * _DAY

_NOT_REFRESHED = "It is not being refreshed: look at its history, or authorise again."


@dataclass(frozen=True, slots=True)
class Death:
    """From `at` on only a person can help, by authorising again.

    `reason` says why and what to do, for an admin. `certain`: the provider said so of this token, or makes no
    exceptions; otherwise it is what usually happens, or what happens unless something is put right before.
    """

    at: dt.datetime
    reason: str
    certain: bool


@dataclass(frozen=True, slots=True)
class _Held:
    """What the forecast knows of one token."""

    facts: Lifetimes
    provider: str
    authorised_at: dt.datetime
    renewed_at: dt.datetime
    used_at: dt.datetime
    expires_at: dt.datetime | None
    refresh_expires_at: dt.datetime | None
    refresh_works: bool


def deaths(
    facts: Lifetimes,
    *,
    provider: str = "The provider",
    authorised_at: dt.datetime,
    issued_at: dt.datetime,
    refreshed_at: dt.datetime | None,
    used_at: dt.datetime | None,
    expires_at: dt.datetime | None,
    refresh_expires_at: dt.datetime | None,
    has_refresh_token: bool,
    is_testing: bool,
    refresh_works: bool,
) -> tuple[Death, ...]:
    """What will end the token, soonest first; () when nothing is known that would. Some may lie in the past.

    `expires_at` and `refresh_expires_at` are what the provider said of this pair, `is_testing` that the OAuth client
    is in testing mode. `has_refresh_token`: there is something to refresh with. `refresh_works`: refreshes fall due by
    themselves and the last one went well; then what refreshing takes care of, such as the hourly end of an access
    token, is no death.
    """
    renewed_at = max(filter(None, (authorised_at, issued_at, refreshed_at)))
    held = _Held(
        facts=facts,
        provider=provider,
        authorised_at=authorised_at,
        renewed_at=renewed_at,
        used_at=max(filter(None, (renewed_at, used_at))),
        expires_at=expires_at,
        refresh_expires_at=refresh_expires_at,
        refresh_works=refresh_works,
    )
    of_tokens = _of_refresh_token(held) if has_refresh_token else _of_access_token(held)
    # A clock that runs ahead, ours or the provider's, must not let a token end before it began.
    found = [replace(death, at=max(death.at, authorised_at)) for death in (*_of_consent(held, is_testing), *of_tokens)]
    return tuple(sorted(found, key=lambda death: death.at))


def _of_consent(held: _Held, is_testing: bool) -> Iterator[Death]:
    """Ends that are counted from consent, whatever the tokens do."""
    facts = held.facts
    if is_testing and facts.testing_s is not None:
        life = f"{held.provider} ends tokens of an app in testing mode after {_span(facts.testing_s)}."
        yield Death(_after(held.authorised_at, facts.testing_s), f"{life} Publish the consent screen.", certain=True)
    if facts.cap_s is not None:
        life = f"{held.provider} ends consent after {_span(facts.cap_s)}, however often the token is refreshed."
        yield Death(_after(held.authorised_at, facts.cap_s), f"{life} Authorise again before.", certain=True)


def _of_refresh_token(held: _Held) -> Iterator[Death]:
    """Ends of the refresh token, which takes the access token with it."""
    facts = held.facts
    if not (facts.refresh_slides and held.refresh_works):
        yield from _of_its_life(held)
    if facts.idle_s is not None and not held.refresh_works:
        life = f"{held.provider} ends refresh tokens that are unused for {_span(facts.idle_s)}."
        yield Death(_after(held.renewed_at, facts.idle_s), f"{life} {_NOT_REFRESHED}", certain=False)


def _of_its_life(held: _Held) -> Iterator[Death]:
    """The end of the refresh token's own life: as the provider said, else as it usually is."""
    facts = held.facts
    if held.refresh_expires_at is not None:
        said = f"{held.provider} said that the refresh token ends then."
        remedy = _NOT_REFRESHED if facts.refresh_slides else "Authorise again before."
        yield Death(held.refresh_expires_at, f"{said} {remedy}", certain=not facts.refresh_slides)
    elif facts.refresh_s is not None and facts.refresh_slides:
        life = f"Refresh tokens of {held.provider} last {_span(facts.refresh_s)} and are renewed by refreshing."
        yield Death(_after(held.renewed_at, facts.refresh_s), f"{life} {_NOT_REFRESHED}", certain=False)
    elif facts.refresh_s is not None:
        life = f"Refresh tokens of {held.provider} last {_span(facts.refresh_s)}, and refreshing does not prolong that."
        yield Death(_after(held.authorised_at, facts.refresh_s), f"{life} Authorise again before.", certain=False)


def _of_access_token(held: _Held) -> Iterator[Death]:
    """Ends of an access token with nothing beside it to get another one with."""
    facts = held.facts
    if held.expires_at is not None and not held.refresh_works:
        why = f"{held.provider} gave no refresh token, so nothing follows when the access token ends."
        yield Death(held.expires_at, f"{why} Authorise again before.", certain=True)
    if facts.access_idle_s is not None:
        life = f"{held.provider} ends tokens that are unused for {_span(facts.access_idle_s)}. Use it before,"
        yield Death(_after(held.used_at, facts.access_idle_s), f"{life} or authorise again.", certain=False)


def _after(start: dt.datetime, seconds: int) -> dt.datetime:
    return start + dt.timedelta(seconds=seconds)


def _span(seconds: int) -> str:
    """`604800` → "7 days"; whole years from the second on, hours below two days."""
    if seconds > _YEAR and seconds % _YEAR == 0:
        return f"{seconds // _YEAR} years"
    if seconds >= 2 * _DAY:
        return f"{seconds // _DAY} days"
    return f"{max(seconds // 3600, 1)} hours"
