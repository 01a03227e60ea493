"""Consent that Base44 hosts: ask for the one-use link, hand it to this browser once, and follow what comes of it.

The link is a credential. It is in the answer to the POST that asked for it and nowhere else: not in the database, the
session, a log line, an address of ours, or a page that can be called up again.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.views.decorators.debug import sensitive_variables
from pydantic import SecretStr

from connectors.admin.pages.frame import CHANGE_CONNECTOR, actor_of, draw, fragment, require, route, visible
from connectors.admin.pages.own_client import own_client
from connectors.admin.pages.scopes import chips
from connectors.core.errors import PortalError
from connectors.core.policy import PolicyNote, PolicyRefused
from connectors.core.specs import STRIPE
from connectors.flows.authorise import held_scopes
from connectors.flows.connect import client_for
from connectors.flows.consent import GIVE_UP_AFTER, ask_consent, refuse_without_page
from connectors.flows.consent_links import LIFETIME
from connectors.flows.policies import Proposal, notes_of
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector
from connectors.models.visibility import may
from connectors.tasks import watch_consent

Consent = Connector.Consent
State = Connector.SyncState


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_connector_authorise` and the part of it that htmx asks for."""
    return [
        route(model_admin, "<int:object_id>/authorise/", authorise_page, "authorise"),
        route(model_admin, "<int:object_id>/authorise/status/", status, "authorise_status"),
    ]


def authorise_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Shows what would be asked for. POST asks Base44, and the answer alone holds the link."""
    connector = _connector(model_admin, request, object_id)
    if request.method != "POST":
        return _draw(model_admin, request, connector)
    require(request, CHANGE_CONNECTOR, connector)
    try:
        return _ask(model_admin, request, connector)
    except PolicyRefused:
        return _draw(model_admin, request, connector)  # the page says what the policies say, with the way on
    except PortalError as error:
        return _draw(model_admin, request, connector, problem=str(error))


def status(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """How far the consent has come, from the portal's own rows: a task asks Base44."""
    connector = _connector(model_admin, request, object_id)
    return fragment(request, "consent_status.html", **_outcome(connector), connector=connector, followed=True)


@sensitive_variables("link")
def _ask(model_admin: ModelAdmin[Any], request: HttpRequest, connector: Connector) -> HttpResponse:
    refuse_without_page(connector)
    link = ask_consent(connector, client_for(connector.project.workspace), actor_of(request))
    if link is None:
        messages.success(request, f"Base44 has {connector.integration_type} connected already: nobody has to agree.")
        return HttpResponseRedirect(request.path)
    watch_consent(connector)
    return _draw(model_admin, request, connector, link=link)


def _connector(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> Connector:
    rows = Connector.objects.select_related("project__workspace", "integration_type").defer("source")
    return visible(model_admin, request, rows, object_id)


def _draw(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    connector: Connector,
    *,
    link: SecretStr | None = None,
    problem: str = "",
) -> HttpResponse:
    answer = draw(
        model_admin,
        request,
        "consent.html",
        title=f"Authorise {connector.integration_type}",
        original=connector,
        connector=connector,
        project=connector.project,
        chips=chips(ScopeFacts(), connector.integration_type_id, kept=connector.scopes),
        link=link,
        problem=problem,
        is_stripe=connector.integration_type_id == STRIPE,
        link_days=LIFETIME.days,
        minutes=int(GIVE_UP_AFTER.total_seconds() // 60),
        may_authorise=may(request.user, CHANGE_CONNECTOR, connector),
        policy_notes=_policy_notes(connector),
        **own_client(connector, request),
        **_outcome(connector),
    )
    answer["Cache-Control"] = "no-store"
    if link is not None:
        # On this answer alone: from a page that tells nobody where it is, a form cannot be sent (Django asks for the
        # origin of a POST), and the other answers hold one.
        answer["Referrer-Policy"] = "no-referrer"
    return answer


def _policy_notes(connector: Connector) -> tuple[PolicyNote, ...]:
    """What the policies say of authorising it, at Base44 or with an own client; each once."""
    if not connector.is_declared:
        return ()
    type_, project = connector.integration_type_id, connector.project
    found: dict[PolicyNote, None] = {}
    for held in (connector.registered_scopes, held_scopes(connector)):
        before = {} if held is None else {type_: held}
        notes = notes_of([Proposal(project, {type_: connector.scopes}, before)])[project.pk]
        found |= dict.fromkeys(notes.get(type_, ()))
    return tuple(found)


def _outcome(connector: Connector) -> dict[str, Any]:
    """Where the consent stands, as tone, heading and sentence."""
    waiting = connector.consent == Consent.PENDING
    tone, heading, text = _in_words(connector)
    return {"waiting": waiting, "tone": tone, "heading": heading, "text": text}


def _in_words(connector: Connector) -> tuple[str, str, str]:
    account = f" as {connector.registered_account}" if connector.registered_account else ""
    if connector.consent == Consent.PENDING:
        return "info", "Waiting for a decision on Base44's page.", "This page follows it by itself."
    if connector.consent in (Consent.FAILED, Consent.GIVEN_UP):
        return "danger", f"{connector.get_consent_display()}.", f"{connector.consent_note} You can ask for a new link."
    if connector.consent == Consent.NEEDED:
        return "warning", "Somebody has to authorise it.", "The scopes are set at Base44 and take effect after that."
    if connector.sync_state == State.IN_SYNC:
        return "success", f"Connected{account}.", "Base44 has the scopes that the portal declares."
    if connector.sync_state == State.DIFFERS and connector.registered_status == "active":
        return "warning", f"Connected{account}, but the scopes differ.", f"{connector.sync_note}."
    return "info", f"{connector.get_sync_state_display()}.", connector.sync_note
