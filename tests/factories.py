"""Makes rows for tests: every argument has a default that is fine, so that a test names only what it is about."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from connectors.core.actor import Actor, Door
from connectors.core.net import parse
from connectors.core.webhooks import new_secret
from connectors.flows.ledger import note
from connectors.models import (
    AlertRoute,
    ApprovalDemand,
    Connector,
    ConsentLink,
    Incident,
    IntegrationType,
    Invitation,
    Membership,
    OAuthClient,
    Placement,
    PolicyException,
    PolicyRule,
    Project,
    Repository,
    RepositoryFile,
    ScopePeriod,
    Sealed,
    Severity,
    Token,
    Workspace,
)
from connectors.models.grants import forget_grants

SHELL = Actor(label="tests", door=Door.SHELL)
"""Who acts when the test does not care."""

_numbers = itertools.count(1)


def make_user(username: str, *, staff: bool = False, superuser: bool = False) -> User:
    """A user with the password "password"."""
    return User.objects.create_user(
        username, f"{username}@example.com", "password", is_staff=staff, is_superuser=superuser
    )


def make_membership(
    user: User | None = None,
    role: str = "viewer",
    *,
    workspace: Workspace | None = None,
    project: Project | None = None,
    group: Group | None = None,
) -> Membership:
    """Gives the role to the person, or to the group: at the project, at the workspace, with neither everywhere.

    A person whose roles were read already is asked anew.
    """
    made = Membership.objects.create(user=user, group=group, role=role, workspace=workspace, project=project)
    if user is not None:
        forget_grants(user)
    return made


def make_invitation(email: str, **values: Any) -> Invitation:
    """Somebody who was asked to join and can; nobody knows their link."""
    token_hash = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
    values = {"expires_at": timezone.now() + dt.timedelta(days=7), **values}
    return Invitation.objects.create(email=email, token_hash=token_hash, **values)


def make_demand(*subjects: str, workspace: Workspace | None = None, environment: str = "production") -> ApprovalDemand:
    """These need another person's approval in the environment, of the workspace or of all; without any, a plan does."""
    return ApprovalDemand.objects.create(
        workspace=workspace, environment=environment, subjects=list(subjects or ["plan"])
    )


def make_workspace(name: str = "", **values: Any) -> Workspace:
    """A workspace; `token` in the values is stored as an accepted personal access token."""
    token = values.pop("token", "")
    if token:
        values |= {
            "credential_kind": Workspace.CredentialKind.TOKEN,
            "credential": Sealed.of(token),
            "credential_state": Workspace.CredentialState.ACCEPTED,
        }
    values.setdefault("api_url", "http://127.0.0.1:9")  # the discard port: nothing answers there
    return Workspace.objects.create(name=name or f"Workspace {next(_numbers)}", **values)


def make_project(slug: str = "", *, workspace: Workspace | None = None, **values: Any) -> Project:
    """A project in `workspace`, or in one of its own."""
    slug = slug or f"project-{next(_numbers)}"
    values = {"name": slug.replace("-", " ").title(), "app_id": f"app-{slug}", **values}
    return Project.objects.create(slug=slug, workspace=workspace or make_workspace(), **values)


def make_type(slug: str, **values: Any) -> IntegrationType:
    """The integration type of this slug."""
    return IntegrationType.objects.get_or_create(slug=slug, defaults={"display_name": slug.title(), **values})[0]


def make_connector(
    project: Project,
    type_: str = "slack",
    scopes: Iterable[str] = (),
    *,
    registered: Iterable[str] | None = None,
    config: Mapping[str, str] | None = None,
    **values: Any,
) -> Connector:
    """A declared connector; with `registered` scopes Base44 lists it as active with exactly these."""
    if registered is not None:
        seen = {"registered_scopes": list(registered), "registered_status": "active", "registered_at": timezone.now()}
        values = {**seen, **values}
    return Connector.objects.create(
        project=project,
        integration_type=make_type(type_),
        scopes=list(scopes),
        connection_config=dict(config or {}),
        **values,
    )


def make_oauth_client(slug: str = "", *, provider: str = "google", secret: str = "", **values: Any) -> OAuthClient:
    """A client of `provider` that serves every workspace, with a random secret unless one is given."""
    slug = slug or f"client-{next(_numbers)}"
    values = {"name": slug.replace("-", " ").title(), "client_id": f"id-of-{slug}", **values}
    sealed = Sealed.of(secret or secrets.token_urlsafe(24))
    return OAuthClient.objects.create(
        slug=slug, provider=provider, client_secret=sealed, secret_set_at=timezone.now(), **values
    )


def make_token(
    connector: Connector, *, oauth_client: OAuthClient | None = None, access: str = "", refresh: str = "", **values: Any
) -> Token:
    """A fresh token with an hour to live; its texts are random unless they are given."""
    now = timezone.now()
    times = {
        "authorised_at": now,
        "issued_at": now,
        "expires_at": now + dt.timedelta(hours=1),
        "refresh_at": now + dt.timedelta(minutes=45),
    }
    return Token.objects.create(
        connector=connector,
        oauth_client=oauth_client or make_oauth_client(),
        access_token=Sealed.of(access or secrets.token_urlsafe(24)),
        refresh_token=Sealed.of(refresh or secrets.token_urlsafe(24)),
        **{**times, **values},
    )


