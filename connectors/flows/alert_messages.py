"""One message ready to be sent: put together with the database at hand, sent without it."""

from __future__ import annotations

import datetime as dt
import json
import smtplib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db.models import Count
from django.urls import reverse

from connectors.core import webhooks
from connectors.core.crypto import UnreadableSecretError
from connectors.core.net import Allowed
from connectors.core.webhooks import WebhookError
from connectors.flows import alert_words as words
from connectors.models import AlertDelivery, AlertRoute, Incident

Phase, State = AlertDelivery.Phase, AlertDelivery.State

MAIL_TIMEOUT = 10
"""Seconds that the mail server may take for one step."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt, `said` in words. `permanent`, `gone` and `retry_after` as of `WebhookError`."""

    said: str
    ok: bool = False
    permanent: bool = False
    gone: bool = False
    retry_after: dt.timedelta | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A row of the queue with what it takes to send it; `send` touches no database and raises no error."""

    row: AlertDelivery
    send: Callable[[], Outcome]


@dataclass(frozen=True, slots=True)
class _Content:
    """What a message says, both ways."""

    subject: str
    text: str
    type: str
    data: dict[str, Any]


def compose(row: AlertDelivery, now: dt.datetime) -> Message | None:
    """The message of a row with its route and incident loaded; None when nobody needs it any more."""
    if row.phase == Phase.TEST:
        content: _Content | None = _of_test(row.route)
    elif row.incident is not None:
        content = _of_incident(row, row.incident)
    else:
        content = _of_digest(row)
    return None if content is None else Message(row, _sender(row, content, now))


def _of_test(route: AlertRoute) -> _Content:
    text = f"This is a test of the alert route “{route.name}”. Nothing is wrong, and there is nothing to do."
    return _Content(f"Test: {route.name}", text, "test", {"route": route.name})


def _of_incident(row: AlertDelivery, incident: Incident) -> _Content | None:
    is_over = incident.closed_at is not None
    if row.phase == Phase.OPENED and is_over and not row.attempts:
        return None
    if row.phase == Phase.RECOVERED and not is_over:
        return None
    project, connector = incident.project, incident.connector
    where = " › ".join(str(part) for part in (incident.workspace, project) if part is not None)
    names = {
        "workspace": incident.workspace.name if incident.workspace else None,
        "project": project.slug if project else None,
        "environment": project.environment if project else None,
        "integration_type": connector.integration_type_id if connector else None,
    }
    return _Content(
        words.subject_of(incident, row.phase),
        words.text_of(incident, row.phase, where),
        f"incident.{row.phase}",
        {"incident": words.incident_json(incident, names)},
    )


def _of_digest(row: AlertDelivery) -> _Content | None:
    """Those that are still as they were when they were gathered; the others fall out of the summary."""
    members = row.members.filter(state=State.DIGESTED)
    if not row.attempts:
        passed = members.filter(incident__closed_at__isnull=row.phase == Phase.RECOVERED)
        passed.update(state=State.DROPPED)
    counted = members.order_by().values_list("incident__kind").annotate(count=Count("pk")).order_by("-count")
    kinds = dict(counted)
    if not kinds:
        return None
    rows = Incident.objects.filter(deliveries__in=members).order_by("-severity", "opened_at", "pk")
    first = list(rows[: words.FIRST])
    count = sum(kinds.values())
    data = {
        "count": count,
        "kinds": kinds,
        "first": [words.incident_json(incident, {}) for incident in first],
        "url": words.link(reverse("admin:connectors_incident_changelist")),
    }
    subject = words.summary_subject(count, row.phase)
    return _Content(subject, words.summary_text(kinds, first, row.phase), f"digest.{row.phase}", data)


def _sender(row: AlertDelivery, content: _Content, now: dt.datetime) -> Callable[[], Outcome]:
    route, message_id = row.route, str(row.pk)
    if route.channel == AlertRoute.Channel.EMAIL:
        to = list(route.emails)
        return lambda: _mail(content, to, message_id)
    try:
        url, keys = route.url.reveal(), _keys(route, now)
    except UnreadableSecretError:
        unreadable = Outcome("The address or secret cannot be read with the portal's keys.", permanent=True)
        return lambda: unreadable
    allowed = Allowed.of(settings.ALERT_ALLOWED_PRIVATE_HOSTS)
    body = json.dumps(
        {"type": content.type, "timestamp": now.isoformat(), "text": content.subject, "data": content.data},
        ensure_ascii=False,
    ).encode()
    return lambda: _call(url, body, keys, message_id, now, allowed)


def _keys(route: AlertRoute, now: dt.datetime) -> list[str]:
    """The route's secret, and the one before it while the receiver may not have the new one."""
    keys = [route.secret.reveal()]
    if route.old_secret and route.old_secret_until is not None and route.old_secret_until > now:
        keys.append(route.old_secret.reveal())
    return keys


def _call(url: str, body: bytes, keys: Sequence[str], message_id: str, now: dt.datetime, allowed: Allowed) -> Outcome:
    try:
        status = webhooks.send(url, body, keys=keys, message_id=message_id, now=now, allowed=allowed)
    except WebhookError as error:
        return Outcome(str(error), permanent=error.permanent, gone=error.gone, retry_after=error.retry_after)
    return Outcome(f"The receiver took it (HTTP {status}).", ok=True)


def _mail(content: _Content, to: Sequence[str], message_id: str) -> Outcome:
    if not settings.EMAIL_CONFIGURED:
        return Outcome("The portal has no mail server: whoever runs it has to set EMAIL_URL.", permanent=True)
    if not to:
        return Outcome("The route has no e-mail address.", permanent=True)
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("> ") or "localhost"
    headers = {"Message-ID": f"<{message_id}@{domain}>", "Auto-Submitted": "auto-generated"}
    try:
        connection = get_connection(timeout=MAIL_TIMEOUT)
        EmailMessage(content.subject, content.text, None, list(to), headers=headers, connection=connection).send()
    except smtplib.SMTPAuthenticationError:
        return Outcome("The mail server does not accept the portal's user name and password.")
    except smtplib.SMTPRecipientsRefused as error:
        final = all(500 <= code < 600 for code, _ in error.recipients.values())
        return Outcome("The mail server refuses every one of the addresses.", permanent=final)
    except smtplib.SMTPResponseException as error:
        code = error.smtp_code
        return Outcome(f"The mail server refuses the message ({code}).", permanent=500 <= code < 600)
    except (OSError, smtplib.SMTPException):
        return Outcome("The mail server could not be reached.")
    except ValueError:
        return Outcome("The message could not be written as an e-mail: is every address right?", permanent=True)
    return Outcome("The mail server took it.", ok=True)
