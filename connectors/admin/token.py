"""Tokens that the portal holds: how each stands, and what was done to keep it so. No page shows the token itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import FieldTextFilter

from connectors.admin import cells
from connectors.admin.base import KeysFirst, OverviewMixin, ReadOnlyAdmin
from connectors.admin.filters import ConditionFilter, ProviderFilter, VisibleAutocompleteFilter
from connectors.admin.pages.frame import CHANGE_CONNECTOR, CHANGE_TOKEN, DELETE_TOKEN
from connectors.admin.pages.scopes import Chip, chips
from connectors.core.scopes import ScopeRules
from connectors.flows import introspect
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Authorisation, Token, TokenRefresh
from connectors.models.visibility import may

MAX_REFRESHES = 50
MAX_AUTHORISATIONS = 20
"""How many lines of its past a token's page shows."""

RULES = ScopeRules()
SECRETS = ["access_token", "refresh_token", "oauth_client__client_secret"]
"""What no list or page needs to load."""


@admin.register(Token)
class TokenAdmin(OverviewMixin, ReadOnlyAdmin):
    list_display = ["head", "account_", "granted_", "condition_", "expires_", "next_"]
    list_display_links = ["head"]
    list_filter = [
        ConditionFilter,
        ProviderFilter,
        ("account", FieldTextFilter),
        ("oauth_client", VisibleAutocompleteFilter),
        ("connector__project__workspace", VisibleAutocompleteFilter),
        ("connector__project", VisibleAutocompleteFilter),
    ]
    search_fields = [
        "account",
        "connector__project__name",
        "connector__project__slug",
        "connector__integration_type__slug",
        "connector__integration_type__display_name",
    ]
    search_help_text = _("Search by account, project or type")
    paginator = KeysFirst
    change_form_outer_before_template = "connectors/token/overview.html"
    empty_icon = "vpn_key"
    empty_title = _("No tokens yet")
    empty_text = _("When somebody authorises a connector with an OAuth client of yours, its token is kept here.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Token]:
        rows: QuerySet[Token] = super().get_queryset(request)
        shown = rows.select_related("connector__integration_type", "connector__project__workspace", "oauth_client")
        return shown.defer(*SECRETS, "connector__source", "connector__project__notes")

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["connector_id"]  # an index has this order

    def get_fieldsets(self, request: HttpRequest, obj: Token | None = None) -> list[Any]:
        return []  # the page is the overview

    def overview_of(self, request: HttpRequest, row: Token | None) -> dict[str, Any]:
        return overview(row, request, timezone.now()) if row is not None else {}

    @admin.display(description=_("Token"), ordering="connector__integration_type_id")
    def head(self, row: Token) -> SafeString:
        name, project = row.connector.integration_type.display_name, row.connector.project
        place = f"{project.name} · {project.workspace.name} · {project.get_environment_display()}"
        return cells.two_lines(name, place, avatar=cells.initials(name))

    @admin.display(description=_("Account"), ordering="account")
    def account_(self, row: Token) -> SafeString:
        return cells.two_lines(row.account or "not known", f"through {row.oauth_client.name}")

    @admin.display(description=_("Granted"))
    def granted_(self, row: Token) -> str:
        return granted_in_words(row)

    @admin.display(description=_("State"), ordering="state")
    def condition_(self, row: Token) -> SafeString:
        return condition_badge(row, timezone.now())

    @admin.display(description=_("Expires"), ordering="expires_at")
    def expires_(self, row: Token) -> SafeString:
        return cells.when(row.expires_at, never="not known")

    @admin.display(description=_("Next refresh"), ordering="refresh_at")
    def next_(self, row: Token) -> SafeString:
        return cells.when(row.refresh_at, never="none")


def condition_badge(token: Token, now: dt.datetime) -> SafeString:
    """How the token stands, with the last error on hover."""
    condition = token.condition(now)
    return cells.badge(condition.label, cells.TOKEN_TONES[condition], title=token.last_error)


def granted_in_words(token: Token) -> str:
    """`3 scopes`; "unknown" where the provider does not say, which is not the same as none."""
    if token.granted_scopes is None:
        return "unknown"
    count = len(token.granted_scopes)
    return f"{count} scope{'' if count == 1 else 's'}"


def granted_chips(token: Token, facts: ScopeFacts) -> tuple[list[Chip], tuple[tuple[str, str], ...]]:
    """What was granted beside what was asked for, and why what only seems to differ does not."""
    type_ = token.connector.integration_type_id
    if token.granted_scopes is None:
        return chips(facts, type_, kept=token.asked_scopes), ()
    found = RULES.compare(type_, token.asked_scopes, token.granted_scopes)
    kept = [scope for scope in token.granted_scopes if scope not in found.removed]
    return chips(facts, type_, added=found.removed, removed=found.added, kept=kept), found.explained


def overview(token: Token, request: HttpRequest, now: dt.datetime) -> dict[str, Any]:
    """What the token's page shows, in a fixed number of queries."""
    connector = token.connector
    shown, explained = granted_chips(token, ScopeFacts())
    asked = {*token.asked_scopes}
    user = request.user
    change, delete = may(user, CHANGE_TOKEN, token), may(user, DELETE_TOKEN, token)
    alive = token.state in (Token.State.FRESH, Token.State.FAILING)
    return {
        "token": token,
        "connector": connector,
        "project": connector.project,
        "condition": token.condition(now),
        "condition_badge": condition_badge(token, now),
        "is_expired": token.is_expired(now),
        "scope_chips": shown,
        "explained": explained,
        "differs": any(chip.change for chip in shown),
        "declared_since": connector.is_declared and {*connector.scopes} != asked,
        "max_refreshes": MAX_REFRESHES,
        "refreshes": [_refresh(row) for row in token.refreshes.all()[:MAX_REFRESHES]],
        "authorisations": _authorisations(token),
        "has_refresh_token": bool(token.refresh_token),
        "may_refresh": change and alive,
        "may_ask": change and not introspect.why_not(token),
        "may_end": change or delete,
        "may_authorise": connector.is_declared and may(user, CHANGE_CONNECTOR, connector),
        "may_see_client": may(user, "connectors.view_oauthclient", token.oauth_client),
    }


def _refresh(row: TokenRefresh) -> dict[str, Any]:
    outcome = TokenRefresh.Outcome(row.outcome)
    return {"row": row, "badge": cells.badge(outcome.label, cells.REFRESH_TONES[outcome], title=row.code)}


def _authorisations(token: Token) -> list[dict[str, Any]]:
    """Who tried to authorise this connector, the newest first, without what such an attempt keeps secret."""
    rows = token.connector.authorisations.select_related("user").defer("verifier", "nonce", "user__password")
    return [
        {"row": row, "badge": _outcome_badge(Authorisation.Outcome(row.outcome))} for row in rows[:MAX_AUTHORISATIONS]
    ]


def _outcome_badge(outcome: Authorisation.Outcome) -> SafeString:
    return cells.badge(outcome.label, cells.AUTHORISATION_TONES.get(outcome, "danger"))
