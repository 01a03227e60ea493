"""Pages for the colleague who was sent a consent link: what is asked for, the way to the provider, what came of it.

They stand outside the admin, and whoever has a login may open them. The secret part of the link is in the very first
address only: the link's number goes into the session, so that no later address, referrer or history entry holds it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe
from pydantic import SecretStr

from connectors.core.actor import Actor, Door
from connectors.core.catalog import load_catalog
from connectors.core.catalog.providers import provider_name
from connectors.core.errors import PortalError, Refused
from connectors.flows.connect import client_for
from connectors.flows.consent import ask_consent
from connectors.flows.consent_links import WHY, LinkRefused, claim, name_of, open_link, refuse_closed
from connectors.flows.consent_outcome import Stage, settled
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector, ConsentLink, Sensitivity
from connectors.oauth.start import start_trip
from connectors.tasks import watch_consent

SESSION_KEY = "consent_links"
REMEMBERED = 20
"""Links that one browser session has opened and may come back to."""

HARM = {
    Sensitivity.LOW: "Low: your profile, or data that is public anyway.",
    Sensitivity.MEDIUM: "Medium: reads business data, or changes what the app itself has made.",
    Sensitivity.HIGH: "High: changes business data, or reads mail, private chats, files or payments.",
    Sensitivity.CRITICAL: "Critical: full control, deletes for good, manages users or moves money.",
}
NOT_KNOWN = "Not known to the portal. Ask whoever sent the link what it is for."
TONES = {Stage.DONE: "success", Stage.FAILED: "danger", Stage.WAITING: "info", Stage.NOT_STARTED: "info"}


@dataclass(frozen=True, slots=True)
class AskedScope:
    """One scope in plain words. `level` is "" when nobody has judged it, `note` is the team's."""

    name: str
    title: str
    level: str
    harm: str
    note: str = ""


@require_safe
@never_cache
@login_not_required  # it shows nothing, and keeps the secret out of the login page's address
@sensitive_variables("token")
def enter(request: HttpRequest, token: str) -> HttpResponse:
    """Takes the secret out of the address: remembers the link's number, and goes on where a login is asked for."""
    try:
        link = open_link(token, timezone.now())
    except LinkRefused as error:
        return _quiet(HttpResponseRedirect(reverse("consent_link_refused", args=[error.why])))
    known = [pk for pk in request.session.get(SESSION_KEY, []) if pk != link.pk]
    request.session[SESSION_KEY] = [*known, link.pk][-REMEMBERED:]
    return _quiet(HttpResponseRedirect(reverse("consent_link_page", args=[link.pk])))


@require_safe
@never_cache
@login_not_required
def refused(request: HttpRequest, why: str) -> HttpResponse:
    """Says why a link opens nothing."""
    if why not in WHY:
        raise Http404
    return _refused(request, WHY[why], status=404 if why == "unknown" else 410)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Shows what is asked for, in plain words. POST claims the link and leads on to the provider."""
    link = _link(pk)
    if not _has_opened(request, link):
        raise Http404
    try:
        refuse_closed(link, timezone.now())
        if link.claimed_at is not None and link.claimed_by_id != request.user.pk:
            raise Refused(f"{name_of(link.claimed_by)} has opened this link already. It works for one person only.")
        if request.method == "POST":
            claim(link, request.user)
    except LinkRefused as error:
        return _over(request, link, error)
    except Refused as error:
        return _refused(request, str(error), status=403)
    if request.method != "POST":
        return _draw(request, link)
    try:
        return _start(request, link)
    except PortalError as error:
        return _draw(request, link, problem=str(error))


@require_safe
@never_cache
def result(request: HttpRequest, pk: int) -> HttpResponse:
    """What came of it, for the person who had the link and for staff who may see the connector."""
    link = _mine(request, pk)
    return _plain(request, "result.html", link, **_outcome(request, link))


@require_safe
@never_cache
def status(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that htmx asks for while Base44's page waits for a decision."""
    link = _mine(request, pk)
    return _plain(request, "status.html", link, followed=True, **_outcome(request, link))


@sensitive_variables("address")
def _start(request: HttpRequest, link: ConsentLink) -> HttpResponse:
    """On to the provider: by the portal's own trip, or by Base44's one-use link, which is in this answer alone."""
    connector = link.connector
    if link.kind == ConsentLink.Kind.PORTAL:
        if link.oauth_client is None:
            raise Refused("The OAuth client that this link was made for is gone. Ask for a new link.")
        other = link.allows_other_account
        return start_trip(request, connector, link.oauth_client, consent_link=link, allow_other_account=other)
    actor = Actor(request.user.get_username(), Door.ADMIN, request.user.pk)
    address = ask_consent(connector, client_for(connector.project.workspace), actor)
    if address is None:
        return HttpResponseRedirect(reverse("consent_link_result", args=[link.pk]))
    watch_consent(connector)
    return _opened(request, link, address)


