"""Discover: what apps a workspace has at Base44, and projects made from the chosen ones."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils.text import slugify

from connectors.core.actor import Actor
from connectors.core.base44.client import APPS_PER_PAGE, Base44Client
from connectors.core.base44.contract import AppSummary
from connectors.core.errors import ApiError, CredentialError, Refused
from connectors.flows.setup import add_project
from connectors.models import Project, Workspace

MAX_NAME = 100
_ROOM_FOR_NUMBER = 90
"""Characters of a slug, so that `-2` and the like still fit into the column's hundred."""


@dataclass(frozen=True, slots=True)
class FoundApp:
    """One app at Base44; `project` is the portal's project of it, None when there is none yet."""

    app_id: str
    name: str
    description: str = ""
    project: Project | None = None


@dataclass(frozen=True, slots=True)
class Discovery:
    """The apps found, by name. `capped`: Base44 may have more, for its list ends at a full page of 50."""

    apps: tuple[FoundApp, ...]
    capped: bool = False

    @property
    def new(self) -> tuple[FoundApp, ...]:
        """Those without a project."""
        return tuple(app for app in self.apps if app.project is None)


def list_apps(workspace: Workspace, client: Base44Client) -> Discovery:
    """The apps that the workspace's credential reaches. Changes nothing. Raises ApiError.

    A personal access token reaches one workspace. A person's sign-in reaches all of theirs: then each app without a
    project is asked for its workspace, where the Base44 workspace id is known, and those of other ones are left out.
    """
    listed = client.list_apps()
    projects = {project.app_id: project for project in Project.objects.filter(app_id__in=[app.id for app in listed])}
    if workspace.base44_id and workspace.credential_kind == Workspace.CredentialKind.DEVICE:
        kept = [app for app in listed if app.id in projects or _belongs(app, workspace, client)]
    else:
        kept = list(listed)
    apps = [
        FoundApp(app.id, app.name or app.id, (app.user_description or "").strip(), projects.get(app.id)) for app in kept
    ]
    return Discovery(
        tuple(sorted(apps, key=lambda app: (app.name.casefold(), app.app_id))), capped=len(listed) == APPS_PER_PAGE
    )


def choose(discovery: Discovery, app_ids: Sequence[str]) -> tuple[FoundApp, ...]:
    """The apps of these ids. Raises Refused for an id that was not found, and for one that has a project already."""
    by_id = {app.app_id: app for app in discovery.apps}
    if unknown := [app_id for app_id in app_ids if app_id not in by_id]:
        raise Refused(f"Base44 lists no app {', '.join(unknown)} in this workspace.")
    chosen = tuple(by_id[app_id] for app_id in dict.fromkeys(app_ids))
    # Which project it is stays unsaid: it may be one that the person has no business with.
    if taken := [app.app_id for app in chosen if app.project]:
        raise Refused(f"There is a project already for {', '.join(taken)}.")
    return chosen


@transaction.atomic
def create_projects(
    workspace: Workspace, apps: Iterable[FoundApp], actor: Actor, environment: str | None = None
) -> list[Project]:
    """A project for each app, all or none; slugs are made from the names. `environment` None means development.

    Raises Refused when an app has a project already.
    """
    taken = set(Project.objects.values_list("slug", flat=True))
    created = []
    for app in apps:
        slug = free_slug(app, taken)
        taken.add(slug)
        name = app.name[:MAX_NAME].strip() or slug
        created.append(add_project(slug, workspace, app.app_id, environment, actor, name=name))
    return created


def free_slug(app: FoundApp, taken: Container[str]) -> str:
    """A slug from the app's name, else from its id, that is not taken: "Sales CRM" -> `sales-crm`, `sales-crm-2`."""
    base = (slugify(app.name) or f"app-{slugify(app.app_id)}")[:_ROOM_FOR_NUMBER].rstrip("-_")
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug


def _belongs(app: AppSummary, workspace: Workspace, client: Base44Client) -> bool:
    """Whether the app is the workspace's; one that Base44 does not tell of is shown rather than hidden."""
    try:
        owner = client.app(app.id).organization_id
    except CredentialError:
        raise
    except ApiError:
        return True
    return not owner or owner == workspace.base44_id
