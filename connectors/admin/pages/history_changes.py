"""What changed between two dates: per connector the difference of both ends, and each step between them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone

from connectors.admin.pages import download
from connectors.admin.pages.frame import draw, route
from connectors.admin.pages.history_form import Chosen, choices, chosen, field_value, minute, moment_in, moment_words
from connectors.admin.pages.history_state import type_names
from connectors.admin.pages.scopes import Chip, chips
from connectors.flows.history import Place
from connectors.flows.history_changes import MOST_CHANGES, Changed, Moment, SideChange, difference
from connectors.flows.history_words import cause_words, listed_words
from connectors.flows.reports import changes_table
from connectors.flows.scope_facts import ScopeFacts

DEFAULT = dt.timedelta(days=7)
LAST = (("Last day", 1), ("Last 7 days", 7), ("Last 30 days", 30), ("Last 90 days", 90), ("Last year", 365))
MOST_STEPS = 40
"""Steps of one connector on this page; its timeline has all."""
VIEW_RUN = "connectors.view_syncrun"


@dataclass(frozen=True, slots=True)
class Part:
    """Scopes that a side listed anew or no longer, after words that say so; or words alone."""

    words: str
    chips: tuple[Chip, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One moment: what made the change and who, and what it changed."""

    moment: Moment
    cause: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One connector with its changes; `left_out`: so many of its steps are not shown."""

    place: Place
    type_name: str
    net: tuple[Part, ...]
    steps: tuple[Step, ...]
    count: int
    left_out: int


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_ledgerentry_changes`, which takes `?from=`, `?to=` and the filters of `history_form`."""
    return [route(model_admin, "changes/", changes_page, "changes")]


def changes_page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Shows one page of what changed. Reads, and changes nothing."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    start, end, problem = _dates(request)
    choice = chosen(request)
    if kind := download.asked_for(request):
        about = choice.described(f"From {moment_words(start)} to {moment_words(end)}")
        table = changes_table(choice.projects, start, end, choice.wanted, with_gone=choice.with_gone, about=about)
        return download.answer(request, table, kind)
    after = request.GET.get("after", "").replace("\0", "")
    found = difference(choice.projects, start, end, choice.wanted, after=after, with_gone=choice.with_gone)
    dates = {"from": field_value(start), **({"to": field_value(end)} if request.GET.get("to") else {})}
    return draw(
        model_admin,
        request,
        "history/changes.html",
        title="Changes between two dates",
        problem=problem,
        found=found,
        blocks=_blocks(found.rows),
        choice=choice,
        start=start,
        end=end,
        dates={"from": field_value(start), "to": field_value(end)},
        most=MOST_CHANGES,
        first=choice.query(**dates) if after else "",
        following=choice.query(**dates, after=found.after) if found.after else "",
        then=choice.query(at=dates["from"]),
        jumps=_jumps(choice),
        may_see_runs=request.user.has_perm(VIEW_RUN),
        **choices(request),
    )


def step_of(facts: ScopeFacts, type_: str, moment: Moment) -> Step:
    """A moment in words."""
    return Step(moment, cause_words(moment.through, moment.run), parts_of(facts, type_, moment.changes))


def parts_of(facts: ScopeFacts, type_: str, changes: Iterable[SideChange]) -> tuple[Part, ...]:
    """Changes in words, with their scopes as chips."""
    return tuple(part for change in changes for part in _parts(facts, type_, change))


def _parts(facts: ScopeFacts, type_: str, change: SideChange) -> list[Part]:
    if change.whole:
        return [Part(change.words, tuple(chips(facts, type_, added=change.added, removed=change.removed)))]
    found = [Part(change.words)] if change.words else []
    if change.added:
        found.append(Part(listed_words(change.side, added=True), tuple(chips(facts, type_, added=change.added))))
    if change.removed:
        found.append(Part(listed_words(change.side, added=False), tuple(chips(facts, type_, removed=change.removed))))
    return found


def _blocks(rows: tuple[Changed, ...]) -> list[Block]:
    names, facts = type_names({row.place.type_slug for row in rows}), ScopeFacts()
    return [_block(row, names.get(row.place.type_slug, row.place.type_slug), facts) for row in rows]


def _block(row: Changed, type_name: str, facts: ScopeFacts) -> Block:
    type_, count = row.place.type_slug, len(row.moments)
    steps = tuple(step_of(facts, type_, moment) for moment in row.moments[:MOST_STEPS])
    return Block(row.place, type_name, parts_of(facts, type_, row.net), steps, count, count - len(steps))


def _dates(request: HttpRequest) -> tuple[dt.datetime, dt.datetime, str]:
    """The earlier and the later date, and what is wrong with what was asked."""
    end, wrong_end = moment_in(request, "to", timezone.now())
    start, wrong_start = moment_in(request, "from", minute(end - DEFAULT))
    return min(start, end), max(start, end), wrong_start or wrong_end


def _jumps(choice: Chosen) -> list[tuple[str, str]]:
    now = timezone.now()
    return [(title, choice.query(**{"from": field_value(now - dt.timedelta(days=days))})) for title, days in LAST]
