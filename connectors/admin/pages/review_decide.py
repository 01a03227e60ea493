"""The list on which an owner decides: every scope of their projects, connector by connector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.safestring import SafeString

from connectors.admin import cells
from connectors.admin.pages.frame import actor_of, draw, ids_of, route
from connectors.core.errors import PortalError
from connectors.flows.review_choices import Narrower, narrower_than
from connectors.flows.reviews import Ruling, decide, items_to_decide, needs_reason
from connectors.models import IntegrationType, ReviewCampaign, ReviewItem
from connectors.models.review import ReviewItemQuerySet

PER_PAGE = 25
Decision, Outcome = ReviewItem.Decision, ReviewItem.Outcome


@dataclass(frozen=True, slots=True)
class Choice:
    """Which scopes of the review are looked at: `owner` is "me", "all", "none" or a user's key, `show` "all" or ""."""

    owner: str
    show: str

    @property
    def query(self) -> str:
        """As the address says it."""
        return urlencode({"owner": self.owner, "show": self.show})


@dataclass(frozen=True, slots=True)
class Line:
    """One scope with its form. `typed` holds what was posted for it and could not be taken."""

    item: ReviewItem
    sides: Sequence[tuple[str, SafeString]]
    verdict: SafeString
    sensitivity: SafeString
    narrower: Narrower
    keep_needs_reason: bool
    is_open: bool
    decision: str
    narrow_to: str
    reason: str
    problem: str


@dataclass(frozen=True, slots=True)
class Group:
    """The scopes of one connector. `undecided`: so many of them on this page may be kept with one click."""

    first: ReviewItem
    type_name: str
    lines: Sequence[Line]
    undecided: int
    needs_reason: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody posted for one row, and why it could not be taken."""

    item: int
    ruling: Ruling
    problem: str


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_reviewcampaign_decide`."""
    return [route(model_admin, "<int:object_id>/decide/", decide_page, "decide")]


def decide_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """An owner's list. POST decides on one scope, or keeps all that is undecided of one connector."""
    campaign = ReviewCampaign.objects.visible_to(request.user).filter(pk=object_id).first()
    if campaign is None:
        raise Http404
    own = ReviewItem.objects.visible_to(request.user).filter(campaign=campaign, owner=request.user.pk)
    # Owners need no permission of the portal: that the project is theirs is enough for their own list.
    if not model_admin.has_view_permission(request, campaign) and not own.exists():
        raise PermissionDenied
    chosen = _choice(request, own)
    typed = None
    if request.method == "POST":
        posted = _post(request, campaign)
        if isinstance(posted, str):
            return HttpResponseRedirect(f"{request.path}?{chosen.query}&page={_page(request)}{posted}")
        typed = posted
    items = _chosen(model_admin, request, campaign, chosen)
    return _draw(model_admin, request, campaign, chosen, items, typed)


def _draw(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    campaign: ReviewCampaign,
    chosen: Choice,
    items: ReviewItemQuerySet,
    typed: Typed | None,
) -> HttpResponse:
    total, left = items.count(), items.undecided().count()
    shown = items if chosen.show == "all" else items.undecided()
    page = Paginator(shown.order_by("project_label", "type_slug", "scope", "pk"), PER_PAGE).get_page(_page(request))
    return draw(
        model_admin,
        request,
        "review/decide.html",
        title=f"Decide on {campaign}",
        original=campaign,
        campaign=campaign,
        chosen=chosen,
        choices=_choices(model_admin, request, campaign),
        page=page,
        groups=_groups(request, campaign, page, typed),
        total=total,
        decided=total - left,
        left=left,
        problem=typed.problem if typed else "",
        overdue=campaign.is_overdue(timezone.now()),
        may_view=model_admin.has_view_permission(request, campaign),
        is_open=campaign.state == ReviewCampaign.State.OPEN,
    )


def _choice(request: HttpRequest, own: ReviewItemQuerySet) -> Choice:
    """Without a word in the address: one's own scopes, or all for somebody who has none."""
    owner = request.GET.get("owner", "")
    if not (owner in ("me", "all", "none") or ids_of([owner])):
        owner = "me" if own.exists() else "all"
    return Choice(owner, "all" if request.GET.get("show") == "all" else "")


def _chosen(
    model_admin: ModelAdmin[Any], request: HttpRequest, campaign: ReviewCampaign, chosen: Choice
) -> ReviewItemQuerySet:
    items = ReviewItem.objects.visible_to(request.user).filter(campaign=campaign)
    if chosen.owner == "me" or not model_admin.has_view_permission(request, campaign):
        return items.filter(owner=request.user.pk)
    if chosen.owner == "all":
        return items
    return items.filter(owner=None) if chosen.owner == "none" else items.filter(owner__in=ids_of([chosen.owner]))


