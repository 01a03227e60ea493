"""Alerts for the scene: incidents that the rows themselves give, routes in every state, and messages of every kind."""

from __future__ import annotations

import datetime as dt
from typing import Any

from connectors.flows.incidents import watch
from connectors.models import AlertDelivery, AlertRoute, Connector, Incident, Project
from tests import factories

State, Phase = AlertDelivery.State, AlertDelivery.Phase
NO_ANSWER = "hooks.example.com did not answer in time."


def make_alerts(now: dt.datetime) -> tuple[Incident, AlertRoute]:
    """The incident and the route to look at."""
    began = now - dt.timedelta(hours=3)
    routes = [
        factories.make_route("On call", emails=["oncall@example.com", "ada@example.com"], min_severity=2),
        factories.make_route("Chat", url="https://hooks.example.com/x", kinds=["drift", "policy"], failures=2),
        factories.make_route("Old pager", url="https://pager.example.com/x", is_failing=True, failures=7),
        factories.make_route("Night shift", is_enabled=False, environments=["production"]),
    ]
    routes[0].workspaces.add(Project.objects.get(slug="support-desk").workspace_id)
    routes[2].projects.set(Project.objects.order_by("pk")[:4])
    AlertRoute.objects.exclude(failures=0).update(last_error=NO_ANSWER, last_sent_at=now - dt.timedelta(days=2))
    watch(began, whole=True)
    AlertDelivery.objects.all().delete()
    Incident.objects.filter(kind=Incident.Kind.TOKEN).update(closed_at=now - dt.timedelta(hours=1))
    gmail = Connector.objects.get(project__slug="support-desk", integration_type="gmail")
    shown = factories.make_incident(
        f"drift:{gmail.pk}-example",
        kind=Incident.Kind.DRIFT,
        severity=2,
        is_terminal=True,
        title="Scopes differ: Gmail in Support desk",
        detail="Allowed and not declared: https://mail.google.com/.",
        connector=gmail,
        project=gmail.project,
        workspace_id=gmail.project.workspace_id,
        opened_at=began,
    )
    _messages(shown, routes, began, now)
    return shown, routes[1]


def _messages(incident: Incident, routes: list[AlertRoute], began: dt.datetime, now: dt.datetime) -> None:
    oncall, chat, pager, _ = routes
    other = Incident.objects.exclude(pk=incident.pk)[0]
    digest = AlertDelivery.objects.create(
        route=chat, phase=Phase.OPENED, state=State.SENT, sent_at=began, next_attempt_at=began
    )
    later = now + dt.timedelta(minutes=20)
    messages: list[tuple[AlertRoute, Incident, AlertDelivery.State, dict[str, Any]]] = [
        (oncall, incident, State.SENT, {"sent_at": began}),
        (chat, incident, State.QUEUED, {"attempts": 2, "error": NO_ANSWER, "next_attempt_at": later}),
        (pager, incident, State.GIVEN_UP, {"attempts": 7, "error": NO_ANSWER}),
        (oncall, other, State.DIGESTED, {"digest": digest}),
        (chat, other, State.DROPPED, {}),
    ]
    for route, about, state, values in messages:
        AlertDelivery.objects.create(
            route=route, incident=about, phase=Phase.OPENED, state=state, **{"next_attempt_at": began, **values}
        )
    AlertDelivery.objects.create(
        route=chat, phase=Phase.TEST, state=State.GIVEN_UP, error=NO_ANSWER, next_attempt_at=now, attempts=1
    )
