"""People with roles in person, by a group and everywhere, and invitations in every state."""

from __future__ import annotations

import datetime as dt

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, User

from connectors.core.actor import Actor, Door
from connectors.flows.invitations import invite, withdraw
from connectors.models import Invitation, Membership, Project, Workspace
from tests.factories import make_membership, make_user

NAMES = {"ben": ("Ben", "Okafor"), "cleo": ("Cleopatra-Marguerite", "Featherstonehaugh-Montgomery"), "dan": ("", "")}


def make_people(admin: User, now: dt.datetime) -> tuple[Membership, Invitation, str]:
    """The role and the invitation that show most, and the secret of an open invitation."""
    desk, northwind = Project.objects.get(slug="support-desk"), Workspace.objects.get(name="Northwind")
    group = Group.objects.get(name="Connector managers")
    people = {name: _person(name) for name in NAMES}
    people["cleo"].groups.add(group)
    Authenticator.objects.create(user=people["ben"], type=Authenticator.Type.TOTP, data={})
    shown = make_membership(people["cleo"], "approver", project=desk)
    make_membership(people["ben"], "owner", workspace=northwind)
    make_membership(people["ben"], "auditor")
    make_membership(group=group, role="editor", workspace=northwind)
    make_membership(people["dan"], "viewer", project=desk)
    return shown, *_invitations(admin, desk, northwind, now)


def _person(name: str) -> User:
    user = make_user(name, staff=True)
    user.first_name, user.last_name = NAMES[name]
    user.save()
    return user


def _invitations(admin: User, desk: Project, northwind: Workspace, now: dt.datetime) -> tuple[Invitation, str]:
    ada = Actor(admin.get_username(), Door.ADMIN, admin.pk)
    old, _ = invite(ada, admin, "late@example.com", "viewer", None, desk, str)
    Invitation.objects.filter(pk=old.pk).update(expires_at=now - dt.timedelta(days=1))
    gone, _ = invite(ada, admin, "wrong.address@example.com", "owner", northwind, None, str)
    withdraw(ada, gone)
    waiting, link = invite(ada, admin, "eve.newcomer@example.com", "editor", None, desk, str)
    assert link is not None
    return waiting, link.get_secret_value()