def _opened(request: HttpRequest, link: ConsentLink, address: SecretStr) -> HttpResponse:
    answer = _plain(request, "opened.html", link, address=address, **_outcome(request, link))
    answer["Referrer-Policy"] = "no-referrer"  # it holds a credential and no form
    return answer


def _outcome(request: HttpRequest, link: ConsentLink) -> dict[str, Any]:
    """What came of it, and whether this person can try again."""
    now = timezone.now()
    found = settled(link, now)
    own = link.claimed_by_id == request.user.pk
    return {
        "outcome": found,
        "waiting": found.stage == Stage.WAITING and link.kind == ConsentLink.Kind.HOSTED,
        "tone": TONES[found.stage],
        "granted": None if found.scopes is None else _in_words(link.connector.integration_type_id, found.scopes),
        "is_done": found.stage == Stage.DONE,
        "may_retry": own and found.stage != Stage.DONE and link.is_open(now),
    }


def _draw(request: HttpRequest, link: ConsentLink, *, problem: str = "") -> HttpResponse:
    connector = link.connector
    return _plain(
        request,
        "page.html",
        link,
        problem=problem,
        scopes=_in_words(connector.integration_type_id, connector.scopes),
        asked_by=name_of(link.created_by) if link.created_by else "An administrator of the portal",
        domains=connector.project.workspace.allowed_account_domains,
        account=_account(link),
    )


def _account(link: ConsentLink) -> str:
    """The account that has given consent before: the same one is wanted again, unless another is to take over."""
    if link.allows_other_account:
        return ""
    if link.kind == ConsentLink.Kind.HOSTED:
        return link.connector.registered_account
    token = getattr(link.connector, "token", None)
    return token.account if token is not None else ""


def _in_words(type_: str, scopes: list[str] | tuple[str, ...]) -> list[AskedScope]:
    """Each scope as the team and the catalogue explain it, the gravest first; what nobody has judged comes before."""
    facts = ScopeFacts()
    ranked = []
    for name in scopes:
        level, title, note = facts.sensitivity(type_, name), facts.title(type_, name), facts.note(type_, name)
        if level is None:
            ranked.append((len(HARM), AskedScope(name, title, "", NOT_KNOWN, note)))
        else:
            ranked.append((int(level), AskedScope(name, title, level.name.lower(), HARM[level], note)))
    return [scope for _, scope in sorted(ranked, key=lambda pair: -pair[0])]


def _link(pk: int) -> ConsentLink:
    """The link with everything that its pages name; 404 when there is none."""
    rows = ConsentLink.objects.select_related(
        "connector__project__workspace", "connector__integration_type", "oauth_client", "created_by", "claimed_by"
    )
    link = rows.defer("connector__source", "connector__project__notes").filter(pk=pk).first()
    if link is None:
        raise Http404
    return link


def _has_opened(request: HttpRequest, link: ConsentLink) -> bool:
    """Whether this person came with the secret, in this browser or, by starting, in another."""
    return link.pk in request.session.get(SESSION_KEY, []) or link.claimed_by_id == request.user.pk


def _mine(request: HttpRequest, pk: int) -> ConsentLink:
    """The link whose outcome this person may know; 404 for everybody else."""
    link = _link(pk)
    if link.claimed_by_id == request.user.pk:
        return link
    if not Connector.objects.visible_to(request.user).filter(pk=link.connector_id).exists():
        raise Http404
    return link


def _over(request: HttpRequest, link: ConsentLink, error: LinkRefused) -> HttpResponse:
    """The end of a link: its own person is shown what came of it, anybody else why it opens nothing."""
    if link.claimed_by_id == request.user.pk:
        return HttpResponseRedirect(reverse("consent_link_result", args=[link.pk]))
    return _refused(request, str(error), status=410)


def _plain(request: HttpRequest, template: str, link: ConsentLink, **context: Any) -> TemplateResponse:
    connector = link.connector
    frame = {
        "link": link,
        "connector": connector,
        "project": connector.project,
        "type": connector.integration_type,
        "provider": _provider(connector),
        "days_left": max((link.expires_at - timezone.now()) // dt.timedelta(days=1), 0),
    }
    return _unstored(TemplateResponse(request, f"connectors/consent_link/{template}", {**frame, **context}))


def _provider(connector: Connector) -> str:
    info = load_catalog().types.get(connector.integration_type_id)
    return provider_name(info.provider) if info else str(connector.integration_type)


def _refused(request: HttpRequest, text: str, *, status: int) -> HttpResponse:
    context = {"text": text}
    return _unstored(TemplateResponse(request, "connectors/consent_link/refused.html", context, status=status))


def _unstored(answer: TemplateResponse) -> TemplateResponse:
    answer["Cache-Control"] = "no-store"
    return answer


def _quiet(answer: HttpResponse) -> HttpResponse:
    """For the one address with the secret. The pages behind it name themselves: Django asks a form where it is from."""
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "no-referrer"
    return answer
