"""Keep the ledger: after every change of a side, what each scope's four sides say now, and since when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.utils import timezone

from connectors.core.actor import SCHEDULER, Actor
from connectors.core.ledger import Comparer, ScopeVerdict, Sides
from connectors.core.scopes import ScopeRules
from connectors.core.specs import UNREADABLE
from connectors.flows import policies
from connectors.flows.ledger_history import Cause, History
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector, LedgerEntry, Token, Workspace
from connectors.models.ledger import MAX_SCOPE

BATCH = 500
"""Connectors whose entries are made at once: bounds memory and the length of statements."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the ledger needs to know of a connector's token."""

    state: str
    granted_scopes: list[str] | None
    account: str
    authorised_by_label: str


_HELD = ("state", "granted_scopes", "account", "authorised_by_label")


def note(
    connectors: Iterable[int],
    actor: Actor,
    through: str,
    *,
    now: dt.datetime | None = None,
    runs: Mapping[int, int] | None = None,
) -> None:
    """Brings the ledger and its history up to what the rows of these connectors (by id) say now.

    Call it after a change is saved, in the same transaction, so that both stand or fall together. `through` is the
    verb of the event that made the change; `runs` names the sync run that found it, by project. Costs a fixed number
    of queries for each `BATCH` of connectors.
    """
    cause = Cause(through, actor.label, now or timezone.now(), runs or {})
    ids = sorted(set(connectors))
    for start in range(0, len(ids), BATCH):
        with transaction.atomic():
            _note(ids[start : start + BATCH], cause)


def note_gone(connectors: Iterable[int], actor: Actor, through: str, *, now: dt.datetime | None = None) -> None:
    """Ends the history of connectors that are about to be deleted; their entries go with them."""
    rows = Connector.objects.filter(pk__in=list(connectors))
    places = set(rows.values_list("project_id", "integration_type_id"))
    History.of(places).end_all(Cause(through, actor.label, now or timezone.now(), {}))


def catch_up(limit: int = 10_000) -> int:
    """Makes the entries of connectors whose entries are out of date (`without_ledger`); returns how many there were.

    These are the connectors from before there was a ledger, and all after the rules of comparing have changed.
    """
    ids = list(Connector.objects.without_ledger().order_by("pk").values_list("pk", flat=True)[:limit])
    note(ids, SCHEDULER, "ledger.caught_up")
    return len(ids)


def sides_of(connector: Connector, held: Held | Token | None) -> Sides:
    """The four sides of one connector as they are known now, from its row and its token."""
    registered_known = connector.registered_at is not None and connector.registered_status != UNREADABLE
    holds = held is not None and held.state != Token.State.REVOKED
    return Sides(
        declared=tuple(connector.scopes) if connector.is_declared else (),
        repository=tuple(connector.repository_scopes or ()) if connector.repository_read_at is not None else None,
        registered=tuple(connector.registered_scopes or ()) if registered_known else None,
        granted=_granted(held) if holds and held is not None else None,
        held=holds,
    )


def comparer_of(workspace: Workspace) -> Comparer:
    """How scopes compare in this workspace; kept, because it remembers what it has worked out."""
    return _comparer(tuple(sorted((type_, tuple(scopes)) for type_, scopes in workspace.auto_added_scopes.items())))


@lru_cache(maxsize=64)
def _comparer(auto_added: tuple[tuple[str, tuple[str, ...]], ...]) -> Comparer:
    return Comparer(ScopeRules(auto_added=dict(auto_added)))


def _granted(held: Held | Token) -> tuple[str, ...] | None:
    """What the token can do: nothing once its consent has ended, None where the provider does not say."""
    if held.state == Token.State.NEEDS_CONSENT:
        return ()
    return None if held.granted_scopes is None else tuple(held.granted_scopes)


def _note(ids: list[int], cause: Cause) -> None:
    connectors = _locked(ids)
    tokens = {
        pk: Held(*values) for pk, *values in Token.objects.filter(connector__in=ids).values_list("connector_id", *_HELD)
    }
    history = History.of({(row.project_id, row.integration_type_id) for row in connectors})
    facts, entries = ScopeFacts(), []
    for connector in connectors:
        held = tokens.get(connector.pk)
        sides = sides_of(connector, held)
        verdicts = comparer_of(connector.project.workspace).compare(connector.integration_type_id, sides)
        history.take(connector, verdicts, sides, held.account if held else "", cause)
        entries += _entries(connector, verdicts, held if sides.held else None, facts, history, cause.at)
    history.save(cause)
    _store(ids, entries)
    Connector.objects.filter(pk__in=ids).update(ledger_at=cause.at)
    policies.recheck({row.project_id for row in connectors})


def _locked(ids: list[int]) -> list[Connector]:
    """Locked, so that of two changes at once the second one's entries are made from what both have written."""
    rows = Connector.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk")
    return list(rows.select_related("project__workspace").defer("source", "project__notes", "last_set_scopes"))


def _entries(
    connector: Connector,
    verdicts: Iterable[ScopeVerdict],
    held: Held | None,
    facts: ScopeFacts,
    history: History,
    now: dt.datetime,
) -> list[LedgerEntry]:
    type_ = connector.integration_type_id
    shared: dict[str, Any] = {
        "connector_id": connector.pk,
        "project_id": connector.project_id,
        "integration_type_id": type_,
        "provider": facts.provider(type_),
        "environment": connector.project.environment,
        "account": (held.account if held and held.account else connector.registered_account)[:254],
        "person": held.authorised_by_label if held else _asked_by(connector),
    }
    found = {verdict.scope[:MAX_SCOPE]: verdict for verdict in verdicts}
    return [
        LedgerEntry(
            **shared,
            scope=scope,
            spelled=verdict.spelled[:MAX_SCOPE],
            declared=verdict.declared,
            repository=verdict.repository,
            registered=verdict.registered,
            granted=verdict.granted,
            verdict=verdict.verdict.value,
            differs=verdict.verdict.is_alarm,
            reason=verdict.reason,
            sensitivity=facts.sensitivity(type_, verdict.scope),
            since=history.since(connector, scope, now),
        )
        for scope, verdict in found.items()
    ]


def _asked_by(connector: Connector) -> str:
    """Who asked Base44 for the consent that it lists now."""
    return connector.consent_asked_by if connector.registered_scopes is not None else ""


_VALUES = [
    "project_id",
    "provider",
    "environment",
    "spelled",
    "declared",
    "repository",
    "registered",
    "granted",
    "verdict",
    "differs",
    "reason",
    "sensitivity",
    "account",
    "person",
    "since",
]


def _store(ids: list[int], entries: list[LedgerEntry]) -> None:
    """Writes what is new or differs, and nothing else: most syncs change nothing."""
    stored = {
        (connector, scope): (pk, tuple(values))
        for pk, connector, scope, *values in LedgerEntry.objects.filter(connector__in=ids)
        .order_by()
        .values_list("pk", "connector_id", "scope", *_VALUES)
    }
    wanted = {(entry.connector_id, entry.scope): entry for entry in entries}
    gone = [pk for key, (pk, _) in stored.items() if key not in wanted]
    differing = [
        entry
        for key, entry in wanted.items()
        if key not in stored or stored[key][1] != tuple(getattr(entry, name) for name in _VALUES)
    ]
    LedgerEntry.objects.filter(pk__in=gone).delete()
    LedgerEntry.objects.bulk_create(
        differing,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["connector", "scope"],
        update_fields=[name.removesuffix("_id") for name in _VALUES],
    )
