"""Consent that Base44 hosts: the link goes to a browser, the outcome to the rows."""

from __future__ import annotations

import pytest
from django.utils import timezone

from connectors.core.base44.client import Base44Client
from connectors.core.base44.emulator import Emulator
from connectors.core.errors import ApiError, Refused
from connectors.flows import consent
from connectors.models import Connector, Event, Project
from tests.factories import SHELL, make_connector

from .conftest import APP

Consent = Connector.Consent


@pytest.fixture
def connector(live_project: Project) -> Connector:
    return make_connector(live_project, "slackbot", ["chat:write", "users:read"])


def poll(connector: Connector, client: Base44Client) -> Connector:
    connector.refresh_from_db()
    consent.poll_consent(connector, client, SHELL)
    connector.refresh_from_db()
    return connector


def test_an_approved_consent_ends_in_sync(base44: Emulator, connector: Connector, client: Base44Client) -> None:
    assert consent.ask_consent(connector, client, SHELL) is not None
    base44.consent(APP, "slackbot")
    row = poll(connector, client)
    assert (row.consent, row.sync_state) == (Consent.NONE, Connector.SyncState.IN_SYNC)


def test_a_consent_counts_as_given_only_with_what_base44_then_lists(
    base44: Emulator, connector: Connector, client: Base44Client
) -> None:
    consent.ask_consent(connector, client, SHELL)
    base44.consent(APP, "slackbot")
    base44.fail("GET", "/list", status=400)
    with pytest.raises(ApiError):
        poll(connector, client)
    connector.refresh_from_db()
    assert connector.consent == Consent.PENDING
    row = poll(connector, client)
    assert (row.consent, row.sync_state) == (Consent.NONE, Connector.SyncState.IN_SYNC)


def test_fewer_scopes_than_asked_show_as_a_difference(
    base44: Emulator, connector: Connector, client: Base44Client
) -> None:
    consent.ask_consent(connector, client, SHELL)
    base44.consent(APP, "slackbot", approve=["chat:write"])
    row = poll(connector, client)
    assert row.sync_state == Connector.SyncState.DIFFERS
    assert "users:read" in row.sync_note


def test_a_denied_consent_is_failed_and_needs_attention(
    base44: Emulator, connector: Connector, client: Base44Client
) -> None:
    consent.ask_consent(connector, client, SHELL)
    base44.consent(APP, "slackbot", approve=False)
    row = poll(connector, client)
    assert (row.consent, row.needs_attention) == (Consent.FAILED, True)


def test_an_undecided_consent_stays_pending(connector: Connector, client: Base44Client) -> None:
    consent.ask_consent(connector, client, SHELL)
    assert poll(connector, client).consent == Consent.PENDING


def test_an_abandoned_consent_is_given_up(connector: Connector, client: Base44Client) -> None:
    consent.ask_consent(connector, client, SHELL)
    Connector.objects.update(consent_asked_at=timezone.now() - consent.GIVE_UP_AFTER * 2)
    assert poll(connector, client).consent == Consent.GIVEN_UP


def test_a_connector_that_is_connected_already_gets_no_link(
    base44: Emulator, connector: Connector, client: Base44Client
) -> None:
    base44.register(APP, "slackbot", ["chat:write", "users:read"])
    assert consent.ask_consent(connector, client, SHELL) is None
    connector.refresh_from_db()
    assert connector.sync_state == Connector.SyncState.IN_SYNC


def test_somebody_elses_connection_is_refused_by_name(
    base44: Emulator, connector: Connector, client: Base44Client
) -> None:
    base44.register(APP, "slackbot", ["chat:write", "users:read"], account="ben@example.com")
    with pytest.raises(Refused, match=r"ben@example\.com"):
        consent.ask_consent(connector, client, SHELL)


def test_the_answer_to_an_older_link_does_not_settle_the_newer_one(
    base44: Emulator, connector: Connector, client: Base44Client
) -> None:
    consent.ask_consent(connector, client, SHELL)
    first = Connector.objects.get(pk=connector.pk)
    base44.consent(APP, "slackbot", approve=False)
    consent.ask_consent(connector, client, SHELL)
    consent.poll_consent(first, client, SHELL)
    connector.refresh_from_db()
    assert connector.consent == Consent.PENDING


def test_the_link_is_in_no_row(base44: Emulator, connector: Connector, client: Base44Client) -> None:
    link = consent.ask_consent(connector, client, SHELL)
    assert link is not None
    rows = [*Connector.objects.values(), *Event.objects.values()]
    assert link.get_secret_value() not in repr(rows)
