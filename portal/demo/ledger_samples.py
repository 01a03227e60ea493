"""What a newcomer finds in the ledger: people, six weeks of changes, policies, an access review, alerts, incidents."""

from __future__ import annotations

import datetime as dt

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor, Door
from connectors.flows import incidents, policies
from connectors.flows.alert_routes import save_route
from connectors.flows.declare import declare
from connectors.flows.events import record_event
from connectors.flows.policy_exceptions import Wish, decide_exception, request_exception
from connectors.flows.policy_rules import save_rule
from connectors.flows.reviews import Ruling, decide, open_review
from connectors.flows.saved_views import save_view
from connectors.flows.sync import sync_projects
from connectors.models import (
    AlertRoute,
    Connector,
    LedgerEntry,
    PolicyRule,
    Project,
    ReviewCampaign,
    SavedView,
    Sensitivity,
    Severity,
)
from portal.demo.past import days_ago
from portal.demo.place import DemoPlace
from portal.demo.stand_in import StandIn

GMAIL = "https://www.googleapis.com/auth/gmail."
DRIVE = "https://www.googleapis.com/auth/drive."
GOOGLE_BASICS = ["openid", "https://www.googleapis.com/auth/userinfo.email"]

MAYA, JONAS = "maya", "jonas"
PEOPLE = {MAYA: ("Maya", "Chen"), JONAS: ("Jonas", "Weber")}
TAGS = {"storefront": ["customer-data", "shop"], "helpdesk": ["customer-data", "support"], "insights": ["finance"]}

ALL_MAIL = "Test apps never read a whole mailbox"
GRAVE = "Google scopes that can do much harm are looked at"
NOT_TOGETHER = "Customer records never beside all files"
REVIEW = "Access review, this quarter"

KEEP, REMOVE = "keep", "remove"
DECISIONS = {
    ("storefront", "gmail", f"{GMAIL}send"): (KEEP, "Order confirmations and invoices go out by it."),
    ("storefront", "gmail", f"{GMAIL}readonly"): (KEEP, "Returns are matched by the order number in the answer."),
    ("storefront", "gmail", f"{GMAIL}modify"): (REMOVE, "Was tried for two days last month. Nothing uses it."),
    ("storefront", "slackbot", "files:write"): (REMOVE, "Invoices are links now; no file is uploaded any more."),
    ("storefront", "slackbot", "chat:write.public"): (KEEP, "So that nobody has to invite the bot to each channel."),
    ("helpdesk", "gmail", f"{GMAIL}modify"): (KEEP, "The app sorts the support mailbox into labels."),
    ("helpdesk", "salesforce", "api"): (KEEP, "The account's tier decides how soon we must answer."),
}


def seed_people(login: str) -> None:
    """Colleagues of the demo's login, to whom projects belong; `people_samples` gives them roles."""
    for name, (first, last) in PEOPLE.items():
        user, is_new = get_user_model().objects.get_or_create(
            username=name,
            defaults={"first_name": first, "last_name": last, "email": f"{name}@acme.example", "is_staff": True},
        )
        if is_new:
            user.set_unusable_password()
            user.save(update_fields=["password"])
    owners = {"storefront": login, "helpdesk": MAYA, "insights": JONAS}
    for project in Project.objects.filter(slug__in=TAGS, owner=None, tags=[]):
        project.owner, project.tags = _user(owners[project.slug]), TAGS[project.slug]
        project.save(update_fields=["owner", "tags"])
        after = {"owner": owners[project.slug], "tags": project.tags}
        record_event(actor_of(login), "project.changed", project, after=after)


def prepare_base44(place: DemoPlace) -> None:
    """Base44 as it was six weeks ago: one connector could do less than it can today. Raises OSError, Refused."""
    _put_drive(place, f"{DRIVE}metadata.readonly")


def tell_story(place: DemoPlace, login: str) -> None:
    """The changes of the last weeks, as people and syncs make them. Raises OSError, PortalError."""
    jonas, maya = actor_of(JONAS), actor_of(MAYA)
    with days_ago(33):
        _declare("insights", "hubspot", ["crm.lists.read"], jonas)
    with days_ago(19):
        _declare("helpdesk", "github", [], maya, without="repo")
    with days_ago(12):
        _put_drive(place, f"{DRIVE}readonly")
        sync_projects(Project.objects.filter(slug="storefront"), actor_of(login))


def seed_rules(place: DemoPlace, login: str) -> None:
    """Policies, a review, alert routes and what they say today; nothing where one of these is there already."""
    if PolicyRule.objects.exists() or ReviewCampaign.objects.exists() or AlertRoute.objects.exists():
        return
    with transaction.atomic():
        _policies(actor_of(login))
        _exception(login)
        _view(login)
        _review(actor_of(login))
        _routes(place, actor_of(login))
    incidents.watch(timezone.now(), whole=True)


