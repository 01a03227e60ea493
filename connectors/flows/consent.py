"""Consent that Base44 hosts: ask for a link, hand it to a browser once, and watch until somebody has decided."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor
from connectors.core.base44.client import Base44Client
from connectors.core.base44.contract import SetScopesAnswer
from connectors.core.errors import ApiError, Refused
from connectors.core.specs import STRIPE
from connectors.flows import ledger
from connectors.flows.apply import refusal_in_words
from connectors.flows.approvals import ApprovalNeeded, demanded
from connectors.flows.events import record_event
from connectors.flows.observe import observe
from connectors.flows.plan import look_at
from connectors.flows.policies import refuse_broken
from connectors.models import Connector, Project
from connectors.models.approval import Subject
from connectors.models.connector import ConnectorQuerySet

Consent = Connector.Consent

GIVE_UP_AFTER = dt.timedelta(minutes=10)
"""An abandoned link stays PENDING at Base44 for ever, so the portal stops to ask some time."""

POLL_EVERY = dt.timedelta(seconds=2)
FORGOTTEN_AFTER = dt.timedelta(seconds=30)
"""A pending consent that nobody has polled for so long lost its task with a killed worker."""


def refuse_undeclared(connector: Connector) -> None:
    """Raises Refused for a connector that only Base44 has: there is nothing to authorise."""
    if not connector.is_declared:
        raise Refused(f"The portal does not ask for {connector}, so there is nothing to authorise.")


def refuse_unapproved(connector: Connector) -> None:
    """Raises ApprovalNeeded for scopes and settings that no plan has set, where plans need another person's approval.

    Asking for a link sets them at Base44: without this, it would be a way around the approval.
    """
    config = connector.last_set_config or {}
    was_set = connector.last_set_scopes == connector.scopes and config == connector.connection_config
    has_them = connector.registered_scopes is not None and set(connector.registered_scopes) == set(connector.scopes)
    if was_set or (has_them and config == connector.connection_config):
        return
    if demanded(connector.project, Subject.PLAN):
        raise ApprovalNeeded(
            f"What the portal declares for {connector} was not applied yet, and applying a plan needs another person's "
            "approval here. Ask for it on the page of the plan; authorise it when the plan is applied."
        )


def refuse_without_page(connector: Connector) -> None:
    """Raises Refused for the one type that Base44 has no consent page for."""
    if connector.integration_type_id == STRIPE:
        raise Refused("Stripe has no consent page: Base44 sets it up when a plan is applied.")


def ask_consent(connector: Connector, client: Base44Client, actor: Actor) -> SecretStr | None:
    """Base44's one-use link for this connector's declared scopes; None when it turned out connected already.

    The link is a credential: hand it to the person's browser, and keep it nowhere. Raises Refused when Base44
    declines (another person's connection, say), PolicyRefused when a rule stops what Base44 does not have yet,
    ApprovalNeeded for what a plan has not set yet where plans need one, and ApiError when it cannot be asked.
    """
    refuse_undeclared(connector)
    refuse_unapproved(connector)
    project = connector.project
    refuse_broken(project, connector.integration_type_id, connector.scopes, connector.registered_scopes)
    answer = client.set_scopes(
        project.app_id, connector.integration_type_id, connector.scopes, connector.connection_config or None
    )
    if answer.error:
        raise Refused(refusal_in_words(answer))
    _note_asked(connector, answer, actor)
    if answer.redirect_url is None:
        observe({project: look_at(project, client)}, actor, timezone.now())
    return answer.redirect_url


def poll_consent(connector: Connector, client: Base44Client, actor: Actor) -> Consent:
    """Asks Base44 once how far the consent has come, stores it, and returns where it stands now.

    On ACTIVE the connector is compared before anything is said of it: a person may have approved fewer scopes.
    """
    if connector.consent != Consent.PENDING:
        return Consent(connector.consent)
    project, now = connector.project, timezone.now()
    overdue = connector.consent_asked_at is None or now - connector.consent_asked_at > GIVE_UP_AFTER
    try:
        status = client.connection_status(
            project.app_id, connector.integration_type_id, connector.consent_connection_id
        )
    except ApiError:
        if not overdue:
            raise
        status = ""
    if status == "ACTIVE":
        seen = look_at(project, client)
        with transaction.atomic():
            # At once: whoever watches stops as soon as nothing is pending. The project's lock first, as everywhere.
            Project.objects.select_for_update(of=("self",), no_key=True).get(pk=project.pk)
            _settle(connector, Consent.NONE, "", actor)
            observe({project: seen}, _decided_by(connector, actor), now, through="consent.given")
        return Consent.NONE
    if status == "FAILED":
        return _settle(connector, Consent.FAILED, "It was denied, or the provider reported an error.", actor)
    if overdue:
        minutes = int(GIVE_UP_AFTER.total_seconds() // 60)
        return _settle(connector, Consent.GIVEN_UP, f"Nobody finished it within {minutes} minutes.", actor)
    _pending(connector).update(consent_polled_at=now)
    return Consent.PENDING


def forgotten_consents(now: dt.datetime) -> list[int]:
    """Ids of connectors whose pending consent nobody polls any more."""
    rows = Connector.objects.filter(consent=Consent.PENDING, consent_polled_at__lt=now - FORGOTTEN_AFTER)
    return list(rows.values_list("pk", flat=True)[:500])


@transaction.atomic
def _note_asked(connector: Connector, answer: SetScopesAnswer, actor: Actor) -> None:
    now = timezone.now()
    waits = answer.redirect_url is not None
    connector.consent = Consent.PENDING if waits else Consent.NONE
    connector.consent_note = "Waiting for somebody to decide on Base44's page." if waits else ""
    connector.consent_connection_id = answer.connection_id or ""
    connector.consent_asked_at, connector.consent_polled_at = now, now
    connector.consent_asked_by = actor.label[:200]
    connector.last_set_scopes, connector.last_set_config = connector.scopes, connector.connection_config
    connector.save(
        update_fields=[
            "consent",
            "consent_note",
            "consent_connection_id",
            "consent_asked_at",
            "consent_asked_by",
            "consent_polled_at",
            "last_set_scopes",
            "last_set_config",
        ]
    )
    record_event(actor, "consent.asked", connector, after={"scopes": connector.scopes})


@transaction.atomic
def _settle(connector: Connector, consent: Consent, note: str, actor: Actor) -> Consent:
    settled = _pending(connector).update(consent=consent, consent_note=note, needs_attention=consent != Consent.NONE)
    connector.refresh_from_db(fields=["consent", "consent_note", "needs_attention"])
    if settled:
        verb = "consent.given" if consent == Consent.NONE else "consent.failed"
        record_event(actor, verb, connector, note=note)
        if consent == Consent.NONE:
            ledger.note([connector.pk], actor, verb)
    return Consent(connector.consent)


def _decided_by(connector: Connector, actor: Actor) -> Actor:
    """The worker that sees a consent given acts for the person who asked for it."""
    return Actor(connector.consent_asked_by, actor.door) if connector.consent_asked_by else actor


def _pending(connector: Connector) -> ConnectorQuerySet:
    """This very consent, while it is pending: one that was asked for anew is not settled by the old one's answer."""
    return Connector.objects.filter(
        pk=connector.pk, consent=Consent.PENDING, consent_connection_id=connector.consent_connection_id
    )
