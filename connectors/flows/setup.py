"""Add workspaces and projects. Asking for the same thing again is fine; asking for something else is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import models, transaction

from connectors.core.actor import Actor
from connectors.core.crypto import UnreadableSecretError
from connectors.core.errors import Refused
from connectors.flows.catalogue import fill_empty_catalogue
from connectors.flows.credentials import set_token
from connectors.flows.events import record_event
from connectors.models import Project, Workspace


@transaction.atomic
def add_workspace(
    name: str,
    api_url: str | None,
    token: str | None,
    actor: Actor,
    *,
    plan: str | None = None,
    base44_id: str | None = None,
) -> Workspace:
    """The workspace of this name, made when there is none; a `token` that is not None replaces the stored one.

    None for any other value means "not said": the setting BASE44_API_URL, the smallest plan and no id for a new
    workspace, whatever is stored for one that is there.
    Raises Refused when a workspace of this name has another address, plan or Base44 id, or when the token cannot be
    one; ValidationError for values that do not fit.
    """
    said = _said(api_url=api_url.rstrip("/") if api_url else None, plan=plan, base44_id=base44_id)
    workspace = Workspace.objects.filter(name=name).first()
    if workspace is None:
        workspace = Workspace(name=name, **{"api_url": settings.BASE44_API_URL.rstrip("/"), **said})
        workspace.full_clean()
        workspace.save(force_insert=True)
        fill_empty_catalogue(actor)
        shown = {key: getattr(workspace, key) for key in ("name", "api_url", "plan", "base44_id")}
        record_event(actor, "workspace.added", workspace, after=shown)
    else:
        _refuse_differences("workspace", name, workspace, said)
    if token is not None and token.strip() != _stored_token(workspace):
        set_token(workspace, token, actor)
    return workspace


@transaction.atomic
def add_project(
    slug: str,
    workspace: Workspace,
    app_id: str,
    environment: str | None,
    actor: Actor,
    *,
    name: str | None = None,
) -> Project:
    """The project of this slug, made when there is none; its name defaults to the slug.

    `environment` None means "not said": development for a new project.
    Raises Refused when the slug stands for another app, workspace, environment or name already, or when another
    project has the app; ValidationError for values that do not fit.
    """
    said = {"workspace": workspace, "app_id": app_id, **_said(environment=environment, name=name)}
    project = Project.objects.select_related("workspace").filter(slug=slug).first()
    if project is not None:
        _refuse_differences("project", slug, project, said)
        return project
    owner = Project.objects.filter(app_id=app_id).first()
    if owner is not None:
        raise Refused(f"The app {app_id} belongs to the project {owner.slug} already.")
    project = Project(slug=slug, **{"name": slug, **said})
    project.full_clean()
    project.save(force_insert=True)
    shown = {key: getattr(project, key) for key in ("slug", "name", "app_id", "environment")}
    record_event(actor, "project.added", project, after={"workspace": workspace.name, **shown})
    return project


def _said(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _refuse_differences(noun: str, key: str, row: models.Model, said: Mapping[str, Any]) -> None:
    """Raises Refused naming each value that differs from what is stored."""
    differing = [
        f"{row._meta.get_field(field).verbose_name} {getattr(row, field) or '(none)'}, not {value or '(none)'}"  # type: ignore[union-attr]
        for field, value in said.items()
        if getattr(row, field) != value
    ]
    if differing:
        raise Refused(f"There is a {noun} {key} already, with {'; '.join(differing)}. Change it in the portal.")


def _stored_token(workspace: Workspace) -> str:
    """The personal access token that is stored, "" when there is none or its encryption key is gone."""
    if workspace.credential_kind != Workspace.CredentialKind.TOKEN:
        return ""
    try:
        return str(workspace.credential.reveal())
    except UnreadableSecretError:
        return ""
