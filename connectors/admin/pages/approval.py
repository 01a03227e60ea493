"""Deciding on what somebody else wants to do: approve, decline, take back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import actor_of, require, route, visible
from connectors.core.errors import PortalError
from connectors.flows.approval_decisions import decide, may_withdraw, withdraw
from connectors.flows.approvals import DECIDE
from connectors.models import Approval

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_approval_decide` and `..._withdraw`, which take a POST only."""
    return [
        route(model_admin, "<int:object_id>/decide/", decide_page, "decide"),
        route(model_admin, "<int:object_id>/withdraw/", withdraw_page, "withdraw"),
    ]


def decide_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Approves (`decision=approve`) or declines what was asked for; the flow says who may."""
    row = _row(model_admin, request, object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, DECIDE, row)
    approve, note = request.POST.get("decision") == "approve", request.POST.get("note", "")
    text = "Approved: it can be done once, within a day." if approve else "Declined."
    return _do(request, row, text, lambda: decide(row, _person(request), actor_of(request), approve=approve, note=note))


def withdraw_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Takes back a request, or an approval that nobody has used yet."""
    row = _row(model_admin, request, object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if row.state in (Approval.State.OPEN, Approval.State.APPROVED) and not may_withdraw(row, _person(request)):
        raise PermissionDenied
    note = request.POST.get("note", "")
    return _do(request, row, "Taken back.", lambda: withdraw(row, _person(request), actor_of(request), note=note))


def _person(request: HttpRequest) -> User:
    return cast("User", request.user)


def _row(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> Approval:
    return visible(model_admin, request, Approval.objects.select_related("project__workspace"), object_id)


def _do(request: HttpRequest, row: Approval, text: str, act: Callable[[], object]) -> HttpResponse:
    try:
        act()
        messages.success(request, text)
    except PortalError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse("admin:connectors_approval_change", args=[row.pk]))
