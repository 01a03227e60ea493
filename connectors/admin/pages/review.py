"""Running a review: what opening it would freeze, turning decisions into plans, closing it, and the evidence."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from connectors.admin.pages.download import answer, asked_for
from connectors.admin.pages.frame import CHANGE_CONNECTOR, actor_of, draw, require, route, visible
from connectors.core.errors import PortalError
from connectors.flows.reports import review_table
from connectors.flows.review_mail import mails
from connectors.flows.review_plan import AT_ONCE, Carried, carry_out, plans_of
from connectors.flows.review_snapshot import verify
from connectors.flows.reviews import CHANGE_REVIEW, close_review, open_review, prospect
from connectors.models import Connector, LedgerEntry, ReviewCampaign, ReviewItem
from connectors.models.review import ReviewItemQuerySet
from connectors.models.visibility import may

PER_PAGE = 50


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_reviewcampaign_open`, `..._carry_out`, `..._close` and `..._evidence`."""
    return [
        route(model_admin, "<int:object_id>/open/", open_page, "open"),
        route(model_admin, "<int:object_id>/carry-out/", carry_page, "carry_out"),
        route(model_admin, "<int:object_id>/close/", close_page, "close"),
        route(model_admin, "<int:object_id>/evidence/", evidence_page, "evidence"),
    ]


def open_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Says what would be frozen and who would decide. POST opens the review."""
    campaign = visible(model_admin, request, ReviewCampaign.objects.select_related("workspace"), object_id)
    entries, problem = LedgerEntry.objects.visible_to(request.user), ""
    if request.method == "POST":
        require(request, CHANGE_REVIEW, campaign)
        try:
            open_review(campaign, entries, actor_of(request), now=timezone.now())
        except PortalError as error:
            problem = str(error)
        else:
            messages.success(request, "The review is open. Owners can decide now.")
            return _to(campaign)
    if campaign.state != ReviewCampaign.State.DRAFT:
        return _to(campaign)
    return draw(
        model_admin,
        request,
        "review/open.html",
        title=f"Open {campaign}",
        original=campaign,
        campaign=campaign,
        prospect=prospect(campaign, entries),
        mails=mails(),
        may_open=may(request.user, CHANGE_REVIEW, campaign),
        behind=Connector.objects.visible_to(request.user).without_ledger().count(),
        problem=problem,
    )


def carry_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The projects in which something was decided to change. POST declares it, for their plans."""
    campaign = visible(model_admin, request, ReviewCampaign.objects.all(), object_id)
    if request.method == "POST":
        require(request, CHANGE_REVIEW, campaign)
        require(request, CHANGE_CONNECTOR)
        try:
            rows = Connector.objects.permitted(request.user, "change_connector")
            carried = carry_out(campaign, rows, actor_of(request), again="again" in request.POST)
        except PortalError as error:
            messages.error(request, str(error))
        else:
            _tell(request, carried)
        return HttpResponseRedirect(request.path)
    items = _items(request, campaign)
    plans, failed = plans_of(items), items.filter(outcome=ReviewItem.Outcome.FAILED)
    return draw(
        model_admin,
        request,
        "review/carry_out.html",
        title=f"Plans of {campaign}",
        original=campaign,
        campaign=campaign,
        plans=plans,
        waiting=sum(one.waiting for one in plans),
        failed=failed.order_by("pk")[:PER_PAGE],
        failed_count=sum(one.failed for one in plans),
        may_carry=may(request.user, CHANGE_REVIEW, campaign) and may(request.user, CHANGE_CONNECTOR),
        at_once=AT_ONCE,
    )


def close_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Says what closing means and what is undecided. POST closes the review."""
    campaign = visible(model_admin, request, ReviewCampaign.objects.all(), object_id)
    require(request, CHANGE_REVIEW, campaign)
    problem = ""
    if request.method == "POST":
        try:
            stays = "undecided" in request.POST
            close_review(campaign, actor_of(request), now=timezone.now(), undecided_may_stay=stays)
        except PortalError as error:
            problem = str(error)
        else:
            messages.success(request, "The review is closed. From now on it can only be read.")
            return _to(campaign)
    return draw(
        model_admin,
        request,
        "review/close.html",
        title=f"Close {campaign}",
        original=campaign,
        campaign=campaign,
        waiting=sum(one.waiting for one in plans_of(_items(request, campaign))),
        problem=problem,
    )


def evidence_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Every frozen row with its decision. `?verify=1` compares them with the fingerprint, `?download=` takes all."""
    campaign = visible(model_admin, request, ReviewCampaign.objects.select_related("workspace"), object_id)
    items = _items(request, campaign).order_by("pk")
    # Evidence is the whole of a review or none: a part of it would not give its fingerprint.
    seen, kind = items.count(), asked_for(request)
    is_whole = seen == campaign.items.count()
    if (kind or request.GET.get("verify")) and not is_whole:
        raise PermissionDenied
    if kind and campaign.state != ReviewCampaign.State.DRAFT:
        return answer(request, review_table(campaign, campaign.about), kind, target=campaign)
    page = Paginator(items, PER_PAGE).get_page(request.GET.get("page"))
    return draw(
        model_admin,
        request,
        "review/evidence.html",
        title=f"Evidence of {campaign}",
        original=campaign,
        campaign=campaign,
        page=page,
        seen=seen,
        is_whole=is_whole,
        verification=verify(campaign) if request.GET.get("verify") else None,
    )


def _items(request: HttpRequest, campaign: ReviewCampaign) -> ReviewItemQuerySet:
    """The review's scopes that this person may see."""
    return ReviewItem.objects.visible_to(request.user).filter(campaign=campaign)


def _tell(request: HttpRequest, carried: Carried) -> None:
    if carried.declared:
        messages.success(request, f"{_scopes(carried.declared)} declared anew. The projects' plans carry it to Base44.")
    if carried.failed:
        messages.warning(request, f"{_scopes(carried.failed)} could not be declared; the list says why.")
    if carried.left:
        messages.info(request, f"{carried.left} connectors are left. Press the button again to go on.")
    if not (carried.declared or carried.failed):
        messages.info(request, "There was nothing left to declare.")


def _scopes(count: int) -> str:
    return "1 scope" if count == 1 else f"{count} scopes"


def _to(campaign: ReviewCampaign) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("admin:connectors_reviewcampaign_change", args=[campaign.pk]))
