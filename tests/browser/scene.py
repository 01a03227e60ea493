"""A portal in use, small and varied: for looking at its pages. One workspace is that of an emulator."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.utils import timezone

from connectors.core.actor import SCHEDULER, Actor, Door
from connectors.core.base44.emulator import Emulator
from connectors.flows import review_plan
from connectors.flows.catalogue import load_catalogue
from connectors.flows.events import record_event
from connectors.flows.judge_scope import judge_scope
from connectors.flows.review_choices import narrower_than
from connectors.flows.reviews import Ruling, decide, open_review
from connectors.models import (
    AlertRoute,
    Approval,
    ApprovalDemand,
    Authorisation,
    CatalogueScope,
    Connector,
    ConsentLink,
    Incident,
    IntegrationType,
    Invitation,
    LedgerEntry,
    Membership,
    OAuthClient,
    PolicyException,
    PolicyRule,
    Project,
    Repository,
    RepositoryRun,
    ReviewCampaign,
    ReviewNotice,
    SavedView,
    Sensitivity,
    SignInProvider,
    SyncRun,
    SyncStep,
    Token,
    TokenRefresh,
    TrailStream,
    Workspace,
)
from tests import factories
from tests.browser.alert_scene import make_alerts
from tests.browser.approval_scene import make_approvals
from tests.browser.history_scene import make_past
from tests.browser.people_scene import make_people
from tests.browser.policy_scene import make_policies
from tests.browser.repository_scene import make_repositories

State = Connector.SyncState

GMAIL = ["https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"]
SOURCE = b"""{
  // Support inbox: reading and answering, nothing else.
  "type": "gmail",
  "scopes": [
    "https://www.googleapis.com/auth/gmail.readonly", // read tickets
    "https://www.googleapis.com/auth/gmail.send"
  ]
}
"""
PROJECTS = [
    ("Support desk", "Northwind", "production", ""),
    ("Customer portal", "Northwind", "production", ""),
    ("Field sales", "Northwind", "staging", ""),
    ("Data lake", "Acme Labs", "production", ""),
    ("Marketing site", "Acme Labs", "development", "Base44 answered 503 three times in a row."),
    ("Finance close", "Blue Fjord", "production", "Base44 refused the credential."),
    ("Recruiting", "Northwind", "development", ""),
    ("Release notes", "Acme Labs", "staging", ""),
]
CALENDAR = ["https://www.googleapis.com/auth/calendar.events", "https://www.googleapis.com/auth/calendar.readonly"]
CONNECTORS = {
    "gmail": (GMAIL, State.IN_SYNC),
    "slackbot": (["chat:write", "channels:read"], State.IN_SYNC),
    "notion": ([], State.IN_SYNC),
    "googlecalendar": (CALENDAR, State.DIFFERS),
    "hubspot": (["crm.objects.contacts.read"], State.IN_SYNC),
    "github": (["repo", "read:user"], State.NOT_REGISTERED),
    "linkedin": (["openid", "profile", "w_member_social"], State.INACTIVE),
    "salesforce": (["api", "refresh_token"], State.NOT_DECLARED),
}
"""What is declared of each type, and how it stands at Base44 where it does not agree."""
FEATURED = ["gmail", "slackbot", "googlecalendar", "github", "salesforce", "notion"]
"""The connectors of the first project: one of each difference that a plan can show."""


@dataclass
class Scene:
    """Who and what is there. `examples` names the row that shows most of a model's page, `links` consent links.

    `invitation` is the secret of an open one.
    """

    admin: User
    emulator: Emulator
    examples: dict[type[Model], object] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)
    invitation: str = field(default="", repr=False)

    @property
    def projects(self) -> list[int]:
        """Three projects, as a bulk action would name them."""
        return list(Project.objects.order_by("pk").values_list("pk", flat=True)[:3])

    def example(self, model: type[Model]) -> Any:
        """Primary key of the row of this model to look at: the one set, else the first."""
        return self.examples.get(model) or model._default_manager.values_list("pk", flat=True).order_by("pk")[0]


def make_admin() -> User:
    """Ada, a superuser."""
    user = factories.make_user("ada", staff=True, superuser=True)
    user.first_name, user.last_name = "Ada", "Admin"
    user.save()
    return user


def build(admin: User, emulator: Emulator) -> Scene:
    """Three workspaces, eight projects in different states, two weeks of runs, and what people did."""
    scene, now = Scene(admin, emulator), timezone.now()
    ada = Actor(label="ada", door=Door.ADMIN, user_id=admin.pk)
    load_catalogue(ada)
    workspaces = _workspaces(emulator, now)
    for number, (name, workspace, environment, error) in enumerate(PROJECTS):
        project = _project(name, workspaces[workspace], environment, error, now - dt.timedelta(minutes=7 + 31 * number))
        _connectors(project, number, now)
        _runs(project, number, now)
    scene.examples[Project] = Project.objects.get(slug="support-desk").pk
    scene.examples[Connector] = Connector.objects.get(project__slug="support-desk", integration_type="gmail").pk
    scene.examples[SyncRun] = _applied(Project.objects.get(slug="support-desk"), ada, now).pk
    scene.examples[Token] = _tokens(ada, now).pk
    scene.examples[ConsentLink] = _consent_links(admin, scene.links, now).pk
    scene.examples[IntegrationType] = "gmail"
    scene.examples[CatalogueScope] = _judged_scope(ada).pk
    scene.examples[Workspace] = workspaces["Northwind"].pk
    scene.examples[Group] = Group.objects.create(name="Connector managers").pk
    _sign_in_provider()
    _events(ada)
    repository, work = make_repositories(now)
    scene.examples |= {Repository: repository.pk, RepositoryRun: work.pk}
    _ledger(admin, now)
    incident, route = make_alerts(now)
    scene.examples |= {Incident: incident.pk, AlertRoute: route.pk}
    make_past(now)
    scene.examples[ReviewCampaign] = _review(ada, now).pk
    rule, exception = make_policies(now)
    scene.examples |= {PolicyRule: rule.pk, PolicyException: exception.pk}
    role, invitation, scene.invitation = make_people(admin, now)
    scene.examples |= {Membership: role.pk, Invitation: invitation.pk}
    demand, approval = make_approvals(admin)
    scene.examples |= {ApprovalDemand: demand.pk, Approval: approval.pk}
    return scene


def _sign_in_provider() -> None:
    """People of the team log in with their accounts at work, and one of the groups there counts here."""
    row = SignInProvider.objects.create(
        slug="work",
        name="Acme login",
        server_url="https://login.acme.example",
        client_id="portal",
        groups_claim="groups",
    )
    row.group_mappings.create(claim_value="connectors", group=Group.objects.get(name="Connector managers"))


def _judged_scope(ada: Actor) -> CatalogueScope:
    """A scope with much to say of it, which the team takes more seriously than the catalogue does."""
    scope = CatalogueScope.objects.get(provider="google", name="https://www.googleapis.com/auth/drive.readonly")
    judge_scope(scope, ada, sensitivity=Sensitivity.CRITICAL, note="Our Drive holds contracts: ask legal first.")
    return scope


def _workspaces(emulator: Emulator, now: dt.datetime) -> dict[str, Workspace]:
    address = {"api_url": emulator.url, "token": emulator.pat}
    made = {name: factories.make_workspace(name, plan=plan, **address) for name, plan in _PLANS.items()}
    states = {"Northwind": "accepted", "Acme Labs": "accepted", "Blue Fjord": "refused"}
    for name, state in states.items():
        row = made[name]
        row.credential_kind, row.credential_state, row.credential_account = "token", state, "ada@example.com"
        row.credential_set_at = row.credential_checked_at = now - dt.timedelta(days=3)
        row.save()
    return made


_PLANS = {"Northwind": "business", "Acme Labs": "pro", "Blue Fjord": "builder"}


def _project(name: str, workspace: Workspace, environment: str, error: str, synced_at: dt.datetime) -> Project:
    return factories.make_project(
        name.lower().replace(" ", "-"),
        workspace=workspace,
        name=name,
        environment=environment,
        sync_error=error,
        synced_at=synced_at,
        stripe_mode=Project.StripeMode.NONE,
        notes="Owned by the support team; ask #support before removing anything." if name == "Support desk" else "",
    )


def _connectors(project: Project, number: int, now: dt.datetime) -> None:
    """The first project differs in every way; of the others' differences only every third is left in."""
    types = list(CONNECTORS)[number % 3 : number % 3 + 5] if number else FEATURED
    for place, type_ in enumerate(types):
        scopes, state = CONNECTORS[type_]
        if number and (number + place) % 3:
            state = State.IN_SYNC
        _connector(project, type_, scopes, state, now - dt.timedelta(minutes=7 + 31 * number))


