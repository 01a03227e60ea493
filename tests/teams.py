"""Two teams that must not know of each other, and the people of each: for tests of who sees and does what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from connectors.models import Connector, Project, Workspace
from tests import factories

FOREIGN = "Zebra"
"""Stands in the name of everything that is the other team's."""


@dataclass(frozen=True)
class Teams:
    """Ours has two projects, the other one. `both` looks on in ours and edits in theirs."""

    ours: Workspace
    shop: Project
    crm: Project
    theirs: Workspace
    bank: Project
    owner: User
    looker: User
    auditor: User
    single: User
    """Edits the shop alone."""
    grouped: User
    """Edits in all of ours, by a group."""
    other: User
    """Owner in theirs, nothing in ours."""
    both: User
    idle: User
    """Staff without any role."""


def two_teams() -> Teams:
    """The teams with a connector in each project, every one waiting for consent and unlike what Base44 has."""
    ours, theirs = factories.make_workspace("Harbour"), factories.make_workspace(f"{FOREIGN} workspace")
    shop = factories.make_project("shop", workspace=ours)
    crm = factories.make_project("crm", workspace=ours)
    bank = factories.make_project("zebra-bank", workspace=theirs, name=f"{FOREIGN} bank", sync_error=f"{FOREIGN} fails")
    for project in (shop, crm, bank):
        factories.make_connector(
            project,
            "gmail",
            ["mail.read"],
            registered=[],
            needs_attention=True,
            consent=Connector.Consent.NEEDED,
            sync_state=Connector.SyncState.DIFFERS,
        )
    people = {
        name: factories.make_user(name, staff=True)
        for name in ("owner", "looker", "auditor", "single", "grouped", "other", "both", "idle")
    }
    factories.make_membership(people["owner"], "owner", workspace=ours)
    factories.make_membership(people["looker"], "viewer", workspace=ours)
    factories.make_membership(people["auditor"], "auditor", workspace=ours)
    factories.make_membership(people["single"], "editor", project=shop)
    group = Group.objects.create(name="Harbour editors")
    people["grouped"].groups.add(group)
    factories.make_membership(group=group, role="editor", workspace=ours)
    factories.make_membership(people["other"], "owner", workspace=theirs)
    factories.make_membership(people["both"], "viewer", workspace=ours)
    factories.make_membership(people["both"], "editor", workspace=theirs)
    return Teams(ours=ours, shop=shop, crm=crm, theirs=theirs, bank=bank, **people)


def browser_of(user: User) -> Client:
    """A browser in which this person is logged in."""
    client = Client()
    client.force_login(user)
    return client


def page(name: str, *args: object) -> str:
    """The address of one of the portal's pages in the admin: `page("project_plan", 1)`."""
    return reverse(f"admin:connectors_{name}", args=args)


def said(answer: Any) -> str:
    """All that a browser gets to read of an answer, the messages of the next page included."""
    shown: str = answer.content.decode(errors="replace")
    return shown + " ".join(str(message) for message in get_messages(answer.wsgi_request))
