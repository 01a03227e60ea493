"""Bulk actions at their limits: archives of one project and of too many, and who may sync from where."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client

from connectors.admin.pages.export_files import MAX_PROJECTS
from connectors.models import Event, Project, SyncRun, Workspace
from tests.admin.asking import path_of
from tests.factories import make_connector


def act(client: Client, model: str, action: str, row: Any, **more: str) -> Any:
    return client.post(path_of(model), {"action": action, "_selected_action": [str(row.pk)], **more})


def test_the_archive_of_one_project_bears_its_name(browser: Client, project: Project) -> None:
    make_connector(project, "gmail", ["a"])
    answer = act(browser, "project", "export_zip", project)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="crm.zip"'


def test_an_archive_of_too_many_projects_is_refused(browser: Client, project: Project, workspace: Workspace) -> None:
    Project.objects.bulk_create(
        Project(workspace=workspace, name=f"P{n}", slug=f"p{n}", app_id=f"p{n}") for n in range(MAX_PROJECTS)
    )
    answer = act(browser, "project", "export_zip", project, select_across="1")
    (message,) = get_messages(answer.wsgi_request)
    assert f"at most {MAX_PROJECTS} projects" in str(message)
    assert not Event.objects.exists()


def test_whoever_may_change_projects_may_sync_them_from_the_list_of_connectors(viewer: User, project: Project) -> None:
    allowed = ["view_connector", "view_project", "change_project"]
    viewer.user_permissions.set(Permission.objects.filter(codename__in=allowed))
    client = Client()
    client.force_login(viewer)
    act(client, "connector", "sync_now", make_connector(project, "gmail", ["a"]))
    assert SyncRun.objects.get().project == project


def test_whoever_may_change_connectors_alone_may_not_sync_their_project(viewer: User, project: Project) -> None:
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_connector", "change_connector"]))
    client = Client()
    client.force_login(viewer)
    act(client, "connector", "sync_now", make_connector(project, "gmail", ["a"]))
    assert not SyncRun.objects.exists()
