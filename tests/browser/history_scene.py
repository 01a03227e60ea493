"""A past for the scene's ledger: what came and went before today."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import F

from connectors.models import Connector, Project, ScopePeriod, SyncRun
from tests.factories import make_connector, make_period, make_project, make_workspace

MODIFY = "https://www.googleapis.com/auth/gmail.modify"


def make_past(now: dt.datetime) -> None:
    """The ledger began three weeks ago; since then scopes, an account and a project went."""
    ScopePeriod.objects.update(since=F("since") - dt.timedelta(days=21))
    gmail = Connector.objects.select_related("project").get(project__slug="support-desk", integration_type="gmail")
    run = SyncRun.objects.filter(project=gmail.project).order_by("pk").first()
    days = [now - dt.timedelta(days=count) for count in (12, 9, 5, 2)]
    by: dict[str, Any] = {"begun_by": "ada", "begun_through": "connector.changed"}
    make_period(gmail, "declared", MODIFY, days[0], days[2], ended_through="connector.changed", ended_by="ada", **by)
    found: dict[str, Any] = {"begun_by": "scheduler", "begun_through": "project.observed", "begun_run": run}
    make_period(gmail, "registered", MODIFY, days[1], **found)
    side = ScopePeriod.objects.filter(project=gmail.project, type_slug="gmail", side="registered", scope="").first()
    if side is not None:
        ended: dict[str, Any] = {
            "ended_through": "consent.given",
            "ended_by": "ada",
            "account": "old-inbox@example.com",
        }
        ScopePeriod.objects.filter(pk=side.pk).update(until=days[3], **ended)
        make_period(
            gmail, "registered", "", days[3], account=side.account, begun_by="ada", begun_through="consent.given"
        )
    _deleted(now)


def _deleted(now: dt.datetime) -> None:
    """A project that is gone, with what it had."""
    gone = make_project("old-shop", workspace=make_workspace("Old workspace"), name="Old shop")
    made = make_connector(gone, "slackbot", ["chat:write"])
    for scope in ("", "chat:write"):
        start, end = now - dt.timedelta(days=20), now - dt.timedelta(days=4)
        make_period(made, "declared", scope, start, end, ended_through="project.deleted", ended_by="ada")
    workspace = gone.workspace
    made.delete()
    Project.objects.filter(pk=gone.pk).delete()
    workspace.delete()