def actor_of(name: str) -> Actor:
    """Somebody of the demo who does something in the admin."""
    return Actor(name, Door.ADMIN, _user(name).pk)


def _user(name: str) -> User:
    found: User = get_user_model().objects.get(username=name)
    return found


def _put_drive(place: DemoPlace, scope: str) -> None:
    StandIn(place.emulator_url).put_connector("demo-storefront", "googledrive", [scope, *GOOGLE_BASICS])


def _declare(slug: str, type_: str, more: list[str], actor: Actor, *, without: str = "") -> None:
    row = Connector.objects.select_related("project").get(project__slug=slug, integration_type=type_)
    scopes = [scope for scope in row.scopes if scope != without] + more
    declare(row.project, type_, scopes, row.connection_config, actor)


def _policies(actor: Actor) -> None:
    rules = [
        PolicyRule(
            name=GRAVE,
            explanation="Production can reach customers' data. Ask yourself whether a narrower scope would do.",
            effect=PolicyRule.Effect.WARN,
            is_enabled=True,
            environments=["production"],
            types=["gmail", "googledrive"],
            min_sensitivity=Sensitivity.HIGH,
        ),
        PolicyRule(
            name=ALL_MAIL,
            explanation="Use the test mailbox, or a scope that only sends: real customers write to the real one.",
            effect=PolicyRule.Effect.BLOCK,
            is_enabled=True,
            environments=["development", "staging"],
            scope_patterns=[f"{GMAIL}modify", f"{GMAIL}readonly", "https://mail.google.com/"],
        ),
        PolicyRule(
            name=NOT_TOGETHER,
            explanation="An app that reads every file and knows every customer is worth stealing. Split it in two.",
            effect=PolicyRule.Effect.APPROVAL,
            scope_patterns=["crm.objects.*"],
            never_with=[DRIVE.removesuffix("."), f"{DRIVE}readonly"],
        ),
    ]
    with days_ago(9):
        for rule in rules:
            save_rule(rule, actor)
        policies.recheck_all()


def _exception(login: str) -> None:
    """The support mailbox is the one that staging works with; granted by somebody else than who asked."""
    rule, project = PolicyRule.objects.get(name=ALL_MAIL), Project.objects.filter(slug="helpdesk").first()
    if project is None:
        return
    reason = "Labels can only be tried with the real support mailbox. The test mailbox comes next quarter."
    end = timezone.now() + dt.timedelta(days=45)
    with days_ago(8):
        wish = Wish(rule, project, reason, _user(MAYA), end, type_slug="gmail", scope=f"{GMAIL}modify")
        row = request_exception(wish, actor_of(MAYA))
    with days_ago(7) as now:
        note = "Until the test mailbox is there."
        decide_exception(row, _user(login), actor_of(login), grant=True, note=note, now=now)


def _view(login: str) -> None:
    query = "verdict=differs"
    save_view(_user(login), SavedView.Page.LIST, "What differs", query, shared=True, actor=actor_of(login))


def _review(actor: Actor) -> None:
    """Open for six days; of two owners' scopes some are decided."""
    campaign = ReviewCampaign(
        name=REVIEW,
        instructions="Does the app still need it? Would a narrower scope do? Say why where you keep what can do harm.",
        min_sensitivity=Sensitivity.HIGH,
        due_at=timezone.now() + dt.timedelta(days=15),
        escalate_to_id=actor.user_id,
    )
    with days_ago(6) as now:
        campaign.save()
        record_event(actor, "review.added", campaign)
        open_review(campaign, LedgerEntry.objects.all(), actor, now=now)
    with days_ago(2) as now:
        for (slug, type_, scope), (decision, reason) in DECISIONS.items():
            chosen = campaign.items.filter(project__slug=slug, type_slug=type_, scope=scope)
            decider = actor_of(MAYA) if slug == "helpdesk" else actor
            decide(campaign, chosen.values_list("pk", flat=True), Ruling(decision, reason), decider, now=now)


def _routes(place: DemoPlace, actor: Actor) -> None:
    mail = AlertRoute(name="Portal team by e-mail", channel=AlertRoute.Channel.EMAIL, emails=["admin@acme.example"])
    mail.min_severity = Severity.WARNING
    save_route(mail, actor)
    hook = AlertRoute(name="Chat of the production team", channel=AlertRoute.Channel.WEBHOOK)
    hook.min_severity, hook.environments = Severity.CRITICAL, ["production"]
    save_route(hook, actor, url=SecretStr(f"{place.emulator_url}/webhooks"))
