"""Two teams with one row of every kind each, and people of every role in the first of them."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.utils import timezone

from connectors.core.actor import Actor, Door
from connectors.core.roles import Role
from connectors.flows.events import record_event
from connectors.models import (
    Approval,
    ApprovalDemand,
    CatalogueScope,
    LedgerEntry,
    Project,
    Repository,
    RepositoryRun,
    ReviewCampaign,
    SavedView,
    SignInProvider,
    SyncRun,
    TrailStream,
    Workspace,
)
from tests.factories import (
    keep_ledger,
    make_connector,
    make_consent_link,
    make_exception,
    make_incident,
    make_invitation,
    make_membership,
    make_oauth_client,
    make_placement,
    make_project,
    make_repository,
    make_route,
    make_rule,
    make_token,
    make_type,
    make_user,
    make_workspace,
)

OURS, THEIRS = "Zebra", "Okapi"
"""Stands in the name of every row of the one team and of the other."""

LETTERS = {"v": Role.VIEWER, "a": Role.AUDITOR, "e": Role.EDITOR, "p": Role.APPROVER, "o": Role.OWNER}

Rows = Mapping[str, Model]


@dataclass(frozen=True, slots=True)
class World:
    """`people` by letter, as `rows` says; None is somebody who has not logged in."""

    ours: Rows
    theirs: Rows
    shared: Rows
    people: Mapping[str, User | None]


def make_world() -> World:
    """Writes it all down. The people have their roles at the workspace of the first team alone."""
    shared = make_shared()
    ours, theirs = make_team(OURS, shared), make_team(THEIRS, shared)
    workspace = ours["workspace"]
    assert isinstance(workspace, Workspace)
    people: dict[str, User | None] = {"-": None, "x": make_user("visitor"), "n": make_user("newcomer", staff=True)}
    for letter, role in LETTERS.items():
        person = people[letter] = make_user(f"the-{role.value}", staff=True)
        make_membership(person, role.value, workspace=workspace)
    people["s"] = make_user("the-superuser", staff=True, superuser=True)
    return World(ours, theirs, shared, people)


def make_shared() -> dict[str, Model]:
    """What belongs to no team."""
    return {
        "integrationtype": make_type("zoo", display_name="Zoo"),
        "cataloguescope": CatalogueScope.objects.create(provider="slack", name="zoo", title="Zoo", is_shipped=False),
        "policyrule": make_rule("Zoo policy", is_enabled=False),
        "trailstream": TrailStream.objects.create(name="Zoo", host="logs.example.com", next_attempt_at=timezone.now()),
        "group": Group.objects.create(name="Keepers"),
        "signinprovider": SignInProvider.objects.create(
            slug="zoo", name="Zoo", server_url="https://id.example.com", client_id="zoo", is_enabled=False
        ),
    }


def make_team(word: str, shared: Rows) -> dict[str, Model]:
    """One row of everything that has a place, each with the word in what is shown of it."""
    workspace = make_workspace(f"{word} workspace")
    project = make_project(word.lower(), workspace=workspace, name=f"{word} project")
    rule = shared["policyrule"]
    connector = make_connector(project, "zoo", [f"{word.lower()}.read"])
    client = make_oauth_client(f"{word.lower()}-client", name=f"{word} client", workspace=workspace)
    repository = make_repository(f"{word} repository", workspace=workspace, url=f"https://git.example.com/{word}.git")
    member = make_user(f"{word}-member", staff=True)
    made: dict[str, Model] = {
        "workspace": workspace,
        "project": project,
        "connector": connector,
        "oauthclient": client,
        "repository": repository,
        "placement": make_placement(project, repository),
        "repositoryrun": make_repository_run(repository, word),
        "syncrun": SyncRun.objects.create(project=project, kind="sync", actor_label=word, door="admin", message=word),
        "event": record_event(Actor(word, Door.SHELL), "project.added", project),
        "token": make_token(connector, oauth_client=client, account=f"{word.lower()}@example.com"),
        "consentlink": make_consent_link(connector, oauth_client=client, note=word),
        "incident": make_incident(title=word, workspace=workspace, project=project, connector=connector),
        "alertroute": make_alert_route(word, workspace),
        "policyexception": make_exception(rule, project, reason=word),  # type: ignore[arg-type]
        "reviewcampaign": make_campaign(word, workspace),
        "user": member,
        "membership": make_membership(member, "viewer", workspace=workspace),
        "invitation": make_invitation(f"{word.lower()}@example.com", workspace=workspace, invited_by_label=word),
        "savedview": SavedView.objects.create(name=f"{word} view", owner=member),
        "approvaldemand": ApprovalDemand.objects.create(
            workspace=workspace, environment=Project.Environment.STAGING, subjects=["plan"]
        ),
        "approval": make_approval(word, project),
    }
    keep_ledger(connector)
    made["ledgerentry"] = LedgerEntry.objects.get(connector=connector)
    return made


def make_repository_run(repository: Repository, word: str) -> RepositoryRun:
    return RepositoryRun.objects.create(
        repository=repository,
        kind=RepositoryRun.Kind.READ,
        state=RepositoryRun.State.DONE,
        actor_label=word,
        door="admin",
        message=word,
    )


def make_alert_route(word: str, workspace: Workspace) -> Model:
    route = make_route(f"{word} route", emails=[f"{word.lower()}@example.com"])
    route.workspaces.set([workspace])
    return route


def make_campaign(word: str, workspace: Workspace) -> ReviewCampaign:
    due = timezone.now() + dt.timedelta(days=14)
    return ReviewCampaign.objects.create(name=f"{word} review", workspace=workspace, due_at=due)


def make_approval(word: str, project: Project) -> Approval:
    return Approval.objects.create(
        subject="plan",
        project=project,
        title=f"{word} plan",
        fingerprint=secrets.token_hex(32),
        asked_by_label=word,
        expires_at=timezone.now() + dt.timedelta(days=7),
    )
