"""What came of a consent link: status, account and scopes, checked against what was asked for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from connectors.flows.authorise import missing_scopes
from connectors.flows.consent_links import settle
from connectors.models import Authorisation, Connector, ConsentLink, Token

Trip = Authorisation.Outcome

LOOK_BACK = dt.timedelta(days=1)
"""How long after its claim a link that nobody came back to is looked at again."""
MANY = 200


class Stage(StrEnum):
    """How far it has come."""

    NOT_STARTED = "not_started"
    WAITING = "waiting"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`scopes` None: the provider does not say what it granted, or nothing was granted yet."""

    stage: Stage
    heading: str
    text: str
    account: str = ""
    scopes: tuple[str, ...] | None = None


NOTHING_YET = Outcome(Stage.NOT_STARTED, "Nothing has been decided yet.", "Start when you are ready.")


def outcome_of(link: ConsentLink, now: dt.datetime) -> Outcome:
    """What came of it so far, from the portal's own rows. Reads, and changes nothing."""
    return _held(link, now) if link.kind == ConsentLink.Kind.PORTAL else _hosted(link)


def settled(link: ConsentLink, now: dt.datetime) -> Outcome:
    """As `outcome_of`; an outcome is noted on the link, and success ends it."""
    found = outcome_of(link, now)
    if found.stage in (Stage.DONE, Stage.FAILED) and link.used_at is None:
        settle(link, found.stage == Stage.DONE, f"{found.heading} {found.text}".strip())
    return found


def settle_left_open(now: dt.datetime) -> int:
    """Settles links whose person gave consent and did not come back to see it; returns how many ended."""
    rows = ConsentLink.objects.filter(used_at=None, claimed_at__gt=now - LOOK_BACK)
    found = rows.select_related("connector__project__workspace", "connector__integration_type", "claimed_by")
    return sum(settled(link, now).stage == Stage.DONE for link in found.defer("connector__source")[:MANY])


def _held(link: ConsentLink, now: dt.datetime) -> Outcome:
    trips = list(link.authorisations.defer("verifier", "nonce")[:20])
    trip = next((row for row in trips if row.outcome == Trip.CONNECTED), trips[0] if trips else None)
    if trip is None:
        return NOTHING_YET
    if trip.outcome == Trip.PENDING:
        return _on_the_way(trip, now)
    if trip.outcome == Trip.CONNECTED:
        granted = Token.objects.filter(connector=link.connector_id).values_list("granted_scopes", flat=True).first()
        return Outcome(Stage.DONE, "Done.", trip.message, trip.account, None if granted is None else tuple(granted))
    return Outcome(Stage.FAILED, f"{Trip(trip.outcome).label}.", trip.message, trip.account)


def _on_the_way(trip: Authorisation, now: dt.datetime) -> Outcome:
    if trip.expires_at <= now:
        return Outcome(Stage.FAILED, "Not finished.", "Nobody came back from the provider in time.")
    return Outcome(Stage.WAITING, "Not finished yet.", "You left for the provider and have not come back.")


def _hosted(link: ConsentLink) -> Outcome:
    connector = link.connector
    if link.claimed_at is None or connector.consent_asked_at is None or connector.consent_asked_at < link.claimed_at:
        return NOTHING_YET
    if connector.consent == Connector.Consent.PENDING:
        return Outcome(Stage.WAITING, "Waiting for your decision.", "This page follows it by itself.")
    if connector.consent:
        return Outcome(Stage.FAILED, f"{connector.get_consent_display()}.", connector.consent_note)
    return _connected(connector)


def _connected(connector: Connector) -> Outcome:
    """Base44 waits for nobody: whether it has the right account, and all scopes."""
    account, scopes = connector.registered_account, tuple(connector.registered_scopes or ())
    if connector.registered_status != "active":
        note = connector.sync_note or "Base44 does not list the connection."
        return Outcome(Stage.FAILED, "Not connected.", note, account)
    allowed = connector.project.workspace.allowed_account_domains
    if allowed and account.rpartition("@")[2].lower() not in allowed:
        text = f"It was connected as {account or 'an account that Base44 does not name'}, and only accounts of "
        return Outcome(
            Stage.FAILED, "Another account is needed.", f"{text}{' or '.join(allowed)} are allowed.", account
        )
    if missing := missing_scopes(connector.integration_type_id, connector.scopes, scopes):
        text = f"Connected, but not with everything that was asked for. Missing: {', '.join(missing)}."
        return Outcome(Stage.FAILED, "Fewer scopes granted.", text, account, scopes)
    whom = f" as {account}" if account else ""
    return Outcome(Stage.DONE, "Done.", f"Connected{whom}, with every scope that was asked for.", account, scopes)
