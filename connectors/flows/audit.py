"""Audit the ledger: what differs, which rules are broken and what nobody can know, for people and for pipelines."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

from django.db.models import Q, QuerySet

from connectors.core.actor import Actor
from connectors.core.reports import Row, Table
from connectors.core.reports.table import utc_text
from connectors.flows.ledger import note
from connectors.flows.report_columns import REPORTS
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector, LedgerEntry, PolicyException, PolicyFinding, PolicyRule, Sensitivity
from connectors.models.project import ProjectQuerySet

READ_AT_ONCE = 2_000


class Kind(StrEnum):
    """What can be found, and what an audit may be told to fail on."""

    DRIFT = "drift"
    POLICY = "policy"
    POLICY_WARN = "policy-warn"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that the audit found.

    `word` says it shortest: the verdict, the rule's effect, or "unknown". `scopes` is empty for what is about a whole
    connector, and `type` is "" for what is about a whole project. `policy` names the rule. `since` None: not known.
    """

    kind: Kind
    project: str
    environment: str
    type: str
    scopes: tuple[str, ...]
    sensitivity: Sensitivity | None
    word: str
    reason: str
    policy: str = ""
    account: str = ""
    since: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """What was looked at and what was found, by project, type and scope."""

    projects: int
    connectors: int
    scopes: int
    issues: tuple[Issue, ...]

    @property
    def counts(self) -> dict[Kind, int]:
        """How much was found of each kind, in the order of `Kind`."""
        found = Counter(issue.kind for issue in self.issues)
        return {kind: found[kind] for kind in Kind}

    def fails(self, kinds: Collection[Kind]) -> bool:
        """Whether anything of these kinds was found."""
        return any(issue.kind in kinds for issue in self.issues)


def audit(
    projects: ProjectQuerySet, actor: Actor, now: dt.datetime, *, min_sensitivity: Sensitivity | None = None
) -> Audit:
    """Looks through the ledger of these projects; connectors that it has not taken in yet are taken in first.

    With `min_sensitivity` scopes that are known to be less grave are left out; those that nobody has judged stay in.
    """
    _catch_up(projects, actor)
    keys = projects.order_by().values("pk")
    entries = LedgerEntry.objects.filter(project__in=keys).filter(_grave(min_sensitivity))
    issues = [
        *_differing(entries),
        *_broken(projects, now, min_sensitivity),
        *_unknowable(entries),
        *_never_compared(projects),
    ]
    return Audit(
        projects=projects.count(),
        connectors=Connector.objects.filter(project__in=keys).count(),
        scopes=entries.count(),
        issues=tuple(sorted(issues, key=attrgetter("project", "type", "scopes", "kind", "policy"))),
    )


def audit_table(found: Audit, about: str = "") -> Table:
    """The issues as a report."""
    return Table("audit", "Scope audit", REPORTS["audit"], map(row_of, found.issues), about)


def row_of(issue: Issue) -> Row:
    """One issue as a row of the report."""
    return (
        issue.project,
        issue.environment,
        issue.type or None,
        issue.kind.value,
        issue.word,
        issue.scopes,
        None if issue.sensitivity is None else issue.sensitivity.name.lower(),
        issue.policy or None,
        issue.account or None,
        issue.since,
        issue.reason,
    )


def _catch_up(projects: ProjectQuerySet, actor: Actor) -> None:
    waiting = Connector.objects.without_ledger().filter(project__in=projects.order_by().values("pk"))
    note(list(waiting.values_list("pk", flat=True)), actor, "ledger.caught_up")


def _grave(level: Sensitivity | None) -> Q:
    return Q() if level is None else Q(sensitivity__gte=level) | Q(sensitivity=None)


_ENTRY = (
    "project__slug",
    "environment",
    "integration_type_id",
    "scope",
    "sensitivity",
    "verdict",
    "reason",
    "account",
    "since",
)


def _differing(entries: QuerySet[LedgerEntry]) -> Iterator[Issue]:
    return _of_entries(entries.filter(differs=True), Kind.DRIFT)


def _unknowable(entries: QuerySet[LedgerEntry]) -> Iterator[Issue]:
    return _of_entries(entries.filter(verdict=LedgerEntry.Verdict.UNKNOWABLE), Kind.UNKNOWN)


def _of_entries(entries: QuerySet[LedgerEntry], kind: Kind) -> Iterator[Issue]:
    for values in entries.order_by().values_list(*_ENTRY).iterator(READ_AT_ONCE):
        project, environment, type_, scope, level, verdict, reason, account, since = values
        sensitivity = None if level is None else Sensitivity(level)
        scopes = (scope,) if scope else ()
        yield Issue(
            kind, project, environment, type_, scopes, sensitivity, verdict, reason, account=account, since=since
        )


def _broken(projects: ProjectQuerySet, now: dt.datetime, level: Sensitivity | None) -> Iterator[Issue]:
    """Rules that are broken where no exception is in force: one that has ended may still stand at its finding."""
    excepted = Q(exception__state=PolicyException.State.GRANTED, exception__expires_at__gt=now)
    rows = PolicyFinding.objects.filter(project__in=projects.order_by().values("pk"), rule__is_enabled=True)
    rows = rows.filter(Q(exception=None) | ~excepted).select_related("rule", "project", "connector")
    facts = ScopeFacts()
    for row in rows.order_by().defer("connector__source", "project__notes").iterator(READ_AT_ONCE):
        gravest = facts.highest(row.connector.integration_type_id, row.scopes)
        if level is None or gravest is None or gravest >= level:
            yield _finding(row, gravest)


def _finding(row: PolicyFinding, gravest: Sensitivity | None) -> Issue:
    warns = row.rule.effect == PolicyRule.Effect.WARN
    return Issue(
        Kind.POLICY_WARN if warns else Kind.POLICY,
        row.project.slug,
        row.project.environment,
        row.connector.integration_type_id,
        tuple(row.scopes),
        gravest,
        row.rule.effect,
        row.sentence,
        policy=row.rule.name,
        since=row.since,
    )


def _never_compared(projects: ProjectQuerySet) -> Iterator[Issue]:
    """Projects that were never read, or not the last time, and connectors that no sync has looked at since."""
    word = Kind.UNKNOWN.value
    unread = projects.filter(Q(synced_at=None) | ~Q(sync_error="")).order_by()
    for slug, environment, synced_at, error in unread.values_list("slug", "environment", "synced_at", "sync_error"):
        state = f"It was last read at {utc_text(synced_at)}" if synced_at else "It was never read"
        reason = f"{state}; then Base44 could not be read: {error}" if error else f"{state} from Base44. Sync it."
        yield Issue(Kind.UNKNOWN, slug, environment, "", (), None, word, reason)
    rows = Connector.objects.filter(project__in=projects.exclude(synced_at=None).order_by().values("pk"))
    rows = rows.filter(sync_state=Connector.SyncState.UNKNOWN).order_by()
    fields = ("project__slug", "project__environment", "integration_type_id", "sync_note")
    for slug, environment, type_, said in rows.values_list(*fields):
        yield Issue(Kind.UNKNOWN, slug, environment, type_, (), None, word, said or "Base44 has not been asked yet.")
