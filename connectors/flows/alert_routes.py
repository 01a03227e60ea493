"""Who is told: add, change, test and delete alert routes, and make the secrets with which their webhooks are signed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.core.net import parse
from connectors.core.webhooks import new_secret
from connectors.flows.alert_messages import Outcome, compose
from connectors.flows.events import changes, record_event
from connectors.models import AlertDelivery, AlertRoute, Project, Sealed, Workspace

OVERLAP = dt.timedelta(days=1)
"""For how long webhooks are signed with the old secret as well after there is a new one."""

FIELDS = [
    "name",
    "is_enabled",
    "channel",
    "emails",
    "url_host",
    "kinds",
    "min_severity",
    "environments",
    "quiet_from",
    "quiet_until",
    "quiet_timezone",
    "critical_breaks_quiet",
    "says_recovery",
]
"""What a form edits and an event shows. The address of a webhook is a secret: of it only the host is."""


@transaction.atomic
def save_route(
    route: AlertRoute,
    actor: Actor,
    *,
    url: SecretStr | None = None,
    workspaces: Sequence[Workspace] = (),
    projects: Sequence[Project] = (),
) -> SecretStr | None:
    """Stores a new or changed route, and gives the signing secret if one was made: it cannot be read again later.

    `url` None leaves the webhook's address as it is. Whoever changes a route that failed starts anew with it.
    Raises AddressRefusedError for an address that cannot be one.
    """
    stored = AlertRoute.objects.filter(pk=route.pk).first() if route.pk else None
    before = _values(stored) if stored is not None else {}
    if url is not None:
        route.url, route.url_host = Sealed.of(url.get_secret_value()), parse(url.get_secret_value()).host
    secret = None
    if route.channel == AlertRoute.Channel.WEBHOOK and not route.secret:
        secret = SecretStr(new_secret())
        route.secret = Sealed.of(secret.get_secret_value())
    route.failures, route.last_error, route.is_failing = 0, "", False
    route.is_local = bool(workspaces or projects)
    route.save()
    route.workspaces.set(workspaces)
    route.projects.set(projects)
    old, new = changes(before, _values(route) | ({"url": route.url} if url is not None else {}))
    if stored is None:
        record_event(actor, "alert_route.added", route, after=new)
    elif new:
        record_event(actor, "alert_route.changed", route, before=old, after=new)
    return secret


@transaction.atomic
def replace_secret(route: AlertRoute, actor: Actor, now: dt.datetime) -> SecretStr:
    """A new signing secret, shown this once. For a day webhooks carry a signature of each, so that none is refused.

    Raises Refused for a route without webhooks.
    """
    if route.channel != AlertRoute.Channel.WEBHOOK:
        raise Refused("Only webhooks are signed.")
    secret = SecretStr(new_secret())
    route.old_secret, route.old_secret_until = route.secret, now + OVERLAP
    route.secret = Sealed.of(secret.get_secret_value())
    route.save(update_fields=["secret", "old_secret", "old_secret_until"])
    record_event(actor, "alert_route.secret_replaced", route, after={"secret": route.secret})
    return secret


def try_route(route: AlertRoute, actor: Actor) -> Outcome:
    """Sends a test here and now, whether the route is in use or not, and gives what came of it in words."""
    now = timezone.now()
    row = AlertDelivery(route=route, phase=AlertDelivery.Phase.TEST, next_attempt_at=now, attempts=1)
    message = compose(row, now)
    outcome = message.send() if message is not None else Outcome("There is nothing to send.")
    row.state = AlertDelivery.State.SENT if outcome.ok else AlertDelivery.State.GIVEN_UP
    row.error, row.sent_at = "" if outcome.ok else outcome.said[:300], timezone.now() if outcome.ok else None
    with transaction.atomic():
        row.save(force_insert=True)
        if outcome.ok:
            same = AlertRoute.objects.filter(pk=route.pk)
            same.update(last_sent_at=row.sent_at, last_error="", failures=0, is_failing=False)
        record_event(actor, "alert_route.tested", route, note=outcome.said)
    return outcome


@transaction.atomic
def delete_route(route: AlertRoute, actor: Actor) -> None:
    """Forgets the route with its secret and with what was sent on it."""
    record_event(actor, "alert_route.deleted", route, before=_values(route))
    route.delete()


def _values(route: AlertRoute) -> dict[str, Any]:
    found = {name: getattr(route, name) for name in FIELDS}
    for name in ("quiet_from", "quiet_until"):
        found[name] = found[name].isoformat("minutes") if found[name] else None
    places = {"workspaces": route.workspaces, "projects": route.projects}
    return found | {name: sorted(map(str, rows.all())) for name, rows in places.items()}
