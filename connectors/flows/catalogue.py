"""Keep the table of integration types: from the shipped catalogue, from Base44's own list, and from files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.base44.client import Base44Client
from connectors.core.base44.contract import AvailableIntegration
from connectors.core.catalog import IntegrationTypeInfo, load_catalog
from connectors.core.errors import Refused
from connectors.flows.events import record_event
from connectors.models import IntegrationType, Workspace

_SHIPPED_FIELDS = ["display_name", "description", "connection_config_fields", "is_known"]
_OFFERED_FIELDS = [*_SHIPPED_FIELDS, "offered_at"]


@transaction.atomic
def load_catalogue(actor: Actor) -> int:
    """Brings the table to what the shipped catalogue says; returns how many rows are new or changed.

    Where Base44 has said itself what a type needs, its word stays.
    """
    stored = IntegrationType.objects.in_bulk()
    rows = [_shipped_row(slug, info, stored.get(slug)) for slug, info in load_catalog().types.items()]
    differing = [row for row in rows if row.slug not in stored or _values(row) != _values(stored[row.slug])]
    _upsert(differing, _SHIPPED_FIELDS)
    if differing:
        whole = IntegrationType(display_name="catalogue")
        record_event(actor, "catalogue.loaded", whole, after=_new_and_changed(differing, stored))
    return len(differing)


def fill_empty_catalogue(actor: Actor) -> None:
    """Loads the shipped catalogue into a table that has no row of it yet; otherwise does nothing."""
    if not IntegrationType.objects.filter(is_known=True).exists():
        load_catalogue(actor)


def refresh_offered(workspace: Workspace, client: Base44Client, actor: Actor) -> tuple[IntegrationType, ...]:
    """Takes over what Base44 offers now: `offered_at`, names, and the connection config fields of each type.

    Returns the types that are new or changed. Raises ApiError, and Refused when Base44 offers nothing at all, for an
    empty list is more likely a fault than the truth. Types that Base44 stopped offering keep their row and old time.
    """
    offered = client.available_integrations()
    if not offered:
        raise Refused(f"Base44 lists no integration at all for {workspace}; the catalogue was left as it is.")
    with transaction.atomic():
        stored = IntegrationType.objects.in_bulk()
        rows = [_offered_row(answer, stored.get(answer.integration_type)) for answer in offered]
        _upsert(rows, _OFFERED_FIELDS)
        differing = [row for row in rows if row.slug not in stored or _values(row) != _values(stored[row.slug])]
        if differing:
            record_event(actor, "catalogue.refreshed", workspace, after=_new_and_changed(differing, stored))
    return tuple(differing)


def ensure_types(slugs: Iterable[str]) -> None:
    """Sees to it that each type has a row; one that nobody listed is marked as not known."""
    wanted = set(slugs)
    missing = wanted - set(IntegrationType.objects.filter(slug__in=wanted).values_list("slug", flat=True))
    if not missing:
        return
    known = load_catalog().types
    rows = [
        _shipped_row(slug, known[slug], None)
        if slug in known
        else IntegrationType(slug=slug, display_name=slug, is_known=False)
        for slug in sorted(missing)
    ]
    IntegrationType.objects.bulk_create(rows, ignore_conflicts=True)


def _shipped_row(slug: str, info: IntegrationTypeInfo, stored: IntegrationType | None) -> IntegrationType:
    if stored is not None and stored.offered_at is not None:
        values = {**_values(stored), "is_known": True}
    else:
        values = {
            "display_name": info.display_name,
            "description": info.description,
            "connection_config_fields": [_plain_field(field) for field in info.connection_config_fields],
            "is_known": True,
        }
    return IntegrationType(slug=slug, **values)


def _plain_field(field: Any) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(field).items() if value is not None}


def _offered_row(answer: AvailableIntegration, stored: IntegrationType | None) -> IntegrationType:
    return IntegrationType(
        slug=answer.integration_type,
        display_name=(answer.display_name or (stored.display_name if stored else answer.integration_type))[:100],
        description=answer.description or (stored.description if stored else ""),
        connection_config_fields=[field.model_dump(exclude_none=True) for field in answer.connection_config_fields],
        is_known=True,
        offered_at=timezone.now(),
    )


def _new_and_changed(rows: Iterable[IntegrationType], stored: Mapping[str, IntegrationType]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"new": [], "changed": []}
    for row in rows:
        found["changed" if row.slug in stored else "new"].append(row.slug)
    return found


def _values(row: IntegrationType) -> dict[str, Any]:
    return {field: getattr(row, field) for field in _SHIPPED_FIELDS}


def _upsert(rows: list[IntegrationType], fields: list[str]) -> None:
    IntegrationType.objects.bulk_create(rows, update_conflicts=True, unique_fields=["slug"], update_fields=fields)
