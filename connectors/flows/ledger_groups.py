"""The ledger turned round: who has a scope, what an account reaches, what a person authorised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Max, Q, QuerySet, Value, When

from connectors.core.ledger import Verdict
from connectors.models import LedgerEntry, Sensitivity

HOLDING = Q(granted=True) | Q(granted=None, registered=True)
"""Where the scope can be used now: the token has it, or, where that is not known, Base44 lists it."""


class By(StrEnum):
    """What entries are put together by."""

    SCOPE = "scopes"
    ACCOUNT = "accounts"
    PERSON = "people"


KEYS: Mapping[By, tuple[str, ...]] = {
    By.SCOPE: ("provider", "scope"),
    By.ACCOUNT: ("account",),
    By.PERSON: ("person",),
}


@dataclass(frozen=True, slots=True)
class Group:
    """Entries that have a scope, an account or a person in common, and how many there are of what.

    `name` is what they share, "" where it is not known; `provider` is "" but for scopes. `entries` counts scopes of
    connectors, `holding` those of them that can be used now. `types` are slugs, given for accounts and people only.
    """

    name: str
    provider: str
    entries: int
    holding: int
    differing: int
    connectors: int
    projects: int
    accounts: int
    scopes: int
    sensitivity: Sensitivity | None
    worst: Verdict
    types: tuple[str, ...] = ()


def groups_of(entries: QuerySet[LedgerEntry], by: By, start: int = 0, limit: int | None = None) -> list[Group]:
    """The groups among these entries from place `start` on, what does most harm and is most widespread first.

    One query finds which groups these are, one counts what is in them; counting is dear, so it leaves the others out.
    For accounts and people another one reads the types.
    """
    keys = KEYS[by]
    rows = entries.order_by().values(*keys)
    ranked = rows.annotate(gravest=Max("sensitivity"), entries_=Count("pk"))
    ranked = ranked.order_by(F("gravest").desc(nulls_last=True), "-entries_", *keys)
    chosen = list(ranked[start : None if limit is None else start + limit])
    names = [str(row[keys[-1]]) for row in chosen]
    if limit is not None:
        rows = rows.filter(**{f"{keys[-1]}__in": names})
    figures = {tuple(row[key] for key in keys): row for row in rows.annotate(**_figures(by))}
    types = {} if by == By.SCOPE else _types(entries, keys[-1], names)
    found = ({**row, **figures.get(tuple(row[key] for key in keys), {})} for row in chosen)
    return [_group(row, keys, types) for row in found if "rank" in row]


def _figures(by: By) -> dict[str, Any]:
    """Each is counted while the rows are grouped; of a scope, every entry is another connector."""
    connectors = Count("pk") if by == By.SCOPE else Count("connector", distinct=True)
    ranks = [When(verdict=verdict.value, then=Value(verdict.rank)) for verdict in Verdict]
    return {
        "holding_": Count("pk", filter=HOLDING),
        "differing_": Count("pk", filter=Q(differs=True)),
        "connectors_": connectors,
        "projects_": Count("project", distinct=True),
        "accounts_": Count("account", distinct=True, filter=~Q(account="")),
        "scopes_": Value(1) if by == By.SCOPE else Count("scope", distinct=True),
        "rank": Max(Case(*ranks, default=Value(0), output_field=IntegerField())),
    }


def _types(entries: QuerySet[LedgerEntry], key: str, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The integration types of each group. Of what is not known they are left out: that can be half the fleet."""
    known = [name for name in names if name]
    pairs = entries.order_by().filter(**{f"{key}__in": known}).values_list(key, "integration_type").distinct()
    found: dict[str, list[str]] = {}
    for name, type_ in sorted(pairs):
        found.setdefault(name, []).append(type_)
    return {name: tuple(types) for name, types in found.items()}


def _group(row: Mapping[str, Any], keys: tuple[str, ...], types: Mapping[str, tuple[str, ...]]) -> Group:
    name = str(row[keys[-1]])
    return Group(
        name=name,
        provider=str(row.get("provider", "")),
        entries=row["entries_"],
        holding=row["holding_"],
        differing=row["differing_"],
        connectors=row["connectors_"],
        projects=row["projects_"],
        accounts=row["accounts_"],
        scopes=row["scopes_"],
        sensitivity=None if row["gravest"] is None else Sensitivity(row["gravest"]),
        worst=tuple(Verdict)[row["rank"]],
        types=types.get(name, ()),
    )
