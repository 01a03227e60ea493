"""What a person may do, read once for each request: their roles, their groups' roles and Django's own permissions."""

from __future__ import annotations

import hashlib

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Q

from connectors.core.roles import Grant, Grants, Role

_KEPT = "_portal_grants"
"""Where the answer is kept: on the user, whose object lives as long as the request does."""


def grants_of(user: AbstractBaseUser | AnonymousUser) -> Grants:
    """All that this person may do; nothing for whoever is not logged in, not active or no member of staff."""
    kept = getattr(user, _KEPT, None)
    if kept is None:
        kept = _read(user)
        setattr(user, _KEPT, kept)
    found: Grants = kept
    return found


def forget_grants(user: AbstractBaseUser | AnonymousUser) -> None:
    """Reads them anew when they are asked for next: the roles of this very object have changed."""
    for name in (_KEPT, "_perm_cache", "_user_perm_cache", "_group_perm_cache"):
        user.__dict__.pop(name, None)


def grants_key(user: AbstractBaseUser | AnonymousUser) -> str:
    """A short text that is another one as soon as the person may do something else: for the keys of caches."""
    grants = grants_of(user)
    held = (grants.is_superuser, sorted(grants.codenames), sorted(map(repr, grants.grants)))
    return f"{user.pk}:{hashlib.sha256(repr(held).encode()).hexdigest()[:16]}"


def _read(user: AbstractBaseUser | AnonymousUser) -> Grants:
    from .membership import Membership

    if not isinstance(user, User) or not (user.is_active and user.is_staff):
        return Grants()
    if user.is_superuser:
        return Grants(is_superuser=True)
    prefix = "connectors."
    codenames = {
        name.removeprefix(prefix) for name in ModelBackend().get_all_permissions(user) if name.startswith(prefix)
    }
    mine = Membership.objects.filter(Q(user=user) | Q(group__in=user.groups.all())).select_related("group")
    held = (
        Grant(Role(row.role), row.workspace_id, row.project_id, row.group.name if row.group else "") for row in mine
    )
    return Grants(codenames=frozenset(codenames), grants=tuple(held))
