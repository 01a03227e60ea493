"""The part of the Authorise page for the team's own OAuth clients: which can be used, and how the token fares."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from connectors.core.catalog import IntegrationTypeInfo, load_catalog
from connectors.core.catalog.providers import provider_name
from connectors.core.oauth.support import Level, support_of
from connectors.flows.authorise import missing_scopes
from connectors.models import Connector, OAuthClient, Token
from connectors.models.visibility import may

Condition = Token.Condition

VIEW_TOKEN = "connectors.view_token"  # noqa: S105 - the name of a permission
ADD_CLIENT = "connectors.add_oauthclient"

TOKEN_TONES = {
    Condition.FRESH: "success",
    Condition.DUE: "info",
    Condition.EXPIRED: "danger",
    Condition.FAILING: "warning",
    Condition.MISCONFIGURED: "danger",
    Condition.NEEDS_CONSENT: "danger",
    Condition.REVOKED: "neutral",
}


def own_client(connector: Connector, request: HttpRequest) -> dict[str, Any]:
    """`own` (whether and with which clients it can be authorised) and what is said of the token that is there.

    Of the token only what it takes to authorise anew is told to those who may not see tokens there.
    """
    token = Token.objects.select_related("oauth_client").filter(connector=connector).first()
    sees = may(request.user, VIEW_TOKEN, connector)
    may_add = may(request.user, ADD_CLIENT, connector.project.workspace)
    own = {"own": _choices(connector, token), "may_add_client": may_add}
    return {**own, "token": token, **_in_words(token, connector)} if token and sees else {**own, "token": None}


def _choices(connector: Connector, token: Token | None) -> dict[str, Any]:
    info = load_catalog().types.get(connector.integration_type_id)
    if info is None:
        return {"possible": False, "why": "The portal does not know how this service does OAuth."}
    support = support_of(info)
    if support.level == Level.NONE:
        return {"possible": False, "why": support.why}
    clients = list(OAuthClient.objects.serving(connector).select_related("workspace"))
    return {
        "possible": True,
        "provider": provider_name(info.provider),
        "provider_id": info.provider,
        "clients": clients,
        "chosen": token.oauth_client_id if token else None,
        "notes": _notes(info, connector),
    }


def _notes(info: IntegrationTypeInfo, connector: Connector) -> list[str]:
    """What a person should know before leaving."""
    notes: list[str] = []
    offline = [scope.name for scope in load_catalog().provider_scopes(info.slug) if scope.access.value == "offline"]
    if offline and not set(offline) & set(connector.scopes):
        text = f"Without the scope {' or '.join(offline)} there is nothing to refresh the token with: it ends soon."
        notes.append(text)
    domains = connector.project.workspace.allowed_account_domains
    if domains:
        notes.append(f"Only accounts of {' or '.join(domains)} are taken.")
    return notes


def _in_words(token: Token, connector: Connector) -> dict[str, Any]:
    condition = token.condition(timezone.now())
    tone = TOKEN_TONES[condition]
    missing = missing_scopes(connector.integration_type_id, connector.scopes, token.granted_scopes)
    whose = f"The token is of {token.account}. " if token.account else ""
    if token.granted_scopes is None:
        text = "The provider does not say which scopes it granted."
    elif missing:
        text = f"It lacks {' and '.join(missing)}."
        tone = "warning" if condition in (Condition.FRESH, Condition.DUE) else tone
    else:
        text = f"{len(token.granted_scopes)} scope{'' if len(token.granted_scopes) == 1 else 's'} granted."
    return {
        "token_tone": tone,
        "token_heading": f"{condition.label}.",
        "token_text": token.last_error or f"{whose}{text}",
    }
