"""A scope's page in the catalogue: what is known of it, who uses it, and the way back to the shipped sensitivity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _

from connectors.admin import cells
from connectors.admin.catalogue_scope_filters import ACCESS, CLASSES, CONFIDENCE
from connectors.admin.pages.frame import actor_of, require, route, visible
from connectors.core.catalog import ScopeInfo, load_catalog
from connectors.core.catalog.providers import provider, provider_name
from connectors.flows.judge_scope import judge_scope
from connectors.models import CatalogueScope, IntegrationType, LedgerEntry
from connectors.models.visibility import may

CHANGE_SCOPE = "connectors.change_cataloguescope"
Key = tuple[str, str]


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_cataloguescope_shipped`, which takes a POST only."""
    return [route(model_admin, "<int:object_id>/shipped/", back_to_shipped, "shipped")]


def back_to_shipped(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Takes back the team's sensitivity; its note stays, for it says more than a level."""
    scope = visible(model_admin, request, CatalogueScope.objects.all(), object_id)
    require(request, CHANGE_SCOPE, scope)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    judge_scope(scope, actor_of(request), sensitivity=None, note=scope.team_note)
    messages.success(request, _("The shipped sensitivity counts again."))
    return HttpResponseRedirect(reverse("admin:connectors_cataloguescope_change", args=[scope.pk]))


def uses_of(user: AbstractBaseUser | AnonymousUser, scopes: Iterable[CatalogueScope]) -> dict[Key, int]:
    """By provider and name, in how many connectors each of these scopes is, on whatever side; one query for all."""
    keys = {(scope.provider, scope.name) for scope in scopes}
    beginnings = [(owner, name[:-1]) for owner, name in keys if name.endswith(":*")]
    wanted = Q(scope__in=[name for _owner, name in keys])
    for _owner, beginning in beginnings:
        wanted |= Q(scope__startswith=beginning)
    # Grouped by type and not by provider: an index holds both columns, so that no row of the ledger is read.
    rows = LedgerEntry.objects.visible_to(user).filter(wanted).order_by().values_list("scope", "integration_type")
    found: Counter[Key] = Counter()
    for name, type_, count in rows.annotate(count=Count("pk")):
        info = load_catalog().types.get(type_)
        if info is None:
            continue
        found[info.provider, name] += count
        for owner, beginning in beginnings:
            if owner == info.provider and name.startswith(beginning):
                found[owner, f"{beginning}*"] += count
    return {key: count for key, count in found.items() if key in keys}


def ledger_address(scope: CatalogueScope) -> str:
    """The fleet ledger with this scope alone; "" for a name that stands for several."""
    if scope.name.endswith(":*"):
        return ""
    filters = urlencode({"scope": scope.name, "provider": scope.provider})
    return f"{reverse('admin:connectors_ledgerentry_changelist')}?{filters}"


def overview(scope: CatalogueScope, request: HttpRequest) -> dict[str, Any]:
    """What stands above the form, in a fixed number of queries."""
    found = provider(scope.provider)
    known = IntegrationType.objects.visible_to(request.user).in_bulk(list(scope.types))
    facts = scope.facts
    return {
        "scope": scope,
        "provider_name": provider_name(scope.provider),
        "level": cells.harm(scope.effective_sensitivity),
        "shipped_level": cells.harm(scope.sensitivity),
        "access": ACCESS.get(scope.access, ""),
        "provider_class": CLASSES.get(scope.provider_class, ""),
        "confidence": CONFIDENCE.get(scope.confidence, ""),
        "types": [known.get(slug) or slug for slug in scope.types],
        "aliases": facts.get("aliases", []),
        "contained": _contained(found.types[0].slug if found else "", facts.get("implies", [])),
        "habits": _habits(facts),
        "docs_url": found.types[0].oauth.scopes_url or found.types[0].docs_url if found else "",
        "uses": uses_of(request.user, [scope]).get((scope.provider, scope.name), 0),
        "ledger_address": ledger_address(scope),
        "may_judge": may(request.user, CHANGE_SCOPE, scope),
    }


def _contained(type_: str, names: list[str]) -> list[ScopeInfo | str]:
    return [load_catalog().scope(type_, name) or name for name in names]


def _habits(facts: dict[str, Any]) -> list[str]:
    """What else an admin should know, in sentences."""
    sentences = {
        "auto_added": _("Base44 or the provider commonly adds it by itself, so it may be there unasked."),
        "never_reported": _("The provider honours it but leaves it out when it lists what was granted."),
        "admin_consent": _("An administrator of the organisation has to agree to it."),
        "personal_account": _("Personal accounts can grant it as well as those of organisations."),
    }
    return [text for key, text in sentences.items() if facts.get(key)]
