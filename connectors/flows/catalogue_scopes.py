"""Keep the table of scopes at what the shipped catalogue says, without touching what the team says."""

from __future__ import annotations

from typing import Any

from connectors.core.catalog import ScopeInfo, load_catalog
from connectors.core.catalog.providers import Provider, providers
from connectors.models import CatalogueScope, Connector, Sensitivity

_KEY = ["provider", "name"]
_SHIPPED = [
    "title",
    "access",
    "sensitivity",
    "provider_class",
    "types",
    "facts",
    "source",
    "confidence",
    "is_shipped",
]
_FACTS = ["implies", "aliases", "auto_added", "never_reported", "deprecated", "admin_consent", "personal_account"]


def load_scopes() -> int:
    """Brings the shipped columns to what the catalogue says; returns how many rows are new, changed or gone.

    A scope that the catalogue no longer has stays where the team says something of it. One read when nothing differs;
    otherwise the ledger's entries of the providers concerned are made anew by the next sweep. Call it in a transaction.
    """
    stored = {(row.provider, row.name): row for row in CatalogueScope.objects.all()}
    wanted = {
        (found.id, info.name): _row(found, info)
        for found in providers()
        for info in load_catalog().provider_scopes(found.types[0].slug)
    }
    differing = [row for key, row in wanted.items() if key not in stored or _values(row) != _values(stored[key])]
    gone = [row for key, row in stored.items() if row.is_shipped and key not in wanted]
    CatalogueScope.objects.bulk_create(
        differing, update_conflicts=True, unique_fields=_KEY, update_fields=_SHIPPED, batch_size=500
    )
    _let_go(gone)
    if stored:
        _outdate_ledger({row.provider for row in [*differing, *gone]})
    return len(differing) + len(gone)


def _row(found: Provider, info: ScopeInfo) -> CatalogueScope:
    known = {key: getattr(info, key) for key in _FACTS}
    return CatalogueScope(
        provider=found.id,
        name=info.name,
        title=info.title,
        access=info.access.value,
        sensitivity=Sensitivity(info.sensitivity.rank),
        provider_class=info.provider_class or "",
        types=list(info.types),
        facts={key: list(known[key]) if isinstance(known[key], tuple) else True for key in _FACTS if known[key]},
        source=info.source or "",
        confidence=info.confidence or "",
    )


def _values(row: CatalogueScope) -> dict[str, Any]:
    return {field: getattr(row, field) for field in _SHIPPED}


def _let_go(rows: list[CatalogueScope]) -> None:
    """Without a shipped sensitivity, because the ledger knows none either once the catalogue has dropped the scope."""
    kept = [row.pk for row in rows if row.is_said_by_the_team]
    CatalogueScope.objects.filter(pk__in=kept).update(is_shipped=False, sensitivity=None)
    CatalogueScope.objects.filter(pk__in=[row.pk for row in rows if row.pk not in kept]).delete()


def _outdate_ledger(ids: set[str]) -> None:
    """Verdicts and their reasons rest on the catalogue, so that any difference may change them."""
    types = [info.slug for found in providers() if found.id in ids for info in found.types]
    if types:
        Connector.objects.filter(integration_type__in=types).exclude(ledger_at=None).update(ledger_at=None)
