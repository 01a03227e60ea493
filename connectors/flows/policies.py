"""Policies: where the team's rules are broken now, and whether a change may be made that would break them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from connectors.core import policy, policy_words
from connectors.core.catalog import load_catalog
from connectors.core.policy import Effect, Finding, Judged, PolicyNote, PolicyRefused, Rule, Use
from connectors.core.scopes import tidy
from connectors.flows.policy_uses import USE_COLUMNS, bare_uses, exemptions_of, rules_in_force, use_of
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import LedgerEntry, PolicyFinding, PolicyRule, Project

BATCH = 500
"""Projects that are judged at once: bounds memory and the length of statements."""


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


Scopes = Mapping[str, Sequence[str]]
"""Scopes by integration type; a type that is not there has no connector."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody is about to do in one project: the scopes of some connectors, before and after.

    `accounts` names the account of a type where it is known otherwise than from the ledger.
    """

    project: Project
    after: Scopes
    before: Scopes = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)


def judge(changes: Sequence[Proposal], *, now: dt.datetime | None = None) -> dict[int, tuple[Judged, ...]]:
    """By project id, the rules that each change would break and that are not broken without it.

    What only stays, and what is taken away, is never among it. One query while no rule is in force, else a fixed
    number however many changes there are. Each project at most once.
    """
    found: dict[int, tuple[Judged, ...]] = {change.project.pk: () for change in changes}
    rules = rules_in_force() if changes else ()
    if not rules:
        return found
    surroundings, facts = _surroundings(found), ScopeFacts()
    exemptions = exemptions_of(found, now or timezone.now())
    for change in changes:
        rest = [use for use in surroundings[change.project.pk] if use.type not in change.after]
        accounts = {use.type: use.account for use in surroundings[change.project.pk]} | dict(change.accounts)
        after = policy.findings(rules, [*rest, *_proposed(change, change.after, accounts, facts)])
        before = policy.findings(rules, [*rest, *_proposed(change, change.before, accounts, facts)])
        found[change.project.pk] = policy.judge(policy.added(after, before), exemptions)
    return found


def notes_of(changes: Sequence[Proposal]) -> dict[int, dict[str, tuple[PolicyNote, ...]]]:
    """By project id and type, what there is to say of each change before it is made: `judge` in words."""
    found: dict[int, dict[str, tuple[PolicyNote, ...]]] = {}
    for project, judged in judge(changes).items():
        by_type: dict[str, tuple[PolicyNote, ...]] = defaultdict(tuple)
        for one in judged:
            by_type[one.finding.type] += (policy.note_of(one),)
        found[project] = dict(by_type)
    return found


def check(project: Project, proposals: Scopes, before: Scopes | None = None) -> list[Finding]:
    """What would count against the project if its connectors had the proposed scopes; exceptions are taken off."""
    judged = judge([Proposal(project, proposals, before or {})])[project.pk]
    return [one.counting for one in judged if one.counting]


def refuse_broken(
    project: Project, type_: str, scopes: Sequence[str], before: Sequence[str] | None = None, *, account: str = ""
) -> list[str]:
    """Raises PolicyRefused when going from `before` (None: no connector) to `scopes` breaks a rule that stops it.

    Otherwise returns what rules that only warn say of the change, in sentences. `account` is whose the scopes will be,
    where that is known better than the ledger knows it.
    """
    known = {} if before is None else {type_: before}
    accounts = {type_: account} if account else {}
    judged = judge([Proposal(project, {type_: scopes}, known, accounts)])[project.pk]
    refuse(project, judged)
    return warnings(judged)


def refuse(project: Project, judged: Iterable[Judged]) -> None:
    """Raises PolicyRefused when one of these counts and its rule stops changes."""
    stopping = [one.counting for one in judged if one.counting and one.counting.rule.effect.stops]
    if stopping:
        raise PolicyRefused(project.pk, stopping)


def warnings(judged: Iterable[Judged]) -> list[str]:
    """What the rules that only warn say, in sentences."""
    counting = (one.counting for one in judged if one.counting and not one.counting.rule.effect.stops)
    return [policy_words.warning(found.rule, found.type, found.sentence) for found in counting]


def _surroundings(project_ids: Collection[int]) -> dict[int, list[Use]]:
    """What is in use in each of these projects, by what the ledger says."""
    found: dict[int, list[Use]] = {pk: [] for pk in project_ids}
    rows = LedgerEntry.objects.filter(project__in=list(project_ids)).order_by()
    for values in rows.values_list(*USE_COLUMNS):
        found[values[0]].append(use_of(*values))
    for _, use in bare_uses(project_ids):
        found[use.project].append(use)
    return found


def _proposed(change: Proposal, scopes: Scopes, accounts: Mapping[str, str], facts: ScopeFacts) -> list[Use]:
    """The uses that these scopes would be. A connector that is there already does not begin by losing its scopes."""
    project = change.project
    return [
        use_of(
            project.pk,
            type_,
            load_catalog().canonical(type_, scope),
            scope,
            project.environment,
            project.tags,
            accounts.get(type_, ""),
            facts.sensitivity(type_, scope) if scope else None,
        )
        for type_, wanted in scopes.items()
        for scope in tidy(wanted) or (() if type_ in change.before else ("",))
    ]


def recheck_all(*, now: dt.datetime | None = None) -> int:
    """Judges the whole fleet by the rules as they are now, batch by batch; returns how many projects there are."""
    started = now or timezone.now()
    ids = list(Project.objects.order_by("pk").values_list("pk", flat=True))
    recheck(ids, now=started)
    PolicyRule.objects.filter(updated_at__lte=started).update(checked_at=started)
    return len(ids)


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
