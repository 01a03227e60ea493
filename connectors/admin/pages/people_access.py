"""What one person can do where, and why: for superusers, for the person, and for those who answer for a place."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages import download
from connectors.admin.pages.frame import draw, route
from connectors.core.role_words import ABILITIES
from connectors.flows.access_reports import person_table
from connectors.flows.access_words import Held, what_they_can


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:auth_user_access`, and `admin:connectors_membership_mine`, which leads everybody to their own."""
    if model_admin.opts.model_name == "membership":
        return [route(model_admin, "mine/", mine, "mine")]
    return [route(model_admin, "<int:object_id>/access/", access, "access")]


def mine(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """On to one's own page."""
    return HttpResponseRedirect(reverse("admin:auth_user_access", args=[request.user.pk]))


def access(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Every role of the person that this viewer may know of; 404 where that is none."""
    user, viewer = User.objects.filter(pk=object_id).first(), cast("User", request.user)
    held = what_they_can(user, viewer) if user is not None else []
    is_own = object_id == viewer.pk
    if user is None or not (held or is_own or viewer.is_superuser):
        raise Http404
    if kind := download.asked_for(request):
        return download.answer(request, person_table(user, held), kind, target=user)
    name = user.get_full_name() or user.get_username()
    return draw(
        model_admin,
        request,
        "people/person_access.html",
        title="What you can do" if is_own else f"What {name} can do",
        person=user,
        is_own=is_own,
        held=[(one, abilities_told(one)) for one in held],
        is_part=not (is_own or viewer.is_superuser),
        may_give=viewer.has_perm("connectors.add_membership"),
        # The way back leads to the list of logins, which most people may not open.
        opts=model_admin.opts if model_admin.has_view_permission(request) else None,
    )


def abilities_told(held: Held) -> list[str]:
    """What one reason allows, in words."""
    return [ability.text for ability in (ABILITIES if held.is_everything else held.abilities)]
