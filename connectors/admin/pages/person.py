"""Somebody leaves: what hangs on them, and a plan to hand it over or to end it, shown before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_variables

from connectors.admin import cells
from connectors.admin.pages import download
from connectors.admin.pages.approval_gate import ask_all, gates
from connectors.admin.pages.desk import DAYS, lifetime_in, links_page
from connectors.admin.pages.frame import CHANGE_CONNECTOR, CHANGE_TOKEN, actor_of, draw, require, route
from connectors.admin.pages.revoke import tell
from connectors.core.errors import PortalError
from connectors.flows.approval_matters import ending_matters
from connectors.flows.consent_links import LIFETIME, make_links
from connectors.flows.offboard import LIMIT, Fate, Reach, Way, holdings_called, people, person_called
from connectors.flows.offboard_plan import Plan, carry_out, plan_for
from connectors.flows.reports import holdings_table
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Project
from connectors.models.visibility import may, may_everywhere

MAX_NAME = 200
MOST_TITLES = 4
TONES = {Fate.STOPS: "danger", Fate.MAY_STOP: "warning", Fate.GOES_ON: "success"}
WORDS = {Fate.STOPS: "Stops", Fate.MAY_STOP: "May stop", Fate.GOES_ON: "Goes on"}
NOTHING_CHOSEN = "Nothing is to be done: choose what to hand over or to revoke."


@dataclass(frozen=True, slots=True)
class Line:
    """One connector of the person: what it allows in words, and what may be done about it.

    `suggested` is the choice that the form begins with; it asks somebody, and destroys nothing.
    """

    reach: Reach
    fate: SafeString
    sensitivity: SafeString
    titles: tuple[str, ...]
    more: int
    may_hand: bool
    may_revoke: bool
    suggested: str


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_ledgerentry_person`, which takes `?name=`, or `?q=` to look for somebody."""
    return [route(model_admin, "person/", person_page, "person")]


def person_page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Shows what hangs on a person. POST shows a plan, and with `step=do` carries it out."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    name = _text(request.GET.get("name", ""))
    if request.method == "POST":
        if not may(request.user, CHANGE_TOKEN):
            require(request, CHANGE_CONNECTOR)
        return _planned(model_admin, request, name)
    return _person(model_admin, request, name) if name else _search(model_admin, request)


