"""The sidebar: sections and pages that a person may open, and how many connectors wait for somebody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from connectors.admin.pages import operations
from connectors.flows.consent_desk import waiting_count
from connectors.models import Approval, Connector
from connectors.models.grants import grants_key
from portal.remembered import remembered

BADGE_SECONDS = 30
"""For how long the numbers beside the pages may be out of date; they are shown everywhere."""
BADGE_LIMIT = 99


@dataclass(frozen=True, slots=True)
class Page:
    """One line of the sidebar: a model's list in the admin, or with `name` another page of that model's admin.

    `badge` counts what waits behind the page, "" for nothing. `may` is asked beside the model's own permission.
    """

    title: str
    icon: str
    model: str
    name: str = "changelist"
    badge: Callable[[HttpRequest], str] | None = None
    may: Callable[[HttpRequest], bool] | None = None

    @property
    def model_class(self) -> type[Model]:
        """The model whose list this is."""
        return apps.get_model(self.model)

    @property
    def url(self) -> str:
        """The address of the page."""
        return reverse(f"admin:{self.model.replace('.', '_')}_{self.name}")

    def is_open_to(self, request: HttpRequest) -> bool:
        """Whether the model has an admin page that this person may look at."""
        model_admin = admin.site._registry.get(self.model_class)
        is_shown = model_admin is not None and model_admin.has_view_permission(request)
        return is_shown and (self.may is None or self.may(request))


def attention_badge(request: HttpRequest) -> str:
    """How many connectors need somebody, "" for none and "99+" for many. Cached for `BADGE_SECONDS`."""
    waiting = Connector.objects.visible_to(request.user).needing_attention()
    # Counting stops behind the limit: a portal in trouble must not pay for it on every page.
    return _badge(request, "attention", lambda: waiting.order_by()[: BADGE_LIMIT + 1].count())


def consent_badge(request: HttpRequest) -> str:
    """How many connectors wait for somebody's consent, in the same way."""
    return _badge(request, "consent", lambda: waiting_count(request.user, timezone.now(), BADGE_LIMIT + 1))


def approval_badge(request: HttpRequest) -> str:
    """How many approvals wait for this person to decide, in the same way."""
    waiting = Approval.objects.to_decide_by(request.user, timezone.now())
    return _badge(request, "approval", lambda: waiting.order_by()[: BADGE_LIMIT + 1].count())


def _badge(request: HttpRequest, name: str, count_now: Callable[[], int]) -> str:
    count = remembered(f"{name}-badge:{grants_key(request.user)}", BADGE_SECONDS, count_now)
    if count > BADGE_LIMIT:
        return f"{BADGE_LIMIT}+"
    return str(count) if count else ""


SECTIONS: dict[str, list[Page]] = {
    "Connections": [
        Page("Workspaces", "domain", "connectors.workspace"),
        Page("Projects", "deployed_code", "connectors.project"),
        Page("Connectors", "cable", "connectors.connector", badge=attention_badge),
        Page("Catalogue", "category", "connectors.integrationtype"),
        Page("Scope catalogue", "menu_book", "connectors.cataloguescope"),
    ],
    "OAuth": [
        Page("OAuth clients", "key", "connectors.oauthclient"),
        Page("Tokens", "token", "connectors.token"),
        Page("Consent desk", "how_to_reg", "connectors.connector", "desk", badge=consent_badge),
        Page("Forecast", "event_upcoming", "connectors.token", "forecast"),
    ],
    "Scopes": [
        Page("Scope ledger", "account_tree", "connectors.ledgerentry"),
        Page("History", "history", "connectors.ledgerentry", "history"),
        Page("Policies", "gavel", "connectors.policyrule"),
        Page("Exceptions", "rule", "connectors.policyexception"),
        Page("Approvals", "group", "connectors.approval", badge=approval_badge),
        Page("Approval rules", "verified_user", "connectors.approvaldemand"),
        Page("Access reviews", "fact_check", "connectors.reviewcampaign"),
        Page("Incidents", "notifications_active", "connectors.incident"),
        Page("Alert routes", "alt_route", "connectors.alertroute"),
    ],
    "Config": [
        Page("Repositories", "source", "connectors.repository"),
    ],
    "Operations": [
        Page("Sync runs", "sync", "connectors.syncrun"),
        Page("Activity", "history", "connectors.event"),
        Page("Trail streams", "podcasts", "connectors.trailstream"),
        Page("Operations", "monitor_heart", "connectors.event", "operations", may=operations.is_open_to),
    ],
    "Access": [
        Page("People", "group_add", "connectors.membership"),
        Page("Invitations", "mail", "connectors.invitation"),
        Page("Users", "group", "auth.user"),
        Page("Groups", "shield_person", "auth.group"),
        Page("Sign-in providers", "login", "connectors.signinprovider"),
    ],
}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar as Unfold takes it. Pages that the person may not open are left out."""
    here = _here(request)
    dashboard = {"title": "Dashboard", "icon": "space_dashboard", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"title": "Overview", "items": [dashboard]}]
    for title, pages in SECTIONS.items():
        items = [_item(request, page, is_here=page is here) for page in pages if page.is_open_to(request)]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def environment_label(request: HttpRequest) -> list[str] | None:
    """The label in the page's head: says that this is no production portal, where DEBUG is on."""
    return ["Development", "neutral"] if settings.DEBUG else None


def shell_settings(request: HttpRequest) -> dict[str, Any]:
    """What Unfold is told on every page: no inline colours, which the Content-Security-Policy forbids (theme.css)."""
    return {"colors": {}}


def _here(request: HttpRequest) -> Page | None:
    """The page that the address belongs to: a row's own page belongs to its list, the desk to itself."""
    found = [page for pages in SECTIONS.values() for page in pages if request.path.startswith(page.url)]
    return max(found, key=lambda page: len(page.url), default=None)


def _item(request: HttpRequest, page: Page, *, is_here: bool) -> dict[str, Any]:
    item: dict[str, Any] = {"title": page.title, "icon": page.icon, "link": page.url, "active": is_here}
    if page.badge and (badge := page.badge(request)):
        item["badge"] = badge
    return item
