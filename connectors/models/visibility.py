"""Who may see which rows: the one place from which every page, action and autocomplete starts."""

from __future__ import annotations

from typing import Self, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

Row = TypeVar("Row", bound=models.Model, covariant=True)


def sees_everything(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether `user` sees all rows. Today: every active member of staff; roles per project narrow it here."""
    return bool(user.is_active and getattr(user, "is_staff", False))


class VisibleQuerySet(models.QuerySet[Row]):
    """Base of every QuerySet whose rows are shown to people."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """The rows that `user` may know of; for a stranger none, as if they did not exist."""
        return self if sees_everything(user) else self.none()
