"""What a list was narrowed to, in words: for the head of a report, and for the record of its download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from connectors.models.visibility import VisibleQuerySet


def filters_in_words(changes: Any, user: AbstractBaseUser | AnonymousUser) -> str:
    """`Verdict: Missing; Search: mail`, or "" for the whole list. `changes` is the list's ChangeList.

    Rows that a filter is about are named only if the person may know of them.
    """
    parts = [f"{spec.title}: {chosen}" for spec in changes.filter_specs if (chosen := _chosen(spec, user))]
    parts += [f"search: {changes.query}"] if changes.query else []
    return "; ".join(f"{part[:1].upper()}{part[1:]}" for part in parts)


def _chosen(spec: Any, user: AbstractBaseUser | AnonymousUser) -> str:
    values = [str(value) for value in _flat(spec.used_parameters.values()) if value not in ("", None)]
    labels = _labels(spec, values, user) if values else {}
    return ", ".join(labels.get(value, value) for value in values)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list | tuple) else [value]


def _labels(spec: Any, values: list[str], user: AbstractBaseUser | AnonymousUser) -> dict[str, str]:
    """The words for a filter's values: from its own choices, from those of its field, or from the rows it leads to."""
    field = getattr(spec, "field", None)
    choices = getattr(spec, "lookup_choices", None) or getattr(field, "flatchoices", None) or []
    rows = field.related_model._default_manager.all() if field is not None and field.is_relation else None
    if isinstance(rows, VisibleQuerySet):
        key = rows.model._meta.pk
        known = [value for value in values if key is not None and _could_be(key, value)]
        choices = [(row.pk, row) for row in rows.visible_to(user).filter(pk__in=known)]
    return {str(value): str(label) for value, label in choices}


def _could_be(key: Any, value: str) -> bool:
    try:
        key.to_python(value)
    except (ValueError, TypeError):
        return False
    return True
