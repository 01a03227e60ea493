"""Accounts and groups as administrators change them: each change on record, and whoever is switched off logged out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Q

from connectors.core.actor import Actor
from connectors.flows.events import changes, record_event
from connectors.flows.memberships import roles_in_words
from connectors.flows.sign_in import end_sessions
from connectors.models import Membership
from connectors.models.grants import forget_grants

FIELDS = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "is_superuser")


def state_of(user: User) -> dict[str, Any]:
    """What the record says of an account: names, powers and groups, and no password."""
    return {
        **{name: getattr(user, name) for name in FIELDS},
        "groups": sorted(user.groups.values_list("name", flat=True)),
        "permissions": _named(user.user_permissions.all()),
    }


def may_become(editor: User, user: User) -> bool:
    """Whether `editor` may set what the person logs in with: name, address and password.

    Whoever sets them can log in as that person. So of people with any role or permission only superusers and they
    themselves may.
    """
    return editor.is_superuser or editor.pk == user.pk or not holds_anything(user)


def holds_anything(user: User) -> bool:
    """Whether the person has any role or permission, also one that rests while they are no member of staff."""
    theirs = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    roles = Membership.objects.filter(Q(user=user) | Q(group__user=user))
    return user.is_superuser or roles.exists() or theirs.exists()


def note_user_added(actor: Actor, user: User, *, note: str = "") -> None:
    """An account was made."""
    record_event(actor, "user.added", user, after=_told(state_of(user)), note=note)


@transaction.atomic
def note_user_changed(actor: Actor, user: User, before: dict[str, Any]) -> None:
    """An account was saved: what differs from `before` goes on record. Whoever was switched off is logged out."""
    old, new = changes(before, state_of(user))
    forget_grants(user)
    if not new:
        return
    switched_off = new.get("is_active") is False
    record_event(actor, "user.deactivated" if switched_off else "user.changed", user, before=old, after=new)
    if switched_off:
        end_sessions(user, actor)


@transaction.atomic
def delete_user(actor: Actor, user: User) -> None:
    """Deletes an account with its roles, which go on record with it."""
    end_sessions(user, actor)
    roles = roles_in_words(Membership.objects.filter(user=user))
    record_event(actor, "user.deleted", user, before={**_told(state_of(user)), "roles": roles})
    user.delete()


def state_of_group(group: Group) -> dict[str, Any]:
    """What the record says of a group."""
    return {"name": group.name, "permissions": _named(group.permissions.all())}


def note_group_saved(actor: Actor, group: Group, before: dict[str, Any] | None) -> None:
    """A group was made (`before` None) or saved: what differs goes on record."""
    after = state_of_group(group)
    if before is None:
        record_event(actor, "group.added", group, after=after)
        return
    old, new = changes(before, after)
    if new:
        record_event(actor, "group.changed", group, before=old, after=new)


@transaction.atomic
def delete_group(actor: Actor, group: Group) -> None:
    """Deletes a group; its roles and its permissions end for everybody in it."""
    members = sorted(User.objects.filter(groups=group).values_list("username", flat=True))
    roles = roles_in_words(Membership.objects.filter(group=group))
    record_event(actor, "group.deleted", group, before={**state_of_group(group), "members": members, "roles": roles})
    group.delete()


def _named(permissions: Iterable[Permission]) -> list[str]:
    rows = permissions.select_related("content_type")  # type: ignore[attr-defined]
    return sorted(f"{row.content_type.app_label}.{row.codename}" for row in rows)


def _told(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if value not in ("", [], False)}
