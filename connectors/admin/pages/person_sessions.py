"""Logging somebody out everywhere: for when a browser of theirs is in other hands."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import actor_of, route
from connectors.flows.sign_in import end_sessions


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:auth_user_end_sessions`."""
    return [route(model_admin, "<int:object_id>/end-sessions/", end, "end_sessions")]


def end(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """POST: ends every session of the person, but not the one in which this is asked. For superusers."""
    if not request.user.is_superuser:
        raise PermissionDenied
    user = User.objects.filter(pk=object_id).first()
    if user is None:
        raise Http404
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    ended = end_sessions(user, actor_of(request), but=str(request.session.session_key or ""))
    messages.success(request, f"{ended} session{'s were' if ended != 1 else ' was'} ended.")
    return HttpResponseRedirect(reverse("admin:auth_user_change", args=[user.pk]))