def _choices(model_admin: ModelAdmin[Any], request: HttpRequest, campaign: ReviewCampaign) -> list[tuple[str, str]]:
    """Whose scopes can be looked at: value and words. None to choose from for whoever sees only their own."""
    if not model_admin.has_view_permission(request, campaign):
        return []
    rows = ReviewItem.objects.visible_to(request.user).filter(campaign=campaign).order_by("owner_label")
    owners = rows.values_list("owner", "owner_label").distinct()
    named = [(str(key), label) for key, label in owners if key is not None and key != request.user.pk]
    nobody = [("none", "nobody in particular")] if any(key is None for key, _ in owners) else []
    return [("all", "everybody"), ("me", "me"), *named, *nobody]


def _post(request: HttpRequest, campaign: ReviewCampaign) -> str | Typed:
    """Takes the decision; the anchor to go on at, or what could not be taken and why."""
    mine = items_to_decide(campaign, request.user)
    item = mine.filter(pk__in=ids_of([request.POST.get("item", "")])).first()
    if item is None:
        raise PermissionDenied
    ruling = _ruling(request)
    ids = [item.pk]
    if request.POST.get("action") == "keep_rest":
        rest = mine.undecided().filter(project_label=item.project_label, type_slug=item.type_slug)
        ids = list(rest.filter(project=item.project_id).values_list("pk", flat=True))
        ruling = Ruling(Decision.KEEP, ruling.reason)
    try:
        count = decide(campaign, ids, ruling, actor_of(request), now=timezone.now())
    except PortalError as error:
        return Typed(item.pk, ruling, str(error))
    messages.success(request, _done(item, ruling, count))
    return f"#connector-{item.connector_id}" if item.connector_id else ""


def _ruling(request: HttpRequest) -> Ruling:
    decision = "" if request.POST.get("action") == "take_back" else request.POST.get("decision", "-")
    reason, narrow_to = (request.POST.get(name, "").replace("\0", "") for name in ("reason", "narrow_to"))
    return Ruling(decision, reason, narrow_to)


def _done(item: ReviewItem, ruling: Ruling, count: int) -> str:
    if count != 1:
        return f"{count} scopes of {item.type_slug} in {item.project_label} are kept."
    words = {
        Decision.NONE: "is undecided again",
        Decision.KEEP: "is kept",
        Decision.NARROW: f"is to be narrowed to {ruling.narrow_to}",
        Decision.REMOVE: "is to be removed",
    }
    return f"{item.scope} of {item.type_slug} in {item.project_label} {words[Decision(ruling.decision)]}."


def _page(request: HttpRequest) -> str:
    found = ids_of([request.GET.get("page", "")])
    return str(found[0]) if found else "1"


def _groups(request: HttpRequest, campaign: ReviewCampaign, page: Page[ReviewItem], typed: Typed | None) -> list[Group]:
    rows = list(page.object_list)
    names = IntegrationType.objects.filter(pk__in={row.type_slug for row in rows})
    titles = dict(names.values_list("slug", "display_name"))
    mine = items_to_decide(campaign, request.user).filter(pk__in=[row.pk for row in rows])
    decidable = set(mine.values_list("pk", flat=True)) if campaign.state == ReviewCampaign.State.OPEN else set()
    found = []
    for _, together in groupby(rows, key=lambda row: (row.project_id, row.project_label, row.type_slug)):
        lines = [_line(row, row.pk in decidable, typed) for row in together]
        found.append(_group(lines, titles))
    return found


def _group(lines: Sequence[Line], titles: dict[str, str]) -> Group:
    first = lines[0].item
    rest = [line for line in lines if line.is_open and not line.item.decision]
    needs = any(line.keep_needs_reason for line in rest)
    return Group(first, titles.get(first.type_slug, first.type_slug), lines, len(rest), needs)


def _line(row: ReviewItem, may: bool, typed: Typed | None) -> Line:
    mine = typed if typed is not None and typed.item == row.pk else None
    carried = row.outcome in (Outcome.DECLARED, Outcome.DONE)
    return Line(
        item=row,
        sides=tuple(_sides(row)),
        verdict=cells.verdict(row.verdict),
        sensitivity=cells.harm(row.sensitivity),
        narrower=narrower_than(row.type_slug, row.scope),
        keep_needs_reason=needs_reason(row, Decision.KEEP),
        is_open=may and not carried,
        decision=mine.ruling.decision if mine else row.decision,
        narrow_to=mine.ruling.narrow_to if mine else row.narrow_to,
        reason=mine.ruling.reason if mine else row.decision_reason,
        problem=mine.problem if mine else "",
    )


def _sides(row: ReviewItem) -> Iterable[tuple[str, SafeString]]:
    yield "Declared", cells.mark(row.declared)
    yield "File", cells.mark(row.repository)
    yield "Base44", cells.mark(row.registered)
    yield "Granted", cells.mark(row.granted)
