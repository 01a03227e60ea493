"""What the first page shows: figures that lead to their lists, the last two weeks, and what needs somebody.

The number of queries does not depend on how much there is. Counting runs is the dear part and is cached for a minute.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.http import urlencode

from connectors.flows.consent_desk import waiting_count
from connectors.flows.forecast import endings
from connectors.models import (
    Connector,
    Event,
    Incident,
    LedgerEntry,
    Placement,
    Project,
    Repository,
    Severity,
    SyncRun,
    Token,
    Workspace,
)
from connectors.models.grants import grants_key
from connectors.models.visibility import may_everywhere, may_in_a_workspace
from portal.remembered import remembered

DAYS = 14
LIST_LENGTH = 6
CHART_SECONDS = 60
MOST = 10_000
"""Counting what waits for consent, or differs, ends there."""

State = Connector.SyncState
STATE_TONES = {
    State.IN_SYNC: "success",
    State.DIFFERS: "warning",
    State.NOT_REGISTERED: "info",
    State.NOT_DECLARED: "danger-strong",
    State.LEFT_OVER: "danger-strong",
    State.INACTIVE: "danger",
    State.UNKNOWN: "neutral",
}
"""In the order of the legend. docs/ui-components.md says what the tones mean."""
STATE_COLOURS = {
    State.IN_SYNC: "var(--pc-success)",
    State.DIFFERS: "var(--pc-warning)",
    State.NOT_REGISTERED: "var(--pc-info)",
    State.NOT_DECLARED: "var(--pc-danger-strong)",
    State.LEFT_OVER: "var(--pc-danger-strong)",
    State.INACTIVE: "var(--pc-danger)",
    State.UNKNOWN: "var(--pc-neutral)",
}
TICKS = {"color": "#6b7280"}
CHART_BASE = {"animation": False, "responsive": True, "maintainAspectRatio": False}


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure and the list behind it. `tone` is "" unless the figure asks for something to be done."""

    label: str
    value: int
    hint: str
    icon: str
    href: str
    tone: str = ""


