"""What the tests of approvals share: people, and one who asks while another agrees."""

from __future__ import annotations

from django.contrib.auth.models import User

from connectors.core.actor import Actor, Door
from connectors.flows.approval_decisions import decide
from connectors.flows.approvals import Matter, ask
from connectors.models import Approval, Project
from tests.factories import make_membership, make_user


def actor(user: User) -> Actor:
    """The person, through the admin."""
    return Actor(user.get_username(), Door.ADMIN, user.pk)


def member(name: str, role: str, project: Project) -> User:
    """A person with a role in the project."""
    user = make_user(name, staff=True)
    make_membership(user, role, project=project)
    return user


def approve(row: Approval, user: User) -> Approval:
    """This person agrees."""
    return decide(row, user, actor(user), approve=True)


def approved(matter: Matter, asker: User, decider: User) -> Approval:
    """Asked for by one and approved by the other."""
    return approve(ask(matter, actor(asker), "It is needed."), decider)