def _connector(project: Project, type_: str, scopes: list[str], state: State, seen_at: dt.datetime) -> None:
    registered = None if state == State.NOT_REGISTERED else scopes[:1] if state == State.DIFFERS else scopes
    seen: dict[str, Any] = {} if registered is None else {"registered_account": "team@example.com"}
    if state == State.INACTIVE:
        seen["registered_status"] = "expired"
    factories.make_connector(
        project,
        type_,
        scopes,
        registered=registered,
        is_declared=state != State.NOT_DECLARED,
        sync_state=state,
        needs_attention=state in Connector.DRIFT_STATES,
        consent=Connector.Consent.NEEDED if state == State.NOT_REGISTERED else Connector.Consent.NONE,
        registered_at=seen_at,
        source_path=f"{type_}.jsonc",
        source=SOURCE if type_ == "gmail" else None,
        **seen,
    )


def _runs(project: Project, number: int, now: dt.datetime) -> None:
    made = []
    for day in reversed(range(14)):
        for turn in reversed(range(1 + (day * day + number * 5) % 7 % (2 + day % 4))):
            at = now - dt.timedelta(days=day, minutes=40 * turn + 5 * number + 2)
            failed = (day + number * 3 + turn) % 13 == 0
            state = SyncRun.State.FAILED if failed else SyncRun.State.DONE
            made.append(
                SyncRun(
                    project=project,
                    kind=SyncRun.Kind.SYNC,
                    state=state,
                    message="Base44 answered 503." if failed else "",
                    actor_label=SCHEDULER.label,
                    door=SCHEDULER.door,
                    started_at=at,
                    finished_at=at + dt.timedelta(seconds=1.4),
                )
            )
    for run in SyncRun.objects.bulk_create(made):
        SyncRun.objects.filter(pk=run.pk).update(created_at=run.started_at)