def dashboard_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds the dashboard's figures to the admin index's context, of the rows that the person may see."""
    user = request.user
    workspaces = Workspace.objects.visible_to(user).aggregate(
        all=Count("pk"), refused=Count("pk", filter=Q(credential_state=Workspace.CredentialState.REFUSED))
    )
    projects = Project.objects.visible_to(user).aggregate(
        all=Count("pk"), failing=Count("pk", filter=~Q(sync_error=""))
    )
    groups = list(
        Connector.objects.visible_to(user).order_by().values_list("sync_state", "consent").annotate(count=Count("pk"))
    )
    context.update(
        title="Dashboard",
        workspaces=workspaces,
        projects=projects,
        refused_url=_list_url("workspace", credential_state__exact=Workspace.CredentialState.REFUSED.value),
        tiles=_tiles(groups, projects),
        states=_state_rows(groups),
        state_chart=_state_chart(groups),
        attention=_attention(request),
        oauth=_oauth(request),
        git=_git(request),
        events=[_event_row(event) for event in Event.objects.visible_to(user)[:LIST_LENGTH]],
        may_add_workspace=may_everywhere(user, "connectors.add_workspace"),
        may_add_project=may_in_a_workspace(user, "connectors.add_project"),
        **_run_chart(request),
    )
    return context


def _tiles(groups: list[tuple[str, str, int]], projects: Mapping[str, int]) -> list[Tile]:
    consent = sum(count for _, consent, count in groups if consent)
    drift = sum(count for state, _, count in groups if state in Connector.DRIFT_STATES)
    unknown = sum(count for state, _, count in groups if state == State.UNKNOWN)
    waiting = ",".join(value for value in Connector.Consent.values if value)
    connectors = Tile(
        "Connectors",
        sum(count for _, _, count in groups),
        f"in {projects['all']:,} project{'' if projects['all'] == 1 else 's'}",
        "cable",
        _list_url("connector"),
    )
    return [
        connectors,
        Tile(
            "Need consent",
            consent,
            "waiting for a person",
            "how_to_reg",
            _list_url("connector", consent__in=waiting),
            "warning" if consent else "",
        ),
        Tile(
            "Differ from Base44",
            drift,
            "declared is not what is registered",
            "difference",
            _list_url("connector", sync_state__in=",".join(Connector.DRIFT_STATES)),
            "warning" if drift else "",
        ),
        _failing_tile(projects["failing"]) if projects["failing"] else _unknown_tile(unknown),
    ]


def _failing_tile(failing: int) -> Tile:
    href = _list_url("project", sync_error__gt="")
    return Tile("Failing syncs", failing, "projects that could not be read", "sync_problem", href, "danger")


def _unknown_tile(unknown: int) -> Tile:
    href = _list_url("connector", sync_state__exact=State.UNKNOWN.value)
    return Tile("Not compared yet", unknown, "waiting for their first sync", "help", href)


def _state_rows(groups: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
    counts = _by_state(groups)
    return [
        {
            "label": state.label,
            "count": counts[state],
            "tone": tone,
            "href": _list_url("connector", sync_state__exact=state.value),
        }
        for state, tone in STATE_TONES.items()
        if counts[state] or state != State.LEFT_OVER  # rare, and not worth a line of the legend that says 0
    ]


def _state_chart(groups: list[tuple[str, str, int]]) -> dict[str, str]:
    counts = _by_state(groups)
    data = {
        "labels": [str(state.label) for state in STATE_TONES],
        "datasets": [
            {
                "data": [counts[state] for state in STATE_TONES],
                "backgroundColor": [STATE_COLOURS[state] for state in STATE_TONES],
            }
        ],
    }
    options = {**CHART_BASE, "cutout": "72%", "borderWidth": 0, "plugins": {"legend": {"display": False}}}
    return {"data": json.dumps(data), "options": json.dumps(options)}


def _by_state(groups: list[tuple[str, str, int]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for state, _, count in groups:
        counts[state] += count
    return counts


def _attention(request: HttpRequest) -> list[dict[str, Any]]:
    """Projects that need somebody: those that could not be read first, then those with most connectors waiting."""
    failing = (
        Project.objects.visible_to(request.user)
        .exclude(sync_error="")
        .select_related("workspace")
        .order_by("-synced_at")[:LIST_LENGTH]
    )
    waiting = (
        Connector.objects.visible_to(request.user)
        .needing_attention()
        .values("project_id", "project__name", "project__workspace__name")
        .annotate(count=Count("pk"))
        .order_by("-count", "project_id")[:LIST_LENGTH]
    )
    rows = [_attention_row(row.pk, row.name, row.workspace.name, "Sync failed", "danger") for row in failing]
    shown = {row["pk"] for row in rows}
    for row in waiting:
        if row["project_id"] not in shown:
            note = f"{row['count']} connector{'' if row['count'] == 1 else 's'}"
            rows.append(
                _attention_row(
                    row["project_id"], row["project__name"], row["project__workspace__name"], note, "warning"
                )
            )
    return rows[:LIST_LENGTH]


def _attention_row(pk: int, name: str, workspace: str, note: str, tone: str) -> dict[str, Any]:
    href = reverse("admin:connectors_project_change", args=[pk])
    return {"pk": pk, "name": name, "workspace": workspace, "note": note, "tone": tone, "href": href}


def _oauth(request: HttpRequest) -> dict[str, int]:
    """How many connectors wait for consent, how many tokens end soon, how many scopes differ between their sides,
    and how many incidents are critical.

    The pages behind them open to whom may look.

    Telling the future of every token is dear, so it is cached.
    """
    key = f"dashboard-oauth:{grants_key(request.user)}"
    return remembered(key, CHART_SECONDS, lambda: _count_oauth(request))


def _count_oauth(request: HttpRequest) -> dict[str, int]:
    now, horizon = timezone.now(), dt.timedelta(days=settings.TOKEN_WARN_DAYS)
    ending = endings(Token.objects.visible_to(request.user), now, horizon)
    grave = Incident.objects.visible_to(request.user).open().filter(severity=Severity.CRITICAL)
    differing = LedgerEntry.objects.visible_to(request.user).differing().order_by()
    return {
        "waiting": waiting_count(request.user, now, MOST),
        "ending": len(ending),
        "days": horizon.days,
        "differing": differing[:MOST].count(),
        "critical": grave.order_by()[:MOST].count(),
    }


def _git(request: HttpRequest) -> dict[str, int]:
    """How many repositories in use fail, and how many projects have a file that was changed on both sides."""
    failing = Repository.objects.visible_to(request.user).in_use().filter(state=Repository.State.FAILING)
    conflicting = Placement.objects.visible_to(request.user).conflicting().filter(repository__is_enabled=True)
    return {
        "failing": failing.order_by()[:MOST].count(),
        "conflicting": conflicting.order_by()[:MOST].count(),
    }


def _event_row(event: Event) -> dict[str, Any]:
    words = event.verb.replace(".", " ").replace("_", " ").capitalize()
    return {
        "pk": event.pk,
        "at": event.at,
        "actor_label": event.actor_label,
        "target_label": event.target_label or event.target_type,
        "words": words,
    }


def _run_chart(request: HttpRequest) -> dict[str, Any]:
    return remembered(f"dashboard-runs:{grants_key(request.user)}", CHART_SECONDS, lambda: _count_runs(request))


def _count_runs(request: HttpRequest) -> dict[str, Any]:
    today = timezone.localdate()
    days = [today - dt.timedelta(days=back) for back in reversed(range(DAYS))]
    first = timezone.make_aware(dt.datetime.combine(days[0], dt.time.min))
    counted = (
        SyncRun.objects.visible_to(request.user)
        .filter(created_at__gte=first)
        .order_by()
        .annotate(day=TruncDate("created_at"))
        .values_list("day", "state")
        .annotate(count=Count("pk"))
    )
    done: Counter[dt.date] = Counter()
    failed: Counter[dt.date] = Counter()
    for day, state, count in counted:
        (failed if state in SyncRun.BAD_STATES else done)[day] += count
    labels = ["Today" if day == today else date_format(day, "MONTH_DAY_FORMAT") for day in days]
    bars = {"maxBarThickness": 26, "borderRadius": 4, "stack": "runs"}
    data = {
        "labels": labels,
        "datasets": [
            {
                "label": "Done",
                "data": [done[day] for day in days],
                "backgroundColor": "var(--color-primary-500)",
                **bars,
            },
            {"label": "Failed", "data": [failed[day] for day in days], "backgroundColor": "var(--pc-danger)", **bars},
        ],
    }
    hidden = {"display": False}
    across = {
        "stacked": True,
        "grid": hidden,
        "border": hidden,
        "ticks": {**TICKS, "maxTicksLimit": 7, "maxRotation": 0},
    }
    up = {
        "stacked": True,
        "grid": {"tickWidth": 0, "lineWidth": 0.5},
        "border": hidden,
        "ticks": {**TICKS, "maxTicksLimit": 5, "precision": 0},
    }
    options = {**CHART_BASE, "scales": {"x": across, "y": up}, "plugins": {"legend": {"display": False}}}
    return {
        "run_chart": {"data": json.dumps(data), "options": json.dumps(options)},
        "runs_done": done.total(),
        "runs_failed": failed.total(),
    }


def _list_url(model: str, **filters: str) -> str:
    url = reverse(f"admin:connectors_{model}_changelist")
    return f"{url}?{urlencode(filters)}" if filters else url
