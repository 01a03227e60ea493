"""Why a file changes: who changed the connector in the portal, when and through what, as the history has it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from connectors.flows.history_words import cause_words
from connectors.models import ScopePeriod

Place = tuple[int, str]
"""A project's id and an integration type."""

_UNTOLD = frozenset({"ledger.caught_up"})
"""Causes that say when the portal noticed, and not who did something."""


def reasons(places: Collection[Place]) -> dict[Place, str]:
    """For each connector the newest change of what it declares: "changed in the portal by ann, 2026-11-21 10:00 UTC".

    Missing where the history knows of none. One query; works for connectors that are gone as well.
    """
    if not places:
        return {}
    newest: dict[Place, tuple[dt.datetime, str, str]] = {}
    periods = ScopePeriod.objects.filter(
        side=ScopePeriod.Side.DECLARED,
        project__in={project for project, _ in places},
        type_slug__in={type_ for _, type_ in places},
    ).order_by()
    columns = ("since", "begun_through", "begun_by", "until", "ended_through", "ended_by")
    for project, type_, since, begun, by, until, ended, ended_by in periods.values_list(
        "project", "type_slug", *columns
    ):
        moment = (since, begun, by) if until is None or until < since else (until, ended, ended_by)
        if moment[1] not in _UNTOLD:
            newest[project, type_] = max(moment, newest.get((project, type_), moment))
    return {place: _words(*newest[place]) for place in places if place in newest}


def _words(at: dt.datetime, through: str, by: str) -> str:
    cause = cause_words(through)
    return f"{cause[:1].lower()}{cause[1:]} by {by}, {at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
