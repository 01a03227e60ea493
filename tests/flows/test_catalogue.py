"""The table of integration types."""

from __future__ import annotations

import pytest
from django.utils import timezone

from connectors.core.base44.client import Base44Client
from connectors.core.base44.emulator import Emulator
from connectors.core.catalog import load_catalog
from connectors.core.errors import Refused
from connectors.flows.catalogue import ensure_types, load_catalogue, refresh_offered
from connectors.models import Event, IntegrationType, Workspace
from tests.factories import SHELL

pytestmark = pytest.mark.django_db


def test_every_shipped_type_gets_a_row() -> None:
    load_catalogue(SHELL)
    assert set(IntegrationType.objects.values_list("slug", flat=True)) == set(load_catalog().types)


def test_loading_again_changes_nothing() -> None:
    load_catalogue(SHELL)
    events = Event.objects.count()
    assert not load_catalogue(SHELL)
    assert Event.objects.count() == events


def test_loading_repairs_a_row_that_a_file_brought_in() -> None:
    IntegrationType.objects.create(slug="slack", display_name="slack", is_known=False)
    load_catalogue(SHELL)
    row = IntegrationType.objects.get(slug="slack")
    assert (row.is_known, row.display_name) == (True, load_catalog().types["slack"].display_name)


def test_what_base44_said_of_a_type_survives_loading() -> None:
    fields = [{"name": "tenant", "display_name": "Tenant", "required": True}]
    IntegrationType.objects.create(
        slug="slack", display_name="Slack!", connection_config_fields=fields, offered_at=timezone.now()
    )
    load_catalogue(SHELL)
    row = IntegrationType.objects.get(slug="slack")
    assert (row.display_name, row.connection_config_fields) == ("Slack!", fields)


def test_an_unknown_type_gets_a_row_that_says_so() -> None:
    ensure_types(["brand-new", "slack"])
    assert dict(IntegrationType.objects.values_list("slug", "is_known")) == {"brand-new": False, "slack": True}


def test_types_that_differ_by_capitals_are_two() -> None:
    ensure_types(["slack", "Slack"])
    assert set(IntegrationType.objects.values_list("slug", "is_known")) == {("slack", True), ("Slack", False)}


def test_what_base44_offers_is_taken_over(live_workspace: Workspace, client: Base44Client, base44: Emulator) -> None:
    load_catalogue(SHELL)
    refresh_offered(live_workspace, client, SHELL)
    offered = set(IntegrationType.objects.exclude(offered_at=None).values_list("slug", flat=True))
    assert offered == set(base44.state.integrations)


def test_refreshing_again_changes_nothing_but_the_time(live_workspace: Workspace, client: Base44Client) -> None:
    refresh_offered(live_workspace, client, SHELL)
    assert refresh_offered(live_workspace, client, SHELL) == ()


def test_an_empty_offer_is_no_news(live_workspace: Workspace, client: Base44Client, base44: Emulator) -> None:
    load_catalogue(SHELL)
    base44.state.integrations.clear()
    with pytest.raises(Refused, match="no integration at all"):
        refresh_offered(live_workspace, client, SHELL)
