"""The ledger as it was: which scopes each connector had on a date, and how its sides compared."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.safestring import SafeString

from connectors.admin import cells
from connectors.admin.pages import download
from connectors.admin.pages.frame import draw, route
from connectors.admin.pages.history_form import Chosen, choices, chosen, field_value, minute, moment_in, moment_words
from connectors.core.ledger import ScopeVerdict
from connectors.flows.history import ConnectorThen, Side, state_at
from connectors.flows.reports import history_table
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import IntegrationType

DEFAULT = dt.timedelta(days=7)
AGO = (("Yesterday", 1), ("A week ago", 7), ("A month ago", 30), ("Three months ago", 90), ("A year ago", 365))


@dataclass(frozen=True, slots=True)
class Line:
    """One scope as it stood."""

    scope: str
    title: str
    marks: tuple[tuple[str, SafeString], ...]
    badge: SafeString
    sensitivity: SafeString


@dataclass(frozen=True, slots=True)
class Block:
    """One connector with its scopes. `unknown` names the sides of which nothing was known then."""

    then: ConnectorThen
    type_name: str
    lines: tuple[Line, ...]
    unknown: tuple[str, ...]


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_ledgerentry_history`, which takes `?at=` and the filters of `history_form`."""
    return [route(model_admin, "history/", history_page, "history")]


def history_page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Shows one page of the fleet on a date. Reads, and changes nothing."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    moment, problem = moment_in(request, "at", minute(timezone.now() - DEFAULT))
    choice = chosen(request)
    if kind := download.asked_for(request):
        about = choice.described(f"As of {moment_words(moment)}")
        table = history_table(choice.projects, moment, choice.wanted, with_gone=choice.with_gone, about=about)
        return download.answer(request, table, kind)
    after = request.GET.get("after", "").replace("\0", "")
    state = state_at(choice.projects, moment, choice.wanted, after=after, with_gone=choice.with_gone)
    at = field_value(moment)
    return draw(
        model_admin,
        request,
        "history/state.html",
        title="History",
        problem=problem,
        state=state,
        blocks=_blocks(state.rows),
        choice=choice,
        at=at,
        first=choice.query(at=at) if after else "",
        following=choice.query(at=at, after=state.after) if state.after else "",
        since_then=choice.query(**{"from": at}),
        jumps=_jumps(choice, at),
        **choices(request),
    )


def _blocks(rows: tuple[ConnectorThen, ...]) -> list[Block]:
    names = type_names({row.place.type_slug for row in rows})
    facts = ScopeFacts()
    return [
        Block(
            row,
            names.get(row.place.type_slug, row.place.type_slug),
            tuple(_line(row.place.type_slug, one, facts) for one in row.verdicts),
            tuple(str(side.label) for side in Side if side not in row.standing.listed),
        )
        for row in rows
    ]


def type_names(slugs: set[str]) -> dict[str, str]:
    """How the integration types are called."""
    return dict(IntegrationType.objects.filter(pk__in=slugs).values_list("pk", "display_name"))


def _line(type_: str, found: ScopeVerdict, facts: ScopeFacts) -> Line:
    return Line(
        found.scope,
        facts.title(type_, found.scope),
        cells.marks(found),
        cells.verdict_of(found),
        cells.harm(facts.sensitivity(type_, found.scope)),
    )


def _jumps(choice: Chosen, at: str) -> list[tuple[str, str, bool]]:
    """Links to dates that people ask for most: title, address, and whether it is the one shown."""
    now = timezone.now()
    days = [(title, field_value(now - dt.timedelta(days=ago))) for title, ago in AGO]
    return [(title, choice.query(at=day), day[:10] == at[:10]) for title, day in days]
