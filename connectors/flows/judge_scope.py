"""What the team says of scopes: how much harm one can do here, a note on it, and scopes that the catalogue lacks."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.catalog import load_catalog
from connectors.core.catalog.providers import Provider, provider
from connectors.core.errors import Refused
from connectors.flows import policies
from connectors.flows.events import changes, record_event
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import CatalogueScope, LedgerEntry, Sensitivity


@transaction.atomic
def judge_scope(
    scope: CatalogueScope, actor: Actor, *, sensitivity: int | None, note: str, title: str | None = None
) -> None:
    """Stores what the team says of a scope; None and "" take its words back, so that the shipped ones count again.

    The ledger's entries of the scope get the sensitivity that counts now, and their projects' policies are looked at
    again. `title` is kept only for a scope that the catalogue does not know, whose words are the team's alone.
    """
    stored = CatalogueScope.objects.select_for_update().get(pk=scope.pk)
    before = _said(stored)
    stored.team_sensitivity, stored.team_note = sensitivity, note.strip()
    if title is not None and not stored.is_shipped:
        stored.title = title.strip()
    old, new = changes(before, _said(stored))
    if not new:
        return
    _sign(stored, actor)
    stored.save(update_fields=["team_sensitivity", "team_note", "title", "team_changed_at", "team_changed_by"])
    record_event(actor, "scope.judged", stored, before=old, after=new)
    if "sensitivity" in new:
        _tell_ledger(stored)


@transaction.atomic
def add_scope(scope: CatalogueScope, actor: Actor) -> None:
    """Stores a scope that the catalogue does not know, with what the team says of it.

    Raises Refused when the provider is unknown, or when the catalogue knows the scope under this or another name.
    """
    found = provider(scope.provider)
    if found is None:
        raise Refused(f"The catalogue knows no provider {scope.provider!r}.")
    refuse_known(found, scope.name)
    scope.is_shipped, scope.sensitivity = False, None
    scope.types = [info.slug for info in found.types]
    _sign(scope, actor)
    scope.save(force_insert=True)
    record_event(actor, "scope.added", scope, after={"provider": scope.provider, **_said(scope)})
    _tell_ledger(scope)


@transaction.atomic
def forget_scope(scope: CatalogueScope, actor: Actor) -> None:
    """Deletes a scope that only the team knows; its sensitivity is then unknown again. Raises Refused for others."""
    if scope.is_shipped:
        raise Refused(f"The catalogue knows {scope.name}: it can be set back, not deleted.")
    record_event(actor, "scope.deleted", scope, before={"provider": scope.provider, **_said(scope)})
    CatalogueScope.objects.filter(pk=scope.pk).delete()
    _tell_ledger(scope)


def refuse_known(found: Provider, name: str) -> None:
    """Raises Refused when the catalogue knows this name, or another one for the same scope."""
    info = load_catalog().scope(found.types[0].slug, name)
    if info is None:
        return
    if info.name == name:
        raise Refused(f"The catalogue knows {name} already: search for it in the list.")
    if info.name.endswith(":*"):
        return
    raise Refused(f"{name} is another name of {info.name}, which the catalogue knows: search for that in the list.")


def _said(scope: CatalogueScope) -> dict[str, str]:
    """What an event shows of it."""
    level = "" if scope.team_sensitivity is None else str(Sensitivity(scope.team_sensitivity).label)
    return {"sensitivity": level, "note": scope.team_note, **({} if scope.is_shipped else {"title": scope.title})}


def _sign(scope: CatalogueScope, actor: Actor) -> None:
    scope.team_changed_at, scope.team_changed_by_id = timezone.now(), actor.user_id


def _tell_ledger(scope: CatalogueScope) -> None:
    """Brings the sensitivity of the ledger's entries to what counts now."""
    found = provider(scope.provider)
    level = ScopeFacts().sensitivity(found.types[0].slug, scope.name) if found else scope.effective_sensitivity
    entries = _entries_of(scope).exclude(sensitivity=level)
    projects = set(entries.order_by().values_list("project_id", flat=True).distinct())
    entries.update(sensitivity=level)
    policies.recheck(projects)


def _entries_of(scope: CatalogueScope) -> QuerySet[LedgerEntry]:
    """A name that ends in `:*` stands for all with its beginning, except those that the team judges by themselves."""
    entries = LedgerEntry.objects.filter(provider=scope.provider)
    if not scope.name.endswith(":*"):
        return entries.filter(scope=scope.name)
    own = (
        CatalogueScope.objects.filter(provider=scope.provider, team_sensitivity__isnull=False)
        .exclude(pk=scope.pk)
        .values("name")
    )
    return entries.filter(scope__startswith=scope.name[:-1]).exclude(scope__in=own)
