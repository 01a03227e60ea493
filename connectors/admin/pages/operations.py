"""How the portal itself is doing: its parts, processes, queues, what was done last, what fails, its configuration."""

from __future__ import annotations

import functools
import platform
from dataclasses import dataclass
from typing import Any

import django
from django.conf import settings
from django.contrib.admin import ModelAdmin
from django.core.checks import Tags, run_checks
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone

from connectors import __version__
from connectors.admin.pages.frame import draw, fragment, route
from connectors.flows.figures import figures
from connectors.flows.operations import UNSEALED_COUNTED, operations
from connectors.models.visibility import may_everywhere

VIEW_EVENTS = "connectors.view_event"
PART_TITLES = {"worker": "Workers", "scheduler": "Scheduler", "tokens": "Refreshes"}


@dataclass(frozen=True, slots=True)
class Advice:
    """A setting that is allowed and still unsafe, and what to do about it."""

    text: str
    hint: str


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_event_operations`, and the part of it that asks for itself again."""
    return [
        route(model_admin, "operations/", operations_page, "operations"),
        route(model_admin, "operations/now/", operations_now, "operations_now"),
    ]


def is_open_to(request: HttpRequest) -> bool:
    """Whether this person may see it: it tells of all teams at once, so a role at one place is not enough."""
    return may_everywhere(request.user, VIEW_EVENTS)


def operations_page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """The page. Reads, and changes nothing."""
    _require(request)
    return draw(
        model_admin,
        request,
        "operations.html",
        title="Operations",
        advice=advice(),
        versions=_versions(),
        has_metrics=bool(settings.METRICS_TOKEN),
        **_now(),
    )


def operations_now(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """The part that changes, for htmx."""
    _require(request)
    return fragment(request, "operations_now.html", **_now())


def _require(request: HttpRequest) -> None:
    if not is_open_to(request):
        raise PermissionDenied


def _now() -> dict[str, Any]:
    now = timezone.now()
    found, state = figures(now), operations()
    return {
        "now": now,
        "figures": found,
        "state": state,
        "parts": [(PART_TITLES[vital.name], vital) for vital in found.vitals],
        "ailing": [vital for vital in found.vitals if not vital.is_well],
        "queues": [(queue, queue.kind.replace("_", " ").capitalize()) for queue in found.queues],
        "finished": [
            (kind.replace("_", " ").capitalize(), run, n) for (kind, run), n in sorted(found.finished.items())
        ],
        "unsealed_counted": UNSEALED_COUNTED,
    }


@functools.cache
def advice() -> list[Advice]:
    """What `check --deploy` says of the settings, which do not change while this process lives."""
    found = run_checks(tags=[Tags.security], include_deployment_checks=True)
    return [Advice(str(message.msg), str(message.hint or "")) for message in found if not message.is_silenced()]


def _versions() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SHOW server_version")
        row = cursor.fetchone()
    return [
        ("Portal", __version__),
        ("Python", platform.python_version()),
        ("Django", django.get_version()),
        (connection.display_name, str(row[0]) if row else ""),
        ("Broker and cache", "Redis" if settings.REDIS_URL else "on disk"),
    ]
