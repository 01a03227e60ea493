"""What the pages of the ledger's history are asked for in their address: dates, and which connectors."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Min, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format

from connectors.flows.history import Side, Wanted, scopes_called
from connectors.models import IntegrationType, Project, ScopePeriod, Workspace
from connectors.models.project import ProjectQuerySet
from connectors.models.visibility import may_everywhere

VIEW_LEDGER = "view_ledgerentry"
FIELDS = ("project", "workspace", "type", "scope", "side")
MAX_TEXT = 300
MINUTE = dt.timedelta(minutes=1)
EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""What is earlier stands for this: databases and time zones have their limits, and Base44 is younger."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The connectors that the address asks for. `project` is a part of a name or slug, the others are exact or ""."""

    project: str
    workspace: str
    type: str
    scope: str
    side: str
    projects: ProjectQuerySet
    with_gone: bool
    wanted: Wanted

    @property
    def filters(self) -> dict[str, str]:
        """What is chosen, as an address names it."""
        return {name: value for name in FIELDS if (value := str(getattr(self, name)))}

    def query(self, **others: str) -> str:
        """The address of a page with the same choice and these dates."""
        return f"?{urlencode({**others, **self.filters})}"

    def described(self, dates: str) -> str:
        """The dates and the choice in words, for what is downloaded."""
        return ", ".join([dates, *(f"{name} {value}" for name, value in self.filters.items())])


def chosen(request: HttpRequest) -> Chosen:
    """The choice in the request's address, among what this person may see; nonsense chooses nothing away."""
    text = {name: request.GET.get(name, "").replace("\0", "").strip()[:MAX_TEXT] for name in FIELDS}
    text["side"] = text["side"] if text["side"] in Side.values else ""
    text["workspace"] = text["workspace"] if text["workspace"].isascii() and text["workspace"].isdigit() else ""
    text["workspace"] = text["workspace"][:18]
    # What the ledger says of a project is not for everybody who may see the project itself.
    projects = Project.objects.visible_to(request.user).permitted(request.user, VIEW_LEDGER)
    if text["project"]:
        projects = projects.filter(Q(name__icontains=text["project"]) | Q(slug__icontains=text["project"]))
    if text["workspace"]:
        projects = projects.filter(workspace=int(text["workspace"]))
    wanted = Wanted(text["type"], scopes_called(text["scope"]), text["side"], text["project"])
    with_gone = may_everywhere(request.user, VIEW_LEDGER) and not text["workspace"]
    return Chosen(**text, projects=projects, with_gone=with_gone, wanted=wanted)


def choices(request: HttpRequest) -> dict[str, Any]:
    """What the form's selects offer, and since when there is a history."""
    first = ScopePeriod.objects.visible_to(request.user).aggregate(first=Min("since"))["first"]
    told = Project.objects.visible_to(request.user).permitted(request.user, VIEW_LEDGER).order_by().values("workspace")
    return {
        "workspaces": list(Workspace.objects.filter(pk__in=told).values_list("pk", "name")),
        "types": list(IntegrationType.objects.order_by("display_name").values_list("pk", "display_name")),
        "sides": Side.choices,
        "begins": first,
        "time_zone": timezone.get_current_timezone_name(),
    }


def moment_in(request: HttpRequest, name: str, default: dt.datetime) -> tuple[dt.datetime, str]:
    """The moment that the address names, and what is wrong with it ("" for nothing): then the default stands.

    A date alone is that day's beginning. What lies in the future is not known: now stands for it.
    """
    text = request.GET.get(name, "").replace("\0", "").strip()
    if not text:
        return default, ""
    found = parsed(text)
    if found is None:
        return default, f"“{text[:40]}” is no date. Enter one such as {timezone.localdate():%Y-%m-%d}."
    now = timezone.now()
    if found > now + MINUTE:
        return now, "Nobody knows the future: what is shown is how things are now."
    return min(found, now), ""


def minute(moment: dt.datetime) -> dt.datetime:
    """The beginning of its minute: what an input of date and time can name."""
    return moment.replace(second=0, microsecond=0)


def field_value(moment: dt.datetime) -> str:
    """As an input of date and time takes it."""
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M")


def moment_words(moment: dt.datetime) -> str:
    """The moment in words, in the portal's time zone."""
    return date_format(timezone.localtime(moment), "DATETIME_FORMAT")


def parsed(text: str) -> dt.datetime | None:
    """The moment that a text names, in UTC, a date alone for its beginning; None for what is no date."""
    try:
        found = parse_datetime(text)
        day = parse_date(text) if found is None else None
        if day is not None:
            found = dt.datetime.combine(day, dt.time())
        if found is None:
            return None
        aware = timezone.make_aware(found) if timezone.is_naive(found) else found
        return max(aware.astimezone(dt.UTC), EARLIEST)
    except OverflowError:  # of the first and the last year there are time zones that cannot reach them
        return EARLIEST
    except ValueError:  # 30 February
        return None
