"""One worker at a time renews a pair of tokens: a lease on the row, and storing only in place of what one started from.

A provider that rotates refresh tokens takes a second use of the old one for theft and ends the grant. A lock held over
the HTTP call would do on PostgreSQL only, and would tie the answer to one connection: were it cut, the new tokens would
be lost with the transaction. With a lease no transaction is open during the call, so what came back can be stored by
another connection, many answers in one transaction.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction
from django.db.models import F, Q

Key = int | uuid.UUID

LEASE = dt.timedelta(seconds=60)
"""How long one worker has for a row: four times the longest that a call may take (core.oauth, 15 s)."""

LAST_CALL = dt.timedelta(seconds=20)
"""With less of its lease left than this a worker must not start a call: it could outlast the lease."""

LOOK_AGAIN = 0.1
"""Seconds between two looks at whether somebody else's lease has ended."""


@dataclass(frozen=True, slots=True)
class RowLease:
    """The lease of the rows of one model, in its fields `<prefix>lease_until` and `<prefix>generation`."""

    model: type[models.Model]
    prefix: str = ""

    def take(self, pk: Key, generation: int, now: dt.datetime) -> bool:
        """Whether the row is ours now: nobody else has it, and it still is what we saw. One conditional UPDATE."""
        return self._rows(pk, generation).filter(self.free(now)).update(**{self._until: now + LEASE}) == 1

    def take_many(self, rows: models.QuerySet[Any], now: dt.datetime, limit: int) -> list[Any]:
        """Up to `limit` of the rows that nobody has, now ours, in their order.

        PostgreSQL locks the rows while they are marked and passes over those that another worker is marking; SQLite
        has one writer at a time.
        """
        with transaction.atomic():
            found = list(rows.filter(self.free(now)).select_for_update(skip_locked=True, of=("self",))[:limit])
            keys = [row.pk for row in found]
            self.model._base_manager.filter(pk__in=keys).update(**{self._until: now + LEASE})
        for row in found:
            setattr(row, self._until, now + LEASE)
        return found

    def store(self, pk: Key, generation: int, **values: Any) -> bool:
        """Puts new values in place of this generation and ends the lease; False when another pair is there by now."""
        values |= {self._generation: F(self._generation) + 1, self._until: None}
        return self._rows(pk, generation).update(**values) == 1

    def release(self, pk: Key, generation: int, **values: Any) -> bool:
        """Ends the lease of a row that stays the same generation; `values` say why."""
        return self._rows(pk, generation).update(**{**values, self._until: None}) == 1

    def free(self, now: dt.datetime) -> Q:
        """Rows that nobody has, or had and let run out."""
        return Q(**{self._until: None}) | Q(**{f"{self._until}__lt": now})

    @property
    def _until(self) -> str:
        return f"{self.prefix}lease_until"

    @property
    def _generation(self) -> str:
        return f"{self.prefix}generation"

    def _rows(self, pk: Key, generation: int) -> models.QuerySet[Any]:
        return self.model._base_manager.filter(pk=pk, **{self._generation: generation})
