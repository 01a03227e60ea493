"""The two ends of an authorisation: the button that starts it, and the address that the provider answers to."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST
from pydantic import SecretStr

from connectors.core.actor import Actor, Door
from connectors.core.errors import PortalError
from connectors.core.oauth.answer_check import CallbackAnswer
from connectors.flows.authorise import NOT_STARTED_HERE, StateError, abort, claim, finish
from connectors.models import Authorisation, Connector, OAuthClient
from connectors.models.visibility import may
from connectors.oauth.provider import Return
from connectors.oauth.start import client_for_trip, session_key, start_trip

Outcome = Authorisation.Outcome

CHANGE_CONNECTOR = "connectors.change_connector"
NO_LONGER_ALLOWED = "You may not authorise this connector any more, so the provider's answer was not used."
_WARNINGS = {Outcome.FEWER_SCOPES, Outcome.DENIED}


@require_POST
@never_cache
def start(request: HttpRequest, connector_id: int) -> HttpResponse:
    """Leads a person who may change this connector to the provider of the OAuth client that they chose."""
    rows = Connector.objects.visible_to(request.user).select_related("project__workspace", "integration_type")
    connector = get_object_or_404(rows.defer("source"), pk=connector_id)
    if not may(request.user, CHANGE_CONNECTOR, connector):
        raise PermissionDenied
    chosen = request.POST.get("oauth_client", "")
    try:
        oauth_client = OAuthClient.objects.serving(connector).filter(pk=int(chosen) if chosen.isdecimal() else 0).get()
        return start_trip(request, connector, oauth_client, allow_other_account="allow_other_account" in request.POST)
    except OAuthClient.DoesNotExist:
        messages.error(request, "Choose one of the OAuth clients that serve this connector.")
    except PortalError as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(_page_of(connector))


@require_GET
@never_cache
@login_not_required
@sensitive_variables("verifier", "client")
def callback(request: HttpRequest, slug: str) -> HttpResponse:
    """Takes the provider's answer, once, and sends the person to where they see what came of it."""
    if not request.user.is_authenticated:
        # Not to the login page: the way there would carry the code in its address.
        return _refused(request, "You are not logged in to the portal any more, so nobody waits for this answer.")
    oauth_client = OAuthClient.objects.filter(slug=slug).first()
    if oauth_client is None:
        # As for a client that there is: nobody finds out here which clients other teams have.
        return _refused(request, NOT_STARTED_HERE)
    now = timezone.now()
    try:
        trip_of = claim(
            request.GET.get("state", ""),
            oauth_client,
            user_id=request.user.pk,
            session_key=session_key(request),
            now=now,
        )
    except StateError as error:
        return _refused(request, str(error))
    settled = _finish(request, trip_of)
    _tell(request, settled)
    return HttpResponseRedirect(_way_back(settled))


def _finish(request: HttpRequest, trip_of: Authorisation) -> Authorisation:
    actor = Actor(request.user.get_username(), Door.ADMIN, request.user.pk)
    if trip_of.consent_link_id is None and not may(request.user, CHANGE_CONNECTOR, trip_of.connector):
        return abort(trip_of, NO_LONGER_ALLOWED, actor, timezone.now())
    try:
        client = client_for_trip(trip_of.oauth_client, trip_of.connector, trip_of.redirect_uri)
        verifier = SecretStr(trip_of.verifier.reveal()) if trip_of.verifier else None
    except PortalError as error:  # an encryption key or a setting that has gone since the start
        return abort(trip_of, str(error), actor, timezone.now())
    answer = CallbackAnswer(
        code=bool(request.GET.get("code")), error=request.GET.get("error", ""), iss=request.GET.get("iss", "")
    )
    return finish(trip_of, answer, Return(request, client, verifier), actor, timezone.now())


def _tell(request: HttpRequest, settled: Authorisation) -> None:
    if settled.consent_link_id is not None:
        return  # the link's own page shows it
    level = messages.SUCCESS if settled.outcome == Outcome.CONNECTED else messages.ERROR
    level = messages.WARNING if settled.outcome in _WARNINGS else level
    messages.add_message(request, level, settled.message)


def _way_back(trip_of: Authorisation) -> str:
    if trip_of.consent_link_id is not None:
        return reverse("consent_link_result", args=[trip_of.consent_link_id])
    return _page_of(trip_of.connector)


def _page_of(connector: Connector) -> str:
    return reverse("admin:connectors_connector_authorise", args=[connector.pk])


def _refused(request: HttpRequest, text: str) -> HttpResponse:
    return TemplateResponse(request, "connectors/oauth/refused.html", {"text": text}, status=403)
