"""What every page does the same way: who may see it, who may act, how it is drawn, how an error is told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from connectors.core.actor import Actor, Door
from connectors.models.visibility import VisibleQuerySet, may

View = Callable[..., HttpResponse]
Row = TypeVar("Row", bound=Model)

CHANGE_PROJECT = "connectors.change_project"
"""Apply, pull, import, cancel: whoever may change a project may change what it declares and what Base44 has of it."""
CHANGE_CONNECTOR = "connectors.change_connector"
CHANGE_TOKEN = "connectors.change_token"  # noqa: S105 - the name of a permission
DELETE_TOKEN = "connectors.delete_token"  # noqa: S105 - the name of a permission
ADD_PROJECT = "connectors.add_project"
CHANGE_WORKSPACE = "connectors.change_workspace"
CHANGE_REPOSITORY = "connectors.change_repository"
"""Read, export, import, and whatever else makes the portal act on a repository."""

MAX_IDS = 50
"""Projects on one page of plans: a bulk action on more is cut off, and the page says so."""


def actor_of(request: HttpRequest) -> Actor:
    """The logged-in person, acting through the admin."""
    return Actor(request.user.get_username(), Door.ADMIN, request.user.pk)


def route(model_admin: ModelAdmin[Any], address: str, view: View, name: str) -> URLPattern:
    """An address `admin:connectors_<model>_<name>` for staff alone; `view` gets the model admin before the request."""
    guarded = model_admin.admin_site.admin_view(partial(view, model_admin))
    return path(address, guarded, name=f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_{name}")


def visible(model_admin: ModelAdmin[Any], request: HttpRequest, rows: VisibleQuerySet[Row], pk: int) -> Row:
    """The row, if this person may see it: 404 for what is not theirs to know of, 403 without the view permission."""
    row = rows.visible_to(request.user).filter(pk=pk).first()
    if row is None:
        raise Http404
    if not model_admin.has_view_permission(request, row):
        raise PermissionDenied
    return row


def require(request: HttpRequest, permission: str, row: Model | None = None) -> None:
    """Ends the request with 403 unless the person has the permission: for this row, without one anywhere at all."""
    if not may(request.user, permission, row):
        raise PermissionDenied


def draw(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    template: str,
    *,
    title: str,
    original: Model | None = None,
    **context: Any,
) -> TemplateResponse:
    """The page inside the admin's frame; `original` is the row whose name stands in the way back.

    `template` is in `connectors/pages`, or with a folder in its name in `connectors`.
    """
    frame = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, "title": title}
    if original is not None:
        frame["original"] = original
    return TemplateResponse(request, _path_of(template), {**frame, **context})


def outside_address(request: HttpRequest, name: str, *args: object) -> str:
    """Where others reach an address of this name: below PORTAL_URL where that is set, else as this browser does."""
    base = settings.PORTAL_URL or request.build_absolute_uri("/").rstrip("/")
    return f"{base}{reverse(name, args=args)}"


def fragment(request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
    """A part of a page that htmx puts into its place; `template` as in `draw`."""
    return TemplateResponse(request, _path_of(template), context)


def _path_of(template: str) -> str:
    folder = "connectors" if "/" in template else "connectors/pages"
    return f"{folder}/{template}"


def has_nul(request: HttpRequest) -> bool:
    """Whether the address holds a NUL: PostgreSQL takes none in a text and would answer each filter with an error."""
    return holds_nul(request.GET)


def holds_nul(sent: QueryDict) -> bool:
    """Whether a name or a value of these fields holds one."""
    return any("\0" in text for name, values in sent.lists() for text in (name, *values))


def ids_of(values: list[str]) -> list[int]:
    """Primary keys from `?ids=1,2&ids=3`, without repeats; whatever is no number is left out."""
    parts = [part.strip() for value in values for part in value.split(",")]
    return list(dict.fromkeys(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 19))