def _applied(project: Project, actor: Actor, now: dt.datetime) -> SyncRun:
    """A plan that was applied: one step of every outcome."""
    run = SyncRun.objects.create(
        project=project,
        kind=SyncRun.Kind.APPLY,
        state=SyncRun.State.PARTIAL,
        message="2 of 4 steps done, 1 waits for consent, 1 failed.",
        user_id=actor.user_id,
        actor_label=actor.label,
        door=actor.door,
        started_at=now - dt.timedelta(minutes=12),
        finished_at=now - dt.timedelta(minutes=11),
    )
    outcomes = [
        ("notion", "set", SyncStep.State.DONE, ""),
        ("gmail", "set", SyncStep.State.CONSENT, "Base44 waits for somebody to consent."),
        ("github", "set", SyncStep.State.FAILED, "Base44 refused the scope read:userr."),
        ("zendesk", "remove", SyncStep.State.SKIPPED, "Left out because a step before it failed."),
        ("linkedin", "remove", SyncStep.State.DONE, ""),
    ]
    SyncStep.objects.bulk_create(
        SyncStep(
            run=run,
            position=position,
            type=type_,
            action=action,
            state=state,
            reason="Declared and registered scopes differ." if action == "set" else "Not declared.",
            message=message,
            started_at=run.started_at,
            finished_at=run.started_at + dt.timedelta(seconds=2) if run.started_at else None,
        )
        for position, (type_, action, state, message) in enumerate(outcomes)
    )
    return run


