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
from connectors.flows.catalogue import load_catalogue
from connectors.flows.events import record_event
from connectors.models import Connector, IntegrationType, Project, SyncRun, SyncStep, Workspace
from tests import factories

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
    """Who and what is there. `examples` names the row that shows most of a model's page."""

    admin: User
    emulator: Emulator
    examples: dict[type[Model], object] = field(default_factory=dict)

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
    scene.examples[IntegrationType] = "gmail"
    scene.examples[Workspace] = workspaces["Northwind"].pk
    scene.examples[Group] = Group.objects.create(name="Connector managers").pk
    _events(ada)
    return scene


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


def _events(actor: Actor) -> None:
    for project in Project.objects.order_by("pk")[:4]:
        record_event(actor, "project.imported", project, after={"changed": ["gmail"]})
    for connector in Connector.objects.select_related("project").order_by("pk")[:4]:
        record_event(actor, "connector.changed", connector, before={"scopes": []}, after={"scopes": connector.scopes})
