"""What an alert says: for people in an e-mail and on the page, for machines in a webhook (docs/webhooks.md)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from connectors.models import AlertDelivery, Incident, Severity

Kind, Phase = Incident.Kind, AlertDelivery.Phase

FIRST = 20
"""Incidents that a summary names."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Why a kind of incident matters, and what to do about it."""

    why: str
    do: str


ADVICE = {
    Kind.DRIFT: Advice(
        "The app may do more than your team decided, or calls that need a missing scope fail.",
        "Look at the connector's ledger. Then make a plan and apply it, or declare what you want to keep.",
    ),
    Kind.POLICY: Advice(
        "Your team has a rule against what this connector may do.",
        "Remove the scopes that the rule names, or ask for an exception with a reason and an end.",
    ),
    Kind.CONSENT: Advice(
        "Until somebody agrees at the provider, the connector does not work with the scopes that it needs.",
        "Open the consent desk, and agree yourself or send a link to whoever owns the account.",
    ),
    Kind.TOKEN: Advice(
        "When the access token ends, calls that the app makes with it fail.",
        "Nothing yet: the portal tries again by itself. If it lasts, look at the provider's status page.",
    ),
    Kind.TOKEN_END: Advice(
        "After that moment the portal cannot renew the token, and calls that the app makes with it fail.",
        "Do what the line above says, or authorise the connector again before that day.",
    ),
    Kind.CLIENT: Advice(
        "The portal can renew no token that was issued to this client.",
        "Open the client, compare its id, secret and settings with those at the provider, and check it.",
    ),
    Kind.CREDENTIAL: Advice(
        "The portal cannot see or change anything in this workspace, so all that it shows of it grows old.",
        "Make a new personal access token at Base44 and enter it in the workspace, or sign in again.",
    ),
    Kind.SYNC: Advice(
        "What the portal shows of this project is as old as its last sync.",
        "Read the error. If it says that the app is not there, correct its id; otherwise wait for Base44.",
    ),
    Kind.REVIEW: Advice(
        "Scopes that nobody has looked at stay granted.",
        "Open the review and ask the owners who have not decided.",
    ),
    Kind.EXCEPTION: Advice(
        "When the exception ends, its rule holds again, and what it covered counts as broken.",
        "Remove the scopes that it covers, or ask for a new exception in time.",
    ),
    Kind.REPOSITORY: Advice(
        "What the portal shows of the repository is as old as its last reading, and nothing is written there.",
        "Open the repository and test the connection: it says what works and what to do about the rest.",
    ),
    Kind.CONFLICT: Advice(
        "The portal and the repository say different things, and each was changed since they last agreed.",
        "Open the repository: its export writes the portal's side, its import takes the repository's.",
    ),
    Kind.TRAIL: Advice(
        "Somebody may have changed the record of who did what, to hide something.",
        "Keep the database as it is, look at who could write to it, and compare with checkpoints and backups.",
    ),
}
_ENDED = Advice(
    "Calls that the app makes with this token fail, and the portal cannot renew it.",
    "Authorise the connector again, or send a consent link to whoever owns the account.",
)

_PLACES: dict[str, tuple[str, str, str]] = {
    Kind.DRIFT: ("connectors_connector_ledger", "connector", "Open the connector's ledger"),
    Kind.CONSENT: ("connectors_connector_desk", "", "Open the consent desk"),
    Kind.TOKEN: ("connectors_token_change", "key", "Open the token"),
    Kind.TOKEN_END: ("connectors_token_change", "key", "Open the token"),
    Kind.CLIENT: ("connectors_oauthclient_change", "key", "Open the OAuth client"),
    Kind.REVIEW: ("connectors_reviewcampaign_change", "key", "Open the access review"),
    Kind.EXCEPTION: ("connectors_policyexception_change", "key", "Open the exception"),
    Kind.REPOSITORY: ("connectors_repository_change", "key", "Open the repository"),
    Kind.CONFLICT: ("connectors_repository_change", "key", "Open the repository"),
}
_ANYWHERE = (
    ("connectors_connector_change", "connector", "Open the connector"),
    ("connectors_project_change", "project", "Open the project"),
    ("connectors_workspace_change", "workspace", "Open the workspace"),
)


def advice_of(incident: Incident) -> Advice:
    """Why it matters and what to do."""
    if incident.kind == Kind.TOKEN and incident.is_terminal:
        return _ENDED
    return ADVICE[Kind(incident.kind)]


