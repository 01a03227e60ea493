"""The forecast: which tokens end for good, when, and why."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.formats import date_format

from connectors.admin.pages.frame import CHANGE_CONNECTOR, draw, route
from connectors.flows.forecast import LIMIT, Forecast, forecast_for
from connectors.models import Connector
from connectors.models.visibility import may, may_everywhere

HORIZONS = (7, 30, 90, 365)
DEFAULT = 30
SOON = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Bar:
    """One week or month: how many tokens end in it."""

    label: str
    count: int


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_token_forecast`, which takes `?days=` (one of HORIZONS)."""
    return [route(model_admin, "forecast/", forecast_page, "forecast")]


def forecast_page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Lists what ends within the horizon that the address names. Reads, and changes nothing."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    asked, now = request.GET.get("days", ""), timezone.now()
    days = int(asked) if asked in map(str, HORIZONS) else DEFAULT
    found = forecast_for(request.user, now, dt.timedelta(days=days))
    bars = _bars(found)
    return draw(
        model_admin,
        request,
        "forecast.html",
        title="Forecast",
        forecast=found,
        bars=bars,
        highest=max((bar.count for bar in bars), default=0),
        days=days,
        horizons=HORIZONS,
        limit=LIMIT,
        now=now,
        soon=now + SOON,
        may_authorise=_changeable(request, found),
        may_see_clients=may(request.user, "connectors.view_oauthclient"),
    )


def _changeable(request: HttpRequest, found: Forecast) -> set[int]:
    """The keys of the listed connectors that this person may authorise."""
    listed = {row.token.connector_id for row in found.doomed}
    if may_everywhere(request.user, CHANGE_CONNECTOR):
        return listed
    rows = Connector.objects.filter(pk__in=listed).permitted(request.user, "change_connector")
    return set(rows.order_by().values_list("pk", flat=True))


def _bars(found: Forecast) -> list[Bar]:
    return [Bar(_label(period.start, by_week=found.by_week), period.count) for period in found.periods]


def _label(start: dt.date | None, *, by_week: bool) -> str:
    if start is None:
        return "Time is over"
    return f"Week of {date_format(start, 'DATE_FORMAT')}" if by_week else date_format(start, "F Y")
