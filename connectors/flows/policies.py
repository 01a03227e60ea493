"""Policies: where the team's rules are broken now, and whether a change may be made that would break them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from connectors.core import policy
from connectors.core.catalog import load_catalog
from connectors.core.policy import Effect, Exemption, Judged, Rule, Use
from connectors.models import Connector, LedgerEntry, PolicyException, PolicyFinding, PolicyRule

BATCH = 500
"""Projects that are judged at once: bounds memory and the length of statements."""


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


def recheck(project_ids: Collection[int], *, now: dt.datetime | None = None) -> None:
    """Makes the findings of these projects anew, and what the ledger's entries say of them.

    Reads the ledger's entries: call it after these are right. A fixed number of queries for each `BATCH` of projects,
    and two in all while no rule is in force and no finding is stored.
    """
    rules, ids = rules_in_force(), sorted(set(project_ids))
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        if rules or PolicyFinding.objects.filter(project__in=some).exists():
            with transaction.atomic():
                _Recheck(some, now or timezone.now()).run(rules)


class _Recheck:
    """One batch of projects, judged and stored."""

    def __init__(self, project_ids: Sequence[int], now: dt.datetime) -> None:
        self.project_ids, self.now = project_ids, now
        self.connectors: dict[tuple[int, str], int] = {}
        self.entries: dict[Use, list[tuple[int, str]]] = defaultdict(list)

    def run(self, rules: Sequence[Rule]) -> None:
        uses = self._uses()
        judged = policy.judge(policy.findings(rules, uses), exemptions_of(self.project_ids, self.now))
        self._store_findings(judged)
        self._mark_entries(judged)

    def _uses(self) -> list[Use]:
        """Every scope of the projects, and every connector that has none."""
        rows = LedgerEntry.objects.filter(project__in=self.project_ids).order_by()
        for pk, connector, policy_now, *values in rows.values_list("pk", "connector_id", "policy", *USE_COLUMNS):
            use = use_of(*values)
            self.connectors[use.project, use.type] = connector
            self.entries[use].append((pk, policy_now))
        bare = bare_uses(self.project_ids)
        self.connectors |= {(use.project, use.type): connector for connector, use in bare}
        return [*self.entries, *(use for _, use in bare)]

    def _store_findings(self, judged: Iterable[Judged]) -> None:
        stored = {
            (row.rule_id, row.connector_id): row for row in PolicyFinding.objects.filter(project__in=self.project_ids)
        }
        wanted = {(row.rule_id, row.connector_id): row for row in map(self._finding, judged)}
        gone = [row.pk for key, row in stored.items() if key not in wanted]
        differing = [row for key, row in wanted.items() if key not in stored or _values(row) != _values(stored[key])]
        if gone:
            PolicyFinding.objects.filter(pk__in=gone).delete()
        # The conflict is the finding that is there already: it keeps the time since when it has been one.
        PolicyFinding.objects.bulk_create(
            differing,
            batch_size=500,
            update_conflicts=True,
            unique_fields=["rule", "connector"],
            update_fields=["project", *_FINDING_VALUES],
        )

    def _finding(self, judged: Judged) -> PolicyFinding:
        shown = judged.counting or judged.finding
        return PolicyFinding(
            rule_id=shown.rule.key or 0,
            project_id=shown.project,
            connector_id=self.connectors[shown.project, shown.type],
            scopes=list(shown.scopes),
            sentence=shown.sentence,
            exception_id=judged.exemption.key if judged.exemption else None,
            since=self.now,
        )

    def _mark_entries(self, judged: Iterable[Judged]) -> None:
        marks = _marks(judged)
        changed: dict[str, list[int]] = defaultdict(list)
        for use, entries in self.entries.items():
            mark = marks.get(use, LedgerEntry.Policy.NONE)
            for pk, policy_now in entries:
                if policy_now != mark:
                    changed[mark].append(pk)
        for mark, ids in changed.items():
            LedgerEntry.objects.filter(pk__in=ids).update(policy=mark)


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


def _marks(judged: Iterable[Judged]) -> Mapping[Use, str]:
    """What the ledger says of each use: the gravest rule that counts, or that an exception covers it."""
    counting: dict[Use, list[Effect]] = defaultdict(list)
    marks: dict[Use, str] = {}
    for one in judged:
        for breach, _ in one.excepted:
            marks[breach.use] = LedgerEntry.Policy.EXCEPTED
        for breach in one.counting.breaches if one.counting else ():
            counting[breach.use].append(one.finding.rule.effect)
    return marks | {use: str(policy.gravest(effects)) for use, effects in counting.items()}


_FINDING_VALUES = ["scopes", "sentence", "exception"]


def _values(row: PolicyFinding) -> tuple[Any, ...]:
    return row.project_id, row.scopes, row.sentence, row.exception_id