def _tokens(actor: Actor, now: dt.datetime) -> Token:
    """A token for every second connector of Google's, Slack's and HubSpot's, in every condition there is."""
    clients = {
        "google": factories.make_oauth_client("google-main", name="Google main"),
        "slack": factories.make_oauth_client("slack-main", provider="slack", name="Slack main"),
        "hubspot": factories.make_oauth_client(
            "hubspot-old",
            provider="hubspot",
            name="HubSpot old",
            state="misconfigured",
            state_note="HubSpot does not accept the client's secret.",
        ),
    }
    of_type = {"gmail": "google", "googlecalendar": "google", "slackbot": "slack", "hubspot": "hubspot"}
    rows = Connector.objects.filter(integration_type__in=of_type).select_related("project").order_by("pk")
    held = [
        _token(row, clients[of_type[row.integration_type_id]], actor, number, now) for number, row in enumerate(rows)
    ]
    _history(held[0], actor, now)
    return held[0]


def _consent_links(admin: User, links: dict[str, int], now: dt.datetime) -> ConsentLink:
    """Tokens that end soon, for their client is in testing mode; and a consent link in each state but the used."""
    testing = factories.make_oauth_client("google-test", name="Google test", is_testing=True)
    calendars = Token.objects.filter(connector__integration_type="googlecalendar")
    calendars.update(oauth_client=testing, authorised_at=now - dt.timedelta(days=5), state="fresh", failures=0)
    opened = {"claimed_by": admin, "claimed_at": now - dt.timedelta(minutes=20), "created_by": admin}
    gmail = Connector.objects.get(project__slug="support-desk", integration_type="gmail")
    note = "Please use the support inbox, not your own."
    link = factories.make_consent_link(gmail, oauth_client=testing, note=note, **opened)
    links["page"] = link.pk
    for name, outcome, message in [
        ("done", "connected", "Connected as support@example.com, with every scope that was asked for."),
        ("fewer", "fewer_scopes", f"Connected, but not with everything that was asked for. Missing: {GMAIL[1]}."),
    ]:
        links[name] = factories.make_consent_link(gmail, oauth_client=testing, **opened).pk
        Authorisation.objects.create(
            state_hash=name,
            connector=gmail,
            oauth_client=testing,
            consent_link_id=links[name],
            user=admin,
            outcome=outcome,
            message=message,
            account="support@example.com",
            created_at=now,
            expires_at=now,
        )
    waiting = Connector.objects.filter(consent="needed").order_by("pk")
    states: list[dict[str, Any]] = [{"created_by": admin}, opened, {"revoked_at": now}]
    for row, values in zip(waiting, states, strict=False):
        factories.make_consent_link(row, **values)
    return link


_CONDITIONS: list[dict[str, Any]] = [
    {"granted_scopes": GMAIL[:1], "details": {"hosted_domain": "example.com"}},
    {"granted_scopes": None},
    {"state": "failing", "failures": 3, "last_error": "The provider answered 503. It is tried again."},
    {"granted_scopes": [], "state": "needs_consent", "last_error": "The provider no longer accepts the consent."},
]


def _token(row: Connector, client: OAuthClient, actor: Actor, number: int, now: dt.datetime) -> Token:
    ends = now + dt.timedelta(minutes=7 * number + 11)
    values: dict[str, Any] = {
        "asked_scopes": row.scopes,
        "account": f"{'support' if number % 3 else 'team'}@example.com",
        "account_id": f"account-{number % 3}",
        "authorised_at": now - dt.timedelta(days=12 + number),
        "authorised_by_id": actor.user_id,
        "authorised_by_label": actor.label,
        "refreshed_at": now - dt.timedelta(minutes=48),
        "refresh_count": 290,
        "expires_at": ends,
        "refresh_at": ends - dt.timedelta(minutes=12),
    }
    return factories.make_token(row, oauth_client=client, **{**values, **_CONDITIONS[number % len(_CONDITIONS)]})