def make_consent_link(connector: Connector, *, oauth_client: OAuthClient | None = None, **values: Any) -> ConsentLink:
    """An open link whose secret nobody knows: for the portal's own token with a client, else for Base44's consent."""
    kind = ConsentLink.Kind.PORTAL if oauth_client else ConsentLink.Kind.HOSTED
    values = {"expires_at": timezone.now() + dt.timedelta(days=3), **values}
    return ConsentLink.objects.create(
        token_hash=secrets.token_hex(32), connector=connector, kind=kind, oauth_client=oauth_client, **values
    )


def make_period(
    connector: Connector, side: str, scope: str, since: dt.datetime, until: dt.datetime | None = None, **values: Any
) -> ScopePeriod:
    """A time during which a side listed a scope of the connector; with scope "" during which the side was known."""
    if until is not None:
        values = {"ended_through": "project.synced", "ended_by": "tests", **values}
    values = {"begun_through": "project.synced", "begun_by": "tests", **values}
    return ScopePeriod.objects.create(
        project=connector.project,
        project_label=connector.project.name,
        type_slug=connector.integration_type_id,
        side=side,
        scope=scope,
        since=since,
        until=until,
        **values,
    )


def keep_ledger(*connectors: Connector) -> None:
    """Brings the ledger up to date for these connectors, or for all."""
    note([row.pk for row in connectors] or Connector.objects.values_list("pk", flat=True), SHELL, "tests.noted")


def make_fleet(projects: int, connectors: int, *, workspace: Workspace | None = None) -> list[Project]:
    """Many projects with the same number of connectors each, in a few statements: for query counts and speed."""
    workspace = workspace or make_workspace()
    types = [make_type(f"type-{number}") for number in range(connectors)]
    start = next(_numbers) * 1_000_000
    made = Project.objects.bulk_create(
        Project(workspace=workspace, name=f"Fleet {n}", slug=f"fleet-{n}", app_id=f"fleet-app-{n}")
        for n in range(start, start + projects)
    )
    Connector.objects.bulk_create(
        Connector(project=project, integration_type=type_, scopes=["a:read", "b:write"])
        for project in made
        for type_ in types
    )
    return made


def make_incident(key: str = "", **values: Any) -> Incident:
    """An open warning about nothing in particular, that began now."""
    values = {"kind": Incident.Kind.SYNC, "severity": Severity.WARNING, "title": "Something is wrong", **values}
    values = {"opened_at": timezone.now(), **values}
    return Incident.objects.create(key=key or f"made:{next(_numbers)}", **values)


def make_route(name: str = "", *, url: str = "", emails: Iterable[str] = (), **values: Any) -> AlertRoute:
    """A route for everything of every severity: to the webhook at `url`, with a random secret, else by e-mail."""
    values = {"min_severity": Severity.NOTICE, **values}
    if url:
        secret = Sealed.of(new_secret())
        values |= {"channel": "webhook", "url": Sealed.of(url), "url_host": parse(url).host, "secret": secret}
    return AlertRoute.objects.create(
        name=name or f"Route {next(_numbers)}", emails=list(emails) or ["ops@example.com"], **values
    )


def make_repository(name: str = "", *, url: str = "", **values: Any) -> Repository:
    """A repository at a host that does not exist; `token` and `deploy_key` in the values are stored encrypted."""
    number = next(_numbers)
    for secret in ("token", "deploy_key", "webhook_secret"):
        if text := values.pop(secret, ""):
            values[secret] = Sealed.of(text)
    url = url or f"https://git.example.com/team/repository-{number}.git"
    return Repository.objects.create(name=name or f"Repository {number}", url=url, **values)


def make_placement(
    project: Project | None = None, repository: Repository | None = None, path: str = "", **values: Any
) -> Placement:
    """A place for the project in the repository, at its top; what is not given is made."""
    return Placement.objects.create(
        project=project or make_project(), repository=repository or make_repository(), path=path, **values
    )


def make_repository_file(
    placement: Placement, type_: str = "slack", scopes: Iterable[str] | None = (), **values: Any
) -> RepositoryFile:
    """What the repository says of a type: a file with these scopes, or none now (None); never agreed upon."""
    folder = f"{placement.path}/base44/connectors" if placement.path else "base44/connectors"
    listed = None if scopes is None else list(scopes)
    raw = b"" if listed is None else json.dumps({"type": type_, "scopes": listed}, indent=2).encode() + b"\n"
    values = {"name": f"{folder}/{type_}.jsonc", "raw": raw, "read_at": timezone.now(), **values}
    return RepositoryFile.objects.create(
        placement=placement, integration_type=make_type(type_), scopes=listed, **values
    )


def make_rule(name: str = "", **values: Any) -> PolicyRule:
    """A rule in force that blocks whatever the values say; a rule without conditions means every scope."""
    values = {"effect": PolicyRule.Effect.BLOCK, "is_enabled": True, **values}
    return PolicyRule.objects.create(name=name or f"Rule {next(_numbers)}", **values)


def make_exception(rule: PolicyRule, project: Project, **values: Any) -> PolicyException:
    """A granted exception from the rule in this project, for a month, that somebody else asked for."""
    values = {"state": PolicyException.State.GRANTED, "expires_at": timezone.now() + dt.timedelta(days=30), **values}
    values = {"reason": "The importer is being rebuilt.", "owner_label": "ann", "requested_by_label": "ann", **values}
    return PolicyException.objects.create(rule=rule, project=project, **values)