@dataclass(frozen=True, slots=True)
class Way:
    """Where one can do something about it: the path of the page, and what a link to it says."""

    path: str
    label: str


def way_of(incident: Incident) -> Way | None:
    """The way to where one can do something about it; None when what it was about is gone."""
    keys: dict[str, Any] = {
        "": "",
        "key": incident.key.rpartition(":")[2],
        "connector": incident.connector_id,
        "project": incident.project_id,
        "workspace": incident.workspace_id,
    }
    own = _PLACES.get(incident.kind)
    for name, what, label in ((own,) if own else ()) + _ANYWHERE:
        if keys[what] is not None:
            return Way(reverse(f"admin:{name}", args=[keys[what]] if what else []), label)
    return None


def page_of(incident: Incident) -> str:
    """The path of the incident's own page."""
    return reverse("admin:connectors_incident_change", args=[incident.pk])


def link(path: str) -> str:
    """The whole address where PORTAL_URL says how the portal is reached, else ""."""
    return f"{settings.PORTAL_URL}{path}" if settings.PORTAL_URL and path else ""


def subject_of(incident: Incident, phase: str) -> str:
    """One line: how grave, and what."""
    if phase == Phase.RECOVERED:
        return _one_line(f"Over: {incident.title}")
    return _one_line(f"{Severity(incident.severity).label}: {incident.title}")


def text_of(incident: Incident, phase: str, where: str) -> str:
    """An e-mail: what, where, since when, what to do, and the way there. `where`: workspace and project."""
    advice, lines = advice_of(incident), [incident.title, ""]
    if incident.detail and phase != Phase.RECOVERED:
        lines += [incident.detail, ""]
    if where:
        lines.append(f"Where: {where}")
    lines.append(f"Since: {_at(incident.opened_at)}")
    if phase == Phase.RECOVERED and incident.closed_at:
        lines.append(f"Over:  {_at(incident.closed_at)}")
    else:
        lines += ["", f"Why it matters: {advice.why}", f"What to do: {advice.do}"]
    lines += ["", *_ways(incident)]
    return "\n".join(lines)


def _ways(incident: Incident) -> list[str]:
    way, page = way_of(incident), link(page_of(incident))
    if not page:
        return ["You find it in the portal under Incidents."]
    there = [f"{way.label}: {link(way.path)}"] if way is not None else []
    return [*there, f"Open the incident: {page}"]


def incident_json(incident: Incident, names: Mapping[str, str | None]) -> dict[str, Any]:
    """The incident as a webhook gives it. `names`: of its workspace, project and connector, None where it has none."""
    advice = advice_of(incident)
    return {
        "id": incident.pk,
        "key": incident.key,
        "kind": incident.kind,
        "severity": Severity(incident.severity).name.lower(),
        "needs_person": incident.is_terminal,
        "title": incident.title,
        "detail": incident.detail,
        "what_to_do": advice.do,
        "opened_at": incident.opened_at.isoformat(),
        "closed_at": incident.closed_at.isoformat() if incident.closed_at else None,
        **names,
        "url": link(page_of(incident)),
    }


def summary_subject(count: int, phase: str) -> str:
    """One line for many."""
    return f"{count} incidents are over" if phase == Phase.RECOVERED else f"{count} new incidents"


def summary_text(kinds: dict[str, int], first: Sequence[Incident], phase: str) -> str:
    """Many incidents in one message: how many of which kind, the gravest ones, and the way to all of them."""
    count = sum(kinds.values())
    over = phase == Phase.RECOVERED
    lines = [f"{count} incidents are over." if over else f"{count} incidents began.", ""]
    lines += [f"{number:>6}  {Kind(kind).label}" for kind, number in kinds.items()]
    lines += ["", "The gravest:" if len(first) < count else "They are:", ""]
    lines += [f"  {subject_of(row, phase)}" for row in first]
    if count > len(first):
        lines.append(f"  and {count - len(first)} more.")
    lines += ["", link(reverse("admin:connectors_incident_changelist")) or "All are in the portal under Incidents."]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _at(moment: dt.datetime) -> str:
    local = timezone.localtime(moment)
    return f"{date_format(local, 'DATETIME_FORMAT')} {local.tzname() or ''}".strip()