def _history(token: Token, actor: Actor, now: dt.datetime) -> None:
    """Refreshes of half a day, two of which failed, and who tried to authorise the connector."""
    for hour in reversed(range(12)):
        at, failed = now - dt.timedelta(hours=hour, minutes=3), hour in (4, 5)
        note = "Google answered 503. It is tried again." if failed else ""
        outcome, ends = ("transient", None) if failed else ("ok", at + dt.timedelta(hours=1))
        TokenRefresh.objects.create(token=token, at=at, outcome=outcome, note=note, took_ms=184 + hour, expires_at=ends)
    for number, (outcome, words) in enumerate({"denied": "Nobody agreed.", "connected": ""}.items()):
        Authorisation.objects.create(
            state_hash=f"state-{number}",
            connector=token.connector,
            oauth_client=token.oauth_client,
            user=User.objects.get(username=actor.label),
            outcome=outcome,
            message=words,
            account="" if outcome == "denied" else token.account,
            created_at=token.authorised_at,
            expires_at=token.authorised_at,
        )


def _ledger(admin: User, now: dt.datetime) -> None:
    """The ledger of all connectors, some with files that differ; one connector that is not in it yet; saved views."""
    for row in Connector.objects.exclude(source_path="").filter(repository_commit="").order_by("pk")[:12]:
        row.repository_scopes, row.repository_read_at = row.scopes[:1], now - dt.timedelta(hours=5)
        row.save(update_fields=["repository_scopes", "repository_read_at"])
    factories.keep_ledger()
    Connector.objects.filter(project__slug="release-notes", integration_type="notion").update(ledger_at=None)
    SavedView.objects.create(name="Critical and differing", query="sensitivity=high&verdict=differs", owner=admin)
    SavedView.objects.create(name="Who can send mail", page="scopes", query="q=send+mail", owner=admin, is_shared=True)


def _review(ada: Actor, now: dt.datetime) -> ReviewCampaign:
    """An open access review with a decision of each kind, one that failed, and a draft of another."""
    bob = factories.make_user("bob", staff=True)
    Project.objects.filter(workspace__name="Northwind").update(owner=ada.user_id)
    Project.objects.filter(workspace__name="Acme Labs").update(owner=bob)
    late = list(Connector.objects.without_ledger().values_list("pk", flat=True))
    due = now + dt.timedelta(days=14)
    review = ReviewCampaign.objects.create(
        name="Access review, autumn 2026", due_at=due, instructions="Look for mail that no app sends any more."
    )
    open_review(review, LedgerEntry.objects.all(), ada, now=now - dt.timedelta(days=3))
    Connector.objects.filter(pk__in=late).update(ledger_at=None)
    rows = list(review.items.filter(project__slug="support-desk").order_by("type_slug", "scope"))
    for place, row in enumerate(rows[::3]):
        narrower = narrower_than(row.type_slug, row.scope).all
        decision = ("keep", "narrow" if narrower else "keep", "remove")[place % 3]
        ruling = Ruling(decision, "Checked with the support team.", narrower[0].name if decision == "narrow" else "")
        decide(review, [row.pk], ruling, ada, now=now - dt.timedelta(hours=place))
    review.items.filter(decision="remove").update(outcome="failed", outcome_note=review_plan.ONLY_GRANTED)
    ReviewNotice.objects.create(campaign=review, user=bob, kind="reminder", mailed_at=now, count=2)
    ReviewCampaign.objects.create(name="Production only", environment="production", due_at=due)
    return review


def _events(actor: Actor) -> None:
    failing = {"last_error": "The receiver does not answer.", "failures": 3, "failing_since": timezone.now()}
    TrailStream.objects.create(name="SIEM", host="logs.example.com", next_attempt_at=timezone.now(), **failing)
    for project in Project.objects.order_by("pk")[:4]:
        record_event(actor, "project.imported", project, after={"changed": ["gmail"]})
    for connector in Connector.objects.select_related("project").order_by("pk")[:4]:
        record_event(actor, "connector.changed", connector, before={"scopes": []}, after={"scopes": connector.scopes})
