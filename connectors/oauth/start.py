"""Leave for the provider: the request is noted, and a page of ours leads there."""

from __future__ import annotations

import secrets

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from pydantic import SecretStr

from connectors.core.oauth.profile import profile_of
from connectors.flows.authorise import Wish, depart, refuse_hopeless
from connectors.flows.oauth_clients import redirect_uri_of, registration_of
from connectors.models import Connector, ConsentLink, OAuthClient, Token
from connectors.oauth.provider import Client, departure


def client_for_trip(oauth_client: OAuthClient, connector: Connector, redirect_uri: str) -> Client:
    """The OAuth client, ready for this connector.

    Raises Refused when a setting is missing, UnreadableSecretError when its secret's key is gone.
    """
    registration = registration_of(oauth_client)
    profile = profile_of(connector.integration_type_id, registration, connection_config=connector.connection_config)
    return Client(oauth_client.slug, profile, registration, redirect_uri)


@sensitive_variables("verifier", "address")
def start_trip(
    request: HttpRequest,
    connector: Connector,
    oauth_client: OAuthClient,
    *,
    allow_other_account: bool = False,
    consent_link: ConsentLink | None = None,
) -> HttpResponse:
    """A page that leads this person's browser to the provider. Raises PortalError when there is no sense in going.

    A page and no redirect: the Content-Security-Policy lets no form end up at another host.
    """
    refuse_hopeless(connector, oauth_client)
    client = client_for_trip(oauth_client, connector, redirect_uri_of(oauth_client, request.build_absolute_uri("/")))
    nonce = SecretStr(secrets.token_urlsafe(24))
    wish = Wish(
        connector,
        oauth_client,
        user_id=request.user.pk or 0,
        session_key=session_key(request),
        redirect_uri=client.redirect_uri,
        allow_other_account=allow_other_account,
        consent_link=consent_link,
    )
    held = Token.objects.filter(connector=connector).only("account").first()
    address = departure(
        request,
        client,
        list(connector.scopes),
        nonce=nonce,
        stash=lambda verifier: depart(wish, verifier=verifier, nonce=nonce, now=timezone.now()),
        login_hint=held.account if held and not allow_other_account and "@" in held.account else "",
    )
    return _page(request, address, client)


def session_key(request: HttpRequest) -> str:
    """The key of this browser's session; one is made when there is none yet."""
    if not request.session.session_key:
        request.session.create()
    return str(request.session.session_key)


def _page(request: HttpRequest, address: str, client: Client) -> HttpResponse:
    page = TemplateResponse(
        request, "connectors/oauth/leaving.html", {"address": address, "provider": client.profile.name}
    )
    page["Cache-Control"] = "no-store"
    page["Referrer-Policy"] = "no-referrer"
    return page