def _search(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    text = _text(request.GET.get("q", ""))
    found = people(request.user, text)
    return draw(model_admin, request, "history/people.html", title="Somebody leaves", found=found, text=text)


def _person(model_admin: ModelAdmin[Any], request: HttpRequest, name: str, *, problem: str = "") -> HttpResponse:
    holdings = holdings_called(request.user, name, timezone.now())
    if kind := download.asked_for(request):
        return download.answer(request, holdings_table(holdings), kind)
    facts, projects = ScopeFacts(), {reach.connector.project_id for reach in holdings.reaches}
    hand, revoke = (_among(request, permission, projects) for permission in (CHANGE_CONNECTOR, CHANGE_TOKEN))
    lines = [
        _line(
            reach,
            facts,
            may_hand=reach.connector.project_id in hand,
            may_revoke=reach.connector.project_id in revoke,
        )
        for reach in holdings.reaches
    ]
    return draw(
        model_admin,
        request,
        "history/person.html",
        title=f"What depends on {holdings.person.name}",
        problem=problem,
        person=holdings.person,
        holdings=holdings,
        lines=lines,
        fates=[(cells.badge(WORDS[fate], TONES[fate]), holdings.fates.get(fate, 0)) for fate in Fate],
        limit=LIMIT,
        may_act=any(line.may_hand or line.may_revoke for line in lines),
        entries=f"{reverse('admin:connectors_ledgerentry_changelist')}?{urlencode({'person': holdings.person.name})}",
    )


def _among(request: HttpRequest, permission: str, projects: set[int]) -> set[int]:
    """The projects among these where the person has the permission, in one query at most."""
    if may_everywhere(request.user, permission):
        return projects
    rows = Project.objects.filter(pk__in=projects).permitted(request.user, permission.partition(".")[2])
    return set(rows.order_by().values_list("pk", flat=True))


def _line(reach: Reach, facts: ScopeFacts, *, may_hand: bool, may_revoke: bool) -> Line:
    type_ = reach.connector.integration_type_id
    named = [facts.title(type_, scope) or scope for scope in reach.scopes]
    may_hand = may_hand and reach.connector.is_declared
    hand = may_hand and reach.fate != Fate.GOES_ON
    return Line(
        reach,
        cells.badge(WORDS[reach.fate], TONES[reach.fate]),
        cells.harm(reach.sensitivity),
        tuple(named[:MOST_TITLES]),
        max(len(named) - MOST_TITLES, 0),
        may_hand,
        may_revoke and reach.way == Way.PORTAL,
        "hand" if hand else "leave",
    )


def _planned(model_admin: ModelAdmin[Any], request: HttpRequest, name: str) -> HttpResponse:
    """The plan that the form asks for: shown, or when it was confirmed carried out."""
    hand, revoke = _choices(request)
    if hand:
        require(request, CHANGE_CONNECTOR)
    if revoke:
        require(request, CHANGE_TOKEN)
    plan = plan_for(request.user, person_called(name), hand, revoke)
    if not plan and not plan.refused:
        return _person(model_admin, request, name, problem=NOTHING_CHOSEN)
    if request.POST.get("step") != "do" or not plan:
        return _confirm(model_admin, request, name, plan)
    return _done(model_admin, request, name, plan)


def _choices(request: HttpRequest) -> tuple[list[str], list[str]]:
    """The connectors to hand over, and those whose tokens are to end."""
    chosen = {key.removeprefix("do-"): value for key, value in request.POST.items() if key.startswith("do-")}
    return tuple([key for key, value in chosen.items() if value == wanted] for wanted in ("hand", "revoke"))  # type: ignore[return-value]


def _confirm(
    model_admin: ModelAdmin[Any], request: HttpRequest, name: str, plan: Plan, *, problem: str = ""
) -> HttpResponse:
    return draw(
        model_admin,
        request,
        "history/person_plan.html",
        title=f"Plan for {name}",
        problem=problem,
        name=name,
        plan=plan,
        days=DAYS,
        default_days=LIFETIME.days,
        back=_address(name),
        gates=gates(request, ending_matters(plan.ending, "revoke")),
        reason=request.POST.get("reason", ""),
    )


@sensitive_variables("made")
def _done(model_admin: ModelAdmin[Any], request: HttpRequest, name: str, plan: Plan) -> HttpResponse:
    """Ends tokens first: should more end than was shown, no link has been made yet."""
    confirmed = [int(key) for key in request.POST.getlist("shown") if key.isascii() and key.isdigit()]
    try:
        if request.POST.get("ask"):
            ask_all(request, ending_matters(plan.ending, "revoke"))
            return HttpResponseRedirect(_address(name))
        tell(request, carry_out(plan, confirmed, actor_of(request)))
    except PortalError as error:
        return _confirm(model_admin, request, name, plan, problem=str(error))
    if not plan.hand:
        return HttpResponseRedirect(_address(name))
    note = _text(request.POST.get("note", ""))
    made = make_links(plan.hand, actor_of(request), note=note, lifetime=lifetime_in(request))
    if not any(item.link for item in made):
        for item in made:
            messages.error(request, f"{item.asked.connector.integration_type}: {item.problem}")
        return HttpResponseRedirect(_address(name))
    return links_page(model_admin, request, made)


def _address(name: str) -> str:
    return f"{reverse('admin:connectors_ledgerentry_person')}?{urlencode({'name': name})}"


def _text(value: str) -> str:
    return value.replace("\0", "").strip()[:MAX_NAME]
