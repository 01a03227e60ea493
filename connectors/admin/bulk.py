"""What can be done to many rows of a list at once. Each starts from what the person may see and change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from connectors.admin.base import PortalAdmin
from connectors.admin.pages.export_files import MAX_PROJECTS, attachment
from connectors.admin.pages.frame import MAX_IDS, actor_of, ids_of
from connectors.core.errors import PortalError
from connectors.flows.export_files import export_zip as make_zip
from connectors.models import Connector, Project
from connectors.models.project import ProjectQuerySet
from connectors.models.visibility import may_everywhere
from connectors.tasks import start_sync


def projects_of(request: HttpRequest, rows: QuerySet[Any], codename: str) -> ProjectQuerySet:
    """The projects that the ticked rows are or belong to, as far as this person has the permission there.

    Says so when that leaves out some that they see; 403 when it leaves none.
    """
    keys = rows.order_by().values("project_id" if rows.model is Connector else "pk")
    seen = Project.objects.visible_to(request.user).filter(pk__in=keys)
    if may_everywhere(request.user, codename):
        return seen.select_related("workspace")
    allowed = seen.permitted(request.user, codename)
    if left_out := seen.exclude(pk__in=allowed.order_by().values("pk")).count():
        if not allowed.exists():
            raise PermissionDenied
        text = _("%(count)d project(s) were left out, because you may not do this there.")
        messages.warning(request, text % {"count": left_out})
    return allowed.select_related("workspace")


@admin.action(description=_("Sync with Base44 now"), permissions=["sync"])
def sync_now(model_admin: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
    projects = list(projects_of(request, rows, "change_project"))
    if not projects:
        return _nothing_done(request)
    started = start_sync(projects, actor_of(request))
    waiting = len(projects) - len(started)
    text = _("%(count)d project(s) queued for a sync.") % {"count": len(started)}
    if waiting:
        text = f"{text} {_('%(count)d had one under way already.') % {'count': waiting}}"
    messages.success(request, text)
    return None


@admin.action(description=_("Show the plans"), permissions=["sync"])
def show_plans(model_admin: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
    ids = list(projects_of(request, rows, "change_project").values_list("pk", flat=True)[: MAX_IDS + 1])
    if not ids:
        return _nothing_done(request)
    if len(ids) == 1:
        return HttpResponseRedirect(reverse("admin:connectors_project_plan", args=ids))
    address = reverse("admin:connectors_project_plan_many")
    return HttpResponseRedirect(f"{address}?ids={','.join(map(str, ids))}")


@admin.action(description=_("Export as zip"), permissions=["view"])
def export_zip(model_admin: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
    projects = list(projects_of(request, rows, "view_project")[: MAX_PROJECTS + 1])
    if not projects:
        return _nothing_done(request)
    if len(projects) > MAX_PROJECTS:
        text = _("One archive holds at most %(count)d projects. Filter the list first.")
        messages.error(request, text % {"count": MAX_PROJECTS})
        return None
    try:
        data = make_zip(projects, actor_of(request))
    except PortalError as error:
        messages.error(request, str(error))
        return None
    name = projects[0].slug if len(projects) == 1 else "connectors"
    return attachment(f"{name}.zip", data, "application/zip")


class BulkAdmin(PortalAdmin):
    """A list whose rows are projects or belong to one."""

    actions = [sync_now, show_plans, export_zip]

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Django would answer a ticked id that is no number with an error page."""
        if not all(ids_of([ticked]) for ticked in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            return _nothing_done(request)
        response: HttpResponse | None = super().response_action(request, queryset)
        return response


def _nothing_done(request: HttpRequest) -> HttpResponse:
    messages.warning(request, _("What was ticked is no longer here. Nothing was done."))
    return HttpResponseRedirect(request.get_full_path())
