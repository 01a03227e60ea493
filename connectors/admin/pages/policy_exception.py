"""Deciding on exceptions from policies: grant, decline, withdraw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import actor_of, route, visible
from connectors.core.errors import PortalError
from connectors.flows.policy_exceptions import CHANGE_RULE, DECIDE, decide_exception, withdraw_exception
from connectors.models import PolicyException
from connectors.models.visibility import may

State = PolicyException.State


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_policyexception_decide` and `..._withdraw`, which take a POST only."""
    return [
        route(model_admin, "<int:object_id>/decide/", decide, "decide"),
        route(model_admin, "<int:object_id>/withdraw/", withdraw, "withdraw"),
    ]


def decide(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Grants (`decision=grant`) or declines what was asked for; the flow says who may."""
    row = _row(model_admin, request, object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not _may_decide(row, request):
        raise PermissionDenied
    grant, note = request.POST.get("decision") == "grant", request.POST.get("note", "")
    text = "Granted: the change can be made now." if grant else "Declined."
    return _do(
        request,
        row,
        text,
        lambda: decide_exception(row, request.user, actor_of(request), grant=grant, note=note),  # type: ignore[arg-type]
    )


def withdraw(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Takes a request back, or ends a granted exception before its time."""
    row = _row(model_admin, request, object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not may_withdraw(row, request):
        raise PermissionDenied
    text = "Withdrawn: the policy counts again."
    return _do(
        request, row, text, lambda: withdraw_exception(row, actor_of(request), note=request.POST.get("note", ""))
    )


def may_withdraw(row: PolicyException, request: HttpRequest) -> bool:
    """Whoever asked, whoever answers for it, and whoever may decide, while there is something to withdraw."""
    if row.state not in (State.REQUESTED, State.GRANTED):
        return False
    if request.user.pk in (row.requested_by_id, row.owner_id):
        return True
    return _may_decide(row, request)


def _may_decide(row: PolicyException, request: HttpRequest) -> bool:
    """Whoever decides on exceptions in this project, or changes the policies of the whole portal."""
    return may(request.user, DECIDE, row.project) or may(request.user, CHANGE_RULE, row.rule)


def _row(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> PolicyException:
    return visible(model_admin, request, PolicyException.objects.select_related("rule", "project"), object_id)


def _do(request: HttpRequest, row: PolicyException, text: str, act: Callable[[], object]) -> HttpResponse:
    try:
        act()
        messages.success(request, text)
    except PortalError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse("admin:connectors_policyexception_change", args=[row.pk]))
