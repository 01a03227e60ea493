"""A policy's rehearsal: what it finds in today's fleet, in force or not, and the switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import actor_of, draw, require, route, visible
from connectors.core import policy_words
from connectors.core.policy import Judged
from connectors.flows.policy_exceptions import CHANGE_RULE
from connectors.flows.policy_rules import rehearse, switch_rule
from connectors.models import IntegrationType, PolicyException, PolicyRule, Project
from connectors.models.visibility import may
from connectors.tasks import start_policy_recheck

MAX_PROJECTS = 100
"""Projects whose findings the page lists; all are counted."""


@dataclass(frozen=True, slots=True)
class Line:
    """One connector that breaks the rule. `exception` covers it altogether."""

    type: str
    sentence: str
    exception: PolicyException | None


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_policyrule_rehearsal`, and `..._switch`, which takes a POST only."""
    return [
        route(model_admin, "<int:object_id>/rehearsal/", rehearsal_page, "rehearsal"),
        route(model_admin, "<int:object_id>/switch/", switch, "switch"),
    ]


def rehearsal_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """What the policy finds in the projects that this person may see, as the ledger has them now."""
    row = visible(model_admin, request, PolicyRule.objects.all(), object_id)
    # It tells what the ledger has of a project, which not everybody knows who may see the project itself.
    projects = Project.objects.permitted(request.user, "view_policyrule").permitted(request.user, "view_ledgerentry")
    found = rehearse(row, projects, show=MAX_PROJECTS)
    judged = [one for _, its in found.by_project for one in its]
    names = dict(
        IntegrationType.objects.filter(slug__in={one.finding.type for one in judged}).values_list(
            "slug", "display_name"
        )
    )
    exceptions = PolicyException.objects.visible_to(request.user).in_bulk(
        [one.exemption.key for one in judged if one.exemption]
    )
    return draw(
        model_admin,
        request,
        "policy_rehearsal.html",
        title=f"Rehearsal of {row}",
        original=row,
        rule=row,
        rule_sentence=policy_words.rule(found.rule),
        found=found,
        hidden=found.projects - len(found.by_project),
        rows=[(project, [_line(one, names, exceptions) for one in its]) for project, its in found.by_project],
        may_switch=may(request.user, CHANGE_RULE, row),
    )


def switch(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Puts the policy in force (`on=1`) or out of it, and judges the fleet anew."""
    row = visible(model_admin, request, PolicyRule.objects.all(), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, CHANGE_RULE, row)
    on = request.POST.get("on") == "1"
    if switch_rule(row, actor_of(request), on=on):
        messages.success(request, f"“{row}” is {'in force' if on else 'off'} now.")
        if not start_policy_recheck():
            messages.info(request, "A worker judges all projects by it; the ledger shows the result soon.")
    else:
        messages.info(request, f"“{row}” was {'in force' if on else 'off'} already.")
    return HttpResponseRedirect(reverse("admin:connectors_policyrule_change", args=[row.pk]))


def _line(one: Judged, names: dict[str, str], exceptions: dict[int, PolicyException]) -> Line:
    shown = one.counting or one.finding
    key = one.exemption.key if one.exemption else None
    return Line(names.get(shown.type, shown.type), shown.sentence, exceptions.get(key or 0))
