"""Ending a token: first what else would end with it, then a choice of how far to go, then what came of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.approval_gate import Gate, ask_all, gates
from connectors.admin.pages.frame import CHANGE_TOKEN, DELETE_TOKEN, actor_of, draw, require, route
from connectors.admin.pages.token import token_of
from connectors.core.errors import PortalError, Refused
from connectors.flows.approval_matters import ending_matters
from connectors.flows.approvals import Matter
from connectors.flows.revoke import Outcome, forget_token, reach_of, revoke_tokens, siblings, why_not
from connectors.models import Token
from connectors.models.visibility import may


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to end a token, in words. `needs` is the permission for it."""

    name: str
    title: str
    text: str
    needs: str
    gates: Sequence[Gate] = ()
    """How approval stands where another person has to approve it first."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What ending this token would mean. `hidden`: it has siblings in projects that this person can't see.

    That there are some has to be said, for they may end as well; how many and whose is not told.
    """

    token: Token
    siblings: Sequence[Token]
    hidden: bool
    refusal: str
    choices: Sequence[Choice]
    warning: str


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_token_revoke`."""
    return [route(model_admin, "<int:object_id>/revoke/", revoke_page, "revoke")]


def revoke_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Shows what would end. POST with a choice does it."""
    token = token_of(model_admin, request, object_id)
    if not (may(request.user, CHANGE_TOKEN, token) or may(request.user, DELETE_TOKEN, token)):
        raise PermissionDenied
    prospect = prospect_of(token, request)
    if request.method != "POST":
        return _draw(model_admin, request, prospect)
    try:
        return _end(request, prospect)
    except PortalError as error:
        return _draw(model_admin, request, prospect, problem=str(error))


def prospect_of(token: Token, request: HttpRequest) -> Prospect:
    """What would end with the token, and the ways that this person may choose from."""
    found, refusal = siblings(token), why_not(token)
    rows = Token.objects.visible_to(request.user).filter(pk__in=[row.pk for row in found])
    may_see = set(rows.values_list("pk", flat=True))
    seen = [row for row in found if row.pk in may_see]
    may_end_all = rows.permitted(request.user, "change_token").count() == len(found)
    reach = None if refusal else reach_of(token)
    ways = [_forget(token)] if refusal else [*_revocations(token, len(found), reach), _forget(token)]
    hidden = len(found) > len(seen)
    allowed = [
        replace(way, gates=gates(request, _matters(token, seen, way.name)))
        for way in ways
        if may(request.user, way.needs, token) and (may_end_all or way.name != "all")
    ]
    return Prospect(token, seen, hidden, refusal, allowed, _warning(token, len(found), reach, refusal))


def _revocations(token: Token, others: int, reach: str | None) -> list[Choice]:
    """At the provider. Only this one is offered where the others stay alive, or nobody can tell that they would end."""
    if not others:
        text = "The provider ends the token, and the portal forgets its text."
        return [Choice("one", "Revoke it", text, CHANGE_TOKEN)]
    title = "Revoke both" if others == 1 else f"Revoke all {others + 1}"
    text = "The provider is asked to end each. Their connectors stop working until somebody authorises them again."
    all_ = Choice("all", title, text, CHANGE_TOKEN)
    if reach == "pair":
        text = "The provider ends this token; the others stay as they are."
        return [Choice("one", "Revoke only this one", text, CHANGE_TOKEN), all_]
    if not token.account_id:
        text = "Those of the same account end with it; the portal notices when it refreshes them."
        return [all_, Choice("one", "Revoke only this one", text, CHANGE_TOKEN)]
    return [all_]


def _forget(token: Token) -> Choice:
    if token.state == Token.State.REVOKED:
        text = "The portal deletes the row with its history. The token has ended already."
        return Choice("forget", "Forget it", text, DELETE_TOKEN)
    text = "The portal deletes the token with its history. At the provider it stays valid, and so do all others."
    return Choice("forget", "Forget it here only", text, DELETE_TOKEN)


def _warning(token: Token, others: int, reach: str | None, refusal: str) -> str:
    """What to say above the list of the others, "" where there is nothing to fear for them."""
    if not others or refusal or reach == "pair":
        return ""
    if not token.account_id:
        return "Nobody knows which account these belong to. Those of the same account may end together."
    if reach == "account":
        return "This provider ends all that one account gave to an OAuth client at once: revoking one ends them all."
    return "It is not known whether this provider ends only one token or all of the account: expect that all end."


def _end(request: HttpRequest, prospect: Prospect) -> HttpResponse:
    chosen = next((way for way in prospect.choices if way.name == request.POST.get("how")), None)
    if chosen is None:
        raise Refused("Choose how far to go. Nothing was done.")
    require(request, chosen.needs, prospect.token)
    token = prospect.token
    if request.POST.get("ask"):
        ask_all(request, _matters(prospect.token, prospect.siblings, chosen.name))
        return HttpResponseRedirect(request.path)
    if chosen.name == "forget":
        forget_token(token, actor_of(request))
        messages.success(request, f"The portal has forgotten the token of {token.connector.integration_type}.")
        return HttpResponseRedirect(reverse("admin:connectors_token_changelist"))
    tokens = _all_shown(request, prospect) if chosen.name == "all" else [token]
    tell(request, revoke_tokens(tokens, actor_of(request)))
    return HttpResponseRedirect(reverse("admin:connectors_token_change", args=[token.pk]))


def _matters(token: Token, others: Sequence[Token], choice: str) -> list[Matter]:
    """What the choice would do, as somebody else approves it."""
    if choice == "forget":
        return ending_matters([token], "forget")
    return ending_matters([token, *others] if choice == "all" else [token], "revoke")


def _all_shown(request: HttpRequest, prospect: Prospect) -> list[Token]:
    """The token and the others, if they are those that the person was shown. Raises Refused when there are more."""
    shown = set(request.POST.getlist("shown"))
    if any(str(row.pk) not in shown for row in prospect.siblings):
        raise Refused("More tokens would end than this page showed. Nothing was done: look at them, then choose again.")
    return [prospect.token, *prospect.siblings]


def tell(request: HttpRequest, outcomes: Sequence[Outcome]) -> None:
    """One message for what went well and one for each that did not."""
    ended = [outcome for outcome in outcomes if outcome.ended]
    if ended:
        names = ", ".join(_name(outcome.token) for outcome in ended)
        messages.success(request, f"Revoked: {names}.")
    for outcome in outcomes:
        if not outcome.ended:
            messages.error(request, f"{_name(outcome.token)} was not revoked. {outcome.words}")


def _name(token: Token) -> str:
    return f"{token.connector.integration_type_id} in {token.connector.project}"


def _draw(model_admin: ModelAdmin[Any], request: HttpRequest, prospect: Prospect, *, problem: str = "") -> HttpResponse:
    connector = prospect.token.connector
    return draw(
        model_admin,
        request,
        "revoke.html",
        title=f"Revoke the token of {connector.integration_type}",
        original=prospect.token,
        prospect=prospect,
        token=prospect.token,
        connector=connector,
        project=connector.project,
        problem=problem,
        chosen=request.POST.get("how", ""),
        reason=request.POST.get("reason", ""),
        needs_approval=any(way.gates for way in prospect.choices),
    )
