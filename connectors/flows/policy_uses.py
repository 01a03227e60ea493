"""What the rules are judged by: the rules as the core takes them, what the ledger says is in use, and exceptions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from connectors.core.catalog import load_catalog
from connectors.core.policy import Effect, Exemption, Rule, Use
from connectors.models import Connector, PolicyException, PolicyRule


def rules_in_force() -> tuple[Rule, ...]:
    """The rules that count now."""
    return tuple(map(rule_of, PolicyRule.objects.in_force()))


def rule_of(row: PolicyRule) -> Rule:
    """The rule as the core takes it; an unsaved one has no key, so that no exception is from it."""
    return Rule(
        name=row.name,
        effect=Effect(row.effect),
        explanation=row.explanation,
        environments=tuple(row.environments),
        tags=tuple(row.tags),
        types=tuple(row.types),
        scope_patterns=tuple(row.scope_patterns),
        min_sensitivity=row.min_sensitivity,
        account_domains=tuple(row.account_domains),
        never_with=tuple(row.never_with),
        key=row.pk,
    )


USE_COLUMNS = [
    "project_id",
    "integration_type_id",
    "scope",
    "spelled",
    "project__environment",
    "project__tags",
    "account",
    "sensitivity",
]
"""What `use_of` takes, from ledger entries. The project's own environment counts, not the entry's copy of it."""


def use_of(
    project: int,
    type_: str,
    scope: str,
    spelled: str,
    environment: str,
    tags: Iterable[str],
    account: str,
    sensitivity: int | None,
) -> Use:
    """One scope where it stands, with its other names and what it includes from the catalogue."""
    info = load_catalog().scope(type_, scope)
    aliases = (*info.aliases, *((spelled,) if spelled != scope else ())) if info else (spelled,)
    return Use(
        project, type_, scope, environment, frozenset(tags), account, sensitivity, aliases, info.implies if info else ()
    )


def bare_uses(project_ids: Iterable[int]) -> list[tuple[int, Use]]:
    """The connectors without any scope, by id: a rule about a type, an environment or a tag means them as well."""
    rows = Connector.objects.filter(project__in=list(project_ids), ledger=None, ledger_at__isnull=False).order_by()
    columns = ("pk", "project_id", "integration_type_id", "project__environment", "project__tags", "registered_account")
    return [
        (pk, Use(project, type_, "", environment, frozenset(tags), account))
        for pk, project, type_, environment, tags, account in rows.values_list(*columns)
    ]


def exemptions_of(project_ids: Iterable[int], now: dt.datetime) -> tuple[Exemption, ...]:
    """The exceptions in force in these projects; those that end first come first, for then the rule counts again."""
    rows = PolicyException.objects.in_force(now).filter(project__in=list(project_ids)).order_by("expires_at", "pk")
    columns = ("rule_id", "project_id", "type_slug", "scope", "pk")
    return tuple(Exemption(*values) for values in rows.values_list(*columns))
