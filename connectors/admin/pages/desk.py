"""The consent desk: everything that waits for somebody's consent, and links that ask the right people for it.

A link is shown once, in the answer to the POST that made it: the portal keeps a hash, and cannot show it again.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.views.decorators.debug import sensitive_variables

from connectors.admin.pages.frame import CHANGE_CONNECTOR, actor_of, draw, require, route
from connectors.flows.consent_desk import LIMIT, account_of, chosen, desk_of, may_ask, seen_only
from connectors.flows.consent_links import LIFETIME, Made, make_links

DAYS = (1, 3, 7, 14)
NOTHING_TICKED = "Nothing is ticked. Tick what somebody is to be asked for."


@dataclass(frozen=True, slots=True)
class Shown:
    """A link that was just made, with its whole address: for one answer."""

    made: Made
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Letter:
    """The links for one account, with a text to send to the person behind it."""

    account: str
    links: tuple[Shown, ...]
    text: str = field(repr=False)


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_connector_desk`."""
    return [route(model_admin, "desk/", desk_page, "desk")]


def desk_page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Lists what waits. POST makes links for the ticked rows, and its answer alone shows them."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        return _draw(model_admin, request)
    require(request, CHANGE_CONNECTOR)
    ticked = request.POST.getlist("need")
    asked, left_out = chosen(request.user, ticked), seen_only(request.user, ticked)
    if left_out and not asked:
        raise PermissionDenied
    if left_out:
        messages.warning(request, f"{left_out} of what was ticked was left out: you may not ask for consent there.")
    if not asked:
        return _draw(model_admin, request, problem=NOTHING_TICKED)
    note = request.POST.get("note", "").replace("\0", "")
    made = make_links(asked, actor_of(request), note=note, lifetime=lifetime_in(request))
    return links_page(model_admin, request, made)


def _draw(model_admin: ModelAdmin[Any], request: HttpRequest, *, problem: str = "") -> HttpResponse:
    desk = desk_of(request.user, timezone.now())
    answer = draw(
        model_admin,
        request,
        "desk.html",
        title="Consent desk",
        desk=desk,
        limit=LIMIT,
        days=DAYS,
        default_days=LIFETIME.days,
        problem=problem,
        may_ask=may_ask(request.user, desk),
    )
    answer["Cache-Control"] = "no-store"
    return answer


@sensitive_variables("made", "letters")
def links_page(model_admin: ModelAdmin[Any], request: HttpRequest, made: list[Made]) -> HttpResponse:
    """The answer that shows links which were just made; no other page can."""
    letters = _letters(request, [item for item in made if item.link is not None])
    answer = draw(
        model_admin,
        request,
        "desk_links.html",
        title="Links to send",
        letters=letters,
        count=sum(len(letter.links) for letter in letters),
        refused=[item for item in made if item.link is None],
        has_address=bool(settings.PORTAL_URL),
    )
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "no-referrer"
    return answer


@sensitive_variables("found", "shown")
def _letters(request: HttpRequest, made: list[Made]) -> list[Letter]:
    """One letter for each account, because one person can give consent to all that waits for theirs."""
    found: dict[str, list[Shown]] = defaultdict(list)
    for item in made:
        found[account_of(item.asked)].append(Shown(item, _address(request, item)))
    return [Letter(account, tuple(shown), _text(account, shown)) for account, shown in found.items()]


def _address(request: HttpRequest, made: Made) -> str:
    path = reverse("consent_link", args=[made.secret.get_secret_value() if made.secret else ""])
    return f"{settings.PORTAL_URL}{path}" if settings.PORTAL_URL else request.build_absolute_uri(path)


@sensitive_variables()
def _text(account: str, shown: list[Shown]) -> str:
    """What to write to the person, with the links in it."""
    one = len(shown) == 1
    link = shown[0].made.link
    lines = [f"Please give your consent{f' with the account {account}' if account else ''}:", ""]
    for item in shown:
        connector = item.made.asked.connector
        lines += [f"{connector.integration_type} for {connector.project} ({connector.project.workspace})", item.address]
        lines.append("")
    ends = date_format(localtime(link.expires_at), "DATETIME_FORMAT") if link else ""
    lines.append(f"{'The link is' if one else 'Each link is'} for you alone, works once, and ends on {ends}.")
    lines.append("You log in to the connector portal first; the page says what is asked for before anything happens.")
    if link and link.note:
        lines += ["", link.note]
    return "\n".join(lines)


def lifetime_in(request: HttpRequest) -> dt.timedelta:
    """How long the links are to work: the form's `days`, if it is one of DAYS."""
    days = request.POST.get("days", "")
    return dt.timedelta(days=int(days)) if days in map(str, DAYS) else LIFETIME
