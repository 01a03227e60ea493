"""Make, change, switch and delete the team's rules, and try one out on today's fleet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from connectors.core import policy
from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.core.policy import Judged, Rule, Use
from connectors.flows.events import changes, record_event
from connectors.flows.policies import BATCH
from connectors.flows.policy_uses import USE_COLUMNS, bare_uses, exemptions_of, rule_of, use_of
from connectors.models import LedgerEntry, PolicyException, PolicyRule, Project

RULE_FIELDS = [
    "name",
    "explanation",
    "effect",
    "is_enabled",
    "environments",
    "tags",
    "types",
    "scope_patterns",
    "min_sensitivity",
    "account_domains",
    "never_with",
]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rule would find today. `by_project` holds the first projects, `projects` counts all that break it.

    `counting` connectors break it, `excepted` ones are covered by an exception altogether; `looked_at` projects were
    judged.
    """

    rule: Rule
    by_project: tuple[tuple[Project, tuple[Judged, ...]], ...]
    projects: int
    counting: int
    excepted: int
    looked_at: int


@transaction.atomic
def save_rule(row: PolicyRule, actor: Actor) -> PolicyRule:
    """Stores a new or changed rule, on record. The fleet is judged afterwards by `policies.recheck_all`."""
    before = {} if row.pk is None else PolicyRule.objects.values(*RULE_FIELDS).get(pk=row.pk)
    verb = "policy.changed" if before else "policy.added"
    row.save()
    old, new = changes(before, _values(row))
    if new:
        record_event(actor, verb, row, before=old if before else {}, after=new)
    return row


@transaction.atomic
def switch_rule(row: PolicyRule, actor: Actor, *, on: bool) -> bool:
    """Puts a rule in force or out of it; False when it was so already."""
    if not PolicyRule.objects.filter(pk=row.pk, is_enabled=not on).update(is_enabled=on, updated_at=timezone.now()):
        return False
    row.refresh_from_db()
    record_event(actor, "policy.switched_on" if on else "policy.switched_off", row, after={"effect": row.effect})
    return True


@transaction.atomic
def delete_rule(row: PolicyRule, actor: Actor) -> None:
    """Deletes a rule with its exceptions. Raises Refused while it is in force: it has to be switched off first."""
    stored = PolicyRule.objects.select_for_update().get(pk=row.pk)
    if stored.is_enabled:
        raise Refused(f"The policy “{stored}” is in force. Switch it off before you delete it.")
    exceptions = PolicyException.objects.filter(rule=stored).count()
    record_event(actor, "policy.deleted", stored, before={**_values(stored), "exceptions": exceptions})
    stored.delete()


def rehearse(row: PolicyRule, projects: QuerySet[Project], *, show: int = 100) -> Rehearsal:
    """What the rule, saved or not, in force or not, finds in these projects as the ledger has them. Writes nothing.

    Reads in batches, so that a large fleet does not fill the memory.
    """
    rule, now = rule_of(row), timezone.now()
    if rule.environments:
        projects = projects.filter(environment__in=rule.environments)
    ids = list(projects.order_by("pk").values_list("pk", flat=True))
    found: dict[int, tuple[Judged, ...]] = {}
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        judged = policy.judge(policy.findings([rule], _uses(rule, some)), exemptions_of(some, now))
        found |= _by_project(judged)
    shown = Project.objects.select_related("workspace").in_bulk(list(found)[:show])
    return Rehearsal(
        rule=rule,
        by_project=tuple((project, found[pk]) for pk, project in shown.items()),
        projects=len(found),
        counting=sum(one.counting is not None for its in found.values() for one in its),
        excepted=sum(one.counting is None for its in found.values() for one in its),
        looked_at=len(ids),
    )


def _uses(rule: Rule, project_ids: list[int]) -> list[Use]:
    """What the rule can be about; with forbidden pairs any scope can be the other one."""
    rows = LedgerEntry.objects.filter(project__in=project_ids).order_by()
    if not rule.never_with:
        if rule.types:
            rows = rows.filter(integration_type__in=rule.types)
        if rule.min_sensitivity is not None:
            rows = rows.filter(sensitivity__gte=rule.min_sensitivity)
    uses = [use_of(*values) for values in rows.values_list(*USE_COLUMNS)]
    return [*uses, *(use for _, use in bare_uses(project_ids))]


def _by_project(judged: tuple[Judged, ...]) -> Mapping[int, tuple[Judged, ...]]:
    found: dict[int, tuple[Judged, ...]] = defaultdict(tuple)
    for one in judged:
        found[one.finding.project] += (one,)
    return dict(sorted(found.items()))


def _values(row: PolicyRule) -> dict[str, Any]:
    return {field: getattr(row, field) for field in RULE_FIELDS}
