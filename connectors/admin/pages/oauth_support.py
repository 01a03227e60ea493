"""What the portal can do about OAuth for every integration type of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString

from connectors.admin import cells
from connectors.admin.pages.frame import draw, route
from connectors.core.catalog import IntegrationTypeInfo, load_catalog
from connectors.core.catalog.providers import provider_name
from connectors.core.oauth.support import Level, Support, support_of
from connectors.models import IntegrationType, OAuthClient

VIEW_CLIENTS = "connectors.view_oauthclient"

_LEVELS = {
    Level.ALLAUTH: ("django-allauth", "success"),
    Level.GENERIC: ("Generic OAuth 2.0", "info"),
    Level.NONE: ("Not supported", "neutral"),
}
_CONFIDENCE = {"high": "success", "medium": "info", "low": "warning"}


@dataclass(frozen=True, slots=True)
class Line:
    """One type. Each answer is a short word and, where there is more to say, a sentence. `clients` None: not shown."""

    info: IntegrationTypeInfo
    provider: str
    level: SafeString
    why: str
    refresh: tuple[str, str]
    revoke: tuple[str, str]
    introspect: str
    confidence: SafeString
    has_page: bool
    clients: int | None


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_integrationtype_oauth_support`."""
    return [route(model_admin, "oauth-support/", support_page, "oauth_support")]


def support_page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """All types by name. Reads, and changes nothing."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    lines = support_lines(request)
    counts = {level: sum(support_of(line.info).level == level for line in lines) for level in Level}
    return draw(model_admin, request, "oauth_support.html", title="OAuth support", lines=lines, counts=counts)


def support_lines(request: HttpRequest) -> list[Line]:
    """A line for every type of the catalogue, in two queries."""
    known = set(IntegrationType.objects.visible_to(request.user).values_list("slug", flat=True))
    clients = _clients_by_provider(request)
    types = sorted(load_catalog().types.values(), key=lambda info: info.display_name.lower())
    return [_line(info, has_page=info.slug in known, clients=clients) for info in types]


def support_badge(support: Support) -> SafeString:
    """How far the portal supports a type, in a word."""
    label, tone = _LEVELS[support.level]
    return cells.badge(label, tone)


def _clients_by_provider(request: HttpRequest) -> dict[str, int] | None:
    if not request.user.has_perm(VIEW_CLIENTS):
        return None
    rows = OAuthClient.objects.visible_to(request.user).order_by().values("provider").annotate(count=Count("pk"))
    return {row["provider"]: row["count"] for row in rows}


def _line(info: IntegrationTypeInfo, *, has_page: bool, clients: dict[str, int] | None) -> Line:
    support = support_of(info)
    return Line(
        info=info,
        provider=provider_name(info.provider),
        level=support_badge(support),
        why=support.why,
        refresh=_refresh(info),
        revoke=_revoke(info),
        introspect="Yes" if info.oauth.introspect_url else "No",
        confidence=cells.badge(info.confidence.capitalize(), _CONFIDENCE[info.confidence]),
        has_page=has_page,
        clients=None if clients is None else clients.get(info.provider, 0),
    )


def _refresh(info: IntegrationTypeInfo) -> tuple[str, str]:
    """Whether it can be done without a person, and whether each refresh token is good for one refresh only."""
    facts = info.oauth.refresh
    if not facts.supported:
        return "No", ""
    return "Yes", "rotates" if facts.rotates else ""


def _revoke(info: IntegrationTypeInfo) -> tuple[str, str]:
    if info.oauth.revoke_url:
        return "Yes", ""
    elsewhere = info.oauth.revocation.elsewhere
    return ("By hand", elsewhere) if elsewhere else ("No", "")
