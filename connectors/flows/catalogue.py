"""Keep the table of integration types: from the shipped catalogue, from Base44's own list, and from files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.base44.client import Base44Client
from connectors.core.base44.contract import AvailableIntegration
from connectors.core.catalog import IntegrationTypeInfo, load_catalog
from connectors.core.errors import Refused
from connectors.flows.catalogue_scopes import load_scopes
from connectors.flows.events import changes, record_event
from connectors.models import CatalogueScope, IntegrationType, Workspace

_SHIPPED_FIELDS = ["display_name", "description", "connection_config_fields", "is_known"]
_OFFERED_FIELDS = [*_SHIPPED_FIELDS, "offered_at"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many integration types are new or changed, and how many scopes are new, changed or gone."""

    types: int = 0
    scopes: int = 0

    def __bool__(self) -> bool:
        """True when anything differed."""
        return bool(self.types or self.scopes)


@transaction.atomic
def load_catalogue(actor: Actor) -> Loaded:
    """Brings types and scopes to what the shipped catalogue says. Two reads when nothing differs.

    Where Base44 has said itself what a type needs, its word stays, and so does what the team says of types and scopes.
    """
    stored = IntegrationType.objects.in_bulk()
    rows = [_shipped_row(slug, info, stored.get(slug)) for slug, info in load_catalog().types.items()]
    differing = [row for row in rows if row.slug not in stored or _values(row) != _values(stored[row.slug])]
    _upsert(differing, _SHIPPED_FIELDS)
    loaded = Loaded(len(differing), load_scopes())
    if loaded:
        whole = IntegrationType(display_name="catalogue")
        after = {**_new_and_changed(differing, stored), "scopes": loaded.scopes}
        record_event(actor, "catalogue.loaded", whole, after=after)
    return loaded


def fill_empty_catalogue(actor: Actor) -> None:
    """Loads the shipped catalogue where its types or its scopes have no row yet; otherwise does nothing."""
    types, scopes = IntegrationType.objects.filter(is_known=True), CatalogueScope.objects.filter(is_shipped=True)
    if not types.exists() or not scopes.exists():
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


@transaction.atomic
def note_type(type_: IntegrationType, note: str, actor: Actor) -> None:
    """Stores the team's note on a type, and records it where it differs."""
    stored = IntegrationType.objects.select_for_update().get(pk=type_.pk)
    before, after = changes({"note": stored.team_note}, {"note": note.strip()})
    if after:
        type_.team_note = stored.team_note = note.strip()
        stored.save(update_fields=["team_note"])
        record_event(actor, "catalogue.type_noted", stored, before=before, after=after)


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
