"""The ledger by scope, by account and by person: the list's filters and search, its entries put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib.admin import ModelAdmin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString

from connectors.admin import cells
from connectors.admin.filter_words import filters_in_words
from connectors.admin.ledger_filters import NOT_KNOWN
from connectors.admin.ledger_list import GroupList
from connectors.admin.pages.download import answer, asked_for
from connectors.admin.pages.frame import has_nul, route
from connectors.admin.pages.saved_views import around
from connectors.core.catalog import load_catalog
from connectors.core.catalog.providers import provider_name
from connectors.flows.ledger_groups import By, Group, groups_of
from connectors.flows.reports import groups_table
from connectors.flows.saved_views import filters_in
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import IntegrationType, SavedView

PER_PAGE = 50
MOST_PAGES = 200
"""Whoever looks for more than ten thousand groups filters."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What a page of groups is called, what question it answers, and what stands for a name that is not known."""

    title: str
    column: str
    lead: str
    nameless: str
    field: str
    about_nameless: str


HEADINGS: Mapping[By, Heading] = {
    By.SCOPE: Heading(
        "Ledger by scope",
        "Scope",
        "Who can do what? Search for “send mail” to see which scopes allow that, and how many apps have them.",
        "No scope",
        "scope",
        "",
    ),
    By.ACCOUNT: Heading(
        "Ledger by account",
        "Account",
        "What does an account reach? Each line is an account, such as a mailbox, through which apps work.",
        "Account not known",
        "account",
        "Nobody has agreed yet, or the provider does not say whose account it is.",
    ),
    By.PERSON: Heading(
        "Ledger by person",
        "Person",
        "Who authorised what? Each line is somebody who agreed to what apps may do, or asked Base44 for it.",
        "Not known who",
        "person",
        "Nobody has authorised these through the portal: not yet, or at Base44 itself.",
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One group as the page shows it."""

    group: Group
    main: str
    sub: str
    entries_href: str
    person_href: str
    sensitivity: SafeString
    worst: SafeString
    types: tuple[str, ...]


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_ledgerentry_scopes`, `..._accounts` and `..._people`, with the list's filters."""
    return [route(model_admin, f"by/{by.value}/", partial(groups_page, by), by.value) for by in By]


def groups_page(by: By, model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """One page of groups, or all of them as a file."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    if has_nul(request):
        return HttpResponseRedirect(request.path)
    try:
        cl = GroupList.of(model_admin, request)
    except IncorrectLookupParameters:
        return HttpResponseRedirect(request.path)
    if kind := asked_for(request):
        table = groups_table(by, groups_of(cl.queryset, by), filters_in_words(cl, request.user))
        return answer(request, table, kind)
    page = min(max(cl.page_num, 1), MOST_PAGES)
    groups = groups_of(cl.queryset, by, (page - 1) * PER_PAGE, PER_PAGE + 1)
    query = filters_in(request.GET.urlencode())
    context = {
        **model_admin.admin_site.each_context(request),
        **around(request, SavedView.Page(by.value)),
        "cl": cl,
        "opts": model_admin.opts,
        "media": model_admin.media,
        "actions_on_top": model_admin.actions_on_top,
        "title": HEADINGS[by].title,
        "heading": HEADINGS[by],
        "by": by.value,
        "lines": lines_of(groups[:PER_PAGE], by, query),
        "page": page,
        "before": _at(query, page - 1) if page > 1 else "",
        "after": _at(query, page + 1) if len(groups) > PER_PAGE and page < MOST_PAGES else "",
    }
    return TemplateResponse(request, "connectors/ledger/groups.html", context)


def lines_of(groups: list[Group], by: By, query: str) -> list[Line]:
    """The groups with their names and links; titles and names are read for all of them at once."""
    titles = _titles(groups) if by == By.SCOPE else {}
    slugs = {slug for group in groups for slug in group.types}
    names = dict(IntegrationType.objects.filter(pk__in=slugs).values_list("pk", "display_name")) if slugs else {}
    return [_line(group, by, query, titles, names) for group in groups]


def _line(group: Group, by: By, query: str, titles: Mapping[tuple[str, str], str], names: Mapping[str, str]) -> Line:
    heading = HEADINGS[by]
    title = titles.get((group.provider, group.name), "")
    main, sub = group.name or heading.nameless, "" if group.name else heading.about_nameless
    if by == By.SCOPE:
        provider = provider_name(group.provider) if group.provider else "Provider not known"
        main, sub = title or group.name, f"{group.name} · {provider}" if title else provider
    chosen = {heading.field: group.name or NOT_KNOWN}
    if by == By.SCOPE and group.provider:
        chosen["provider"] = group.provider
    return Line(
        group,
        main,
        sub,
        f"{reverse('admin:connectors_ledgerentry_changelist')}?{_narrowed(query, chosen)}",
        _person(group.name) if by == By.PERSON else "",
        cells.harm(group.sensitivity),
        cells.verdict(group.worst.value),
        tuple(names.get(slug, slug) for slug in group.types),
    )


def _titles(groups: list[Group]) -> dict[tuple[str, str], str]:
    """Titles by provider and scope. A group knows its provider and no type; any type of the provider will do."""
    facts, type_of = ScopeFacts(), {info.provider: slug for slug, info in load_catalog().types.items()}
    return {(group.provider, group.name): facts.title(type_of.get(group.provider, ""), group.name) for group in groups}


def _narrowed(query: str, chosen: Mapping[str, str]) -> str:
    """The page's filters with those of one group instead of its own of the same kind."""
    kept = [(key, value) for key, value in parse_qsl(query) if key not in chosen]
    return urlencode([*kept, *chosen.items()])


def _at(query: str, page: int) -> str:
    return f"?{urlencode([*parse_qsl(query), ('p', str(page))])}"


def _person(name: str) -> str:
    """The page of all that somebody authorised, which is also where it is handed over when they leave."""
    return f"{reverse('admin:connectors_ledgerentry_person')}?{urlencode({'name': name})}" if name else ""
