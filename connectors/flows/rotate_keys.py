"""Write every stored secret anew with the first of ENCRYPTION_KEYS, so that the keys behind it can go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.apps import apps
from django.db import models

from connectors.core.actor import Actor
from connectors.core.crypto import UnreadableSecretError
from connectors.flows.events import Change, record_events
from connectors.flows.rotate_factors import rotate_factors
from connectors.models import Sealed, Workspace
from connectors.models.fields import SealedField

CHUNK = 500


@dataclass(slots=True)
class Rotation:
    """What became of the secrets: counts, and in words which cannot be read with any key."""

    rewritten: int = 0
    current: int = 0
    unreadable: list[str] = field(default_factory=list)


def sealed_fields() -> Iterator[tuple[type[models.Model], list[str]]]:
    """Every model with secrets, and the names of its fields that hold them."""
    for model in apps.get_models():
        names = [column.name for column in model._meta.concrete_fields if isinstance(column, SealedField)]
        if names:
            yield model, names


def count_secret_rows() -> int:
    """How many rows `rotate_keys` looks at."""
    return sum(model._base_manager.count() for model, _ in sealed_fields())


def rotate_keys(
    actor: Actor, *, write: bool = True, chunk: int = CHUNK, advance: Callable[[int], None] = lambda rows: None
) -> Rotation:
    """Writes anew what another key than the first wrote; with `write` False only counts it as rewritten.

    Can be stopped and run again at any time, beside working workers: each secret is replaced by one statement, only in
    place of what was read, and one that the first key wrote already is passed over.
    """
    result = Rotation()
    for model, names in sealed_fields():
        last = 0
        while rows := list(model._base_manager.filter(pk__gt=last).only(*names).order_by("pk")[:chunk]):
            for row in rows:
                for name in names:
                    _rotate(row, name, result, write=write)
            last = rows[-1].pk
            advance(len(rows))
    for outcome, what in rotate_factors(write=write):
        result.rewritten += outcome == "rewritten"
        result.current += outcome == "current"
        result.unreadable += [what] if outcome == "unreadable" else []
    if write and result.rewritten:
        after = {"rewritten": result.rewritten, "unreadable": len(result.unreadable)}
        record_events(actor, "keys.rotated", [Change(Workspace(), after=after)])
    return result


def _rotate(row: models.Model, name: str, result: Rotation, *, write: bool) -> None:
    sealed: Sealed = getattr(row, name)
    if not sealed:
        return
    if sealed.is_current():
        result.current += 1
        return
    try:
        rotated = sealed.rotated()
    except UnreadableSecretError:
        result.unreadable.append(f"{row._meta.verbose_name} {row.pk}: {name.replace('_', ' ')}")
        return
    rows = type(row)._base_manager.filter(pk=row.pk, **{name: sealed})
    # Somebody may have stored another secret meanwhile: with the first key, as everything that is stored.
    if not write or rows.update(**{name: rotated}):
        result.rewritten += 1
    else:
        result.current += 1
