"""How Django's permission questions are answered: `has_perm` with a row asks for the roles at the row's place."""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.db import models

from .grants import grants_of
from .visibility import VisibleQuerySet

APP = "connectors"


class RoleBackend(AuthenticationBackend):  # type: ignore[misc]  # allauth ships no types
    """The only backend: allauth's login by name or e-mail and password, and the portal's roles."""

    def has_perm(self, user_obj: Any, perm: str, obj: models.Model | None = None) -> bool:
        """Without a row: whether there is any place where the person may. With one: whether they may there.

        Permissions of other applications, such as those on users, are Django's own and know no places.
        """
        app, _, codename = perm.partition(".")
        if not user_obj.is_active:
            return False
        if app != APP:
            return bool(super().has_perm(user_obj, perm))
        reach = grants_of(user_obj).reach(codename)
        if obj is None or reach.everywhere:
            return bool(reach)
        rows = type(obj)._default_manager.all()
        if not isinstance(rows, VisibleQuerySet):
            return bool(reach)
        return _asked_before(user_obj, rows, codename, obj)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether the person has anything to do in this application at all."""
        if app_label == APP and user_obj.is_active:
            grants = grants_of(user_obj)
            return grants.is_superuser or bool(grants.grants or grants.codenames)
        return bool(super().has_module_perms(user_obj, app_label))


def _asked_before(user: Any, rows: VisibleQuerySet[Any], codename: str, row: models.Model) -> bool:
    """Asks the database once for each permission and row: a page draws many buttons for the same one."""
    kept: dict[tuple[str, str, Any], bool] = grants_of(user).answers
    key = (codename, row._meta.label_lower, row.pk)
    if key not in kept:
        kept[key] = rows.filter(pk=row.pk).permitted(user, codename).exists()
    return kept[key]
