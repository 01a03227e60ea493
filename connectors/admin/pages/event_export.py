"""The activity as JSON lines: every event that the list shows with its filters, streamed, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from django.contrib.admin import ModelAdmin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, reverse
from django.utils import timezone

from connectors.admin.filter_words import filters_in_words
from connectors.admin.pages.frame import actor_of, has_nul, require, route
from connectors.flows.events import record_event
from connectors.flows.trail_files import COLUMNS, document_of, line_of
from connectors.models import Event

VIEW_EVENT = "connectors.view_event"
CHUNK = 2_000


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_event_export`, with the filters of the list in its address."""
    return [route(model_admin, "export/", export, "export")]


def export(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Newest first. That it was taken goes on record before the first line leaves."""
    require(request, VIEW_EVENT)
    try:
        shown = None if has_nul(request) else model_admin.get_changelist_instance(request)
    except IncorrectLookupParameters:
        shown = None
    if shown is None:
        return HttpResponseRedirect(reverse("admin:connectors_event_changelist"))
    newest = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    after = {"format": "jsonl", "chosen": filters_in_words(shown, request.user)}
    record_event(actor_of(request), "trail.exported", Event(verb="Activity", target_label="list"), after=after)
    response = StreamingHttpResponse(
        _lines(shown.queryset.filter(pk__lte=newest)), content_type="application/x-ndjson; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="activity-{timezone.now():%Y-%m-%d}.jsonl"'
    response["Cache-Control"] = "no-store"
    return cast("HttpResponse", response)  # the admin's views are typed so; Django streams from any of them


def _lines(rows: QuerySet[Event]) -> Iterator[str]:
    """Portions by key: one query over all would make PostgreSQL gather millions of rows before the first leaves."""
    newest_first = rows.select_related(None).order_by("-pk").values(*COLUMNS)
    portion = list(newest_first[:CHUNK])
    while portion:
        yield from (line_of(document_of(row)) for row in portion)
        portion = list(newest_first.filter(pk__lt=portion[-1]["id"])[:CHUNK])
