"""Inviting in the admin: the link is shown once and only to administrators, and each invitation to its own place."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils import timezone

from connectors.flows.invitations import find, invite
from connectors.models import Invitation, Project
from tests.admin.form_data import address, errors, save, shown, told
from tests.factories import SHELL, make_membership, make_project, make_user, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def owners(project: Project) -> Client:
    """The browser of Olga, who owns `project` alone."""
    user = make_user("olga", staff=True)
    make_membership(user, "owner", project=project)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def mailing(settings: Any) -> None:
    settings.EMAIL_CONFIGURED = True


def invited(inviter: User, project: Project | None, email: str = "zebra@example.com") -> Invitation:
    return invite(SHELL, inviter, email, "viewer", None, project, lambda token: token)[0]


def test_without_e_mail_the_link_is_shown_once_and_stored_nowhere(browser: Client, project: Project) -> None:
    answer = save(browser, "invitation", email="ann@example.com", role="editor", project=project.pk)
    token = answer.context["link"].get_secret_value().rsplit("/join/")[1].rstrip("/")
    found = find(token)
    assert found is not None
    assert (found.email, found.role, found.project) == ("ann@example.com", "editor", project)
    assert "no-store" in answer["Cache-Control"]
    for page in (address("invitation", "changelist"), address("invitation", "change", found.pk)):
        assert token.encode() not in browser.get(page).content


def test_with_e_mail_the_link_is_shown_to_nobody(owners: Client, project: Project, mailing: None) -> None:
    answer = save(owners, "invitation", email="ann@example.com", role="editor", project=project.pk)
    assert "on its way to ann@example.com" in told(answer)
    assert "/join/" in mail.outbox[0].body
    assert b"/join/" not in answer.content


def test_an_owner_without_e_mail_is_told_whom_to_ask(owners: Client, project: Project) -> None:
    answer = save(owners, "invitation", email="ann@example.com", role="editor", project=project.pk)
    assert "only an administrator" in str(errors(answer))
    assert not Invitation.objects.exists()


def test_a_forged_place_does_not_exist_for_the_form(owners: Client, mailing: None) -> None:
    other = make_project("secret", workspace=make_workspace("Elsewhere"))
    answer = save(owners, "invitation", email="ann@example.com", role="viewer", project=other.pk)
    assert "project" in errors(answer)
    assert not mail.outbox


def test_nothing_is_invited_when_the_mail_server_is_away(
    owners: Client, project: Project, mailing: None, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # the discard port: nothing answers there
    path = address("invitation", "add")
    data = {**shown(owners, path), "email": "ann@example.com", "role": "viewer", "project": project.pk}
    assert "Nobody was invited" in told(owners.post(path, data, follow=True))
    assert not Invitation.objects.open(timezone.now()).exists()


def test_invitations_of_other_teams_do_not_exist(owners: Client, operator: User) -> None:
    other = make_project("secret", workspace=make_workspace("Elsewhere"))
    row = invited(operator, other)
    assert b"zebra@" not in owners.get(address("invitation", "changelist"), {"q": "zebra"}).content
    assert owners.post(address("invitation", "withdraw", row.pk)).status_code == 404
    assert Invitation.objects.open(timezone.now()).exists()


def test_an_owner_withdraws_an_invitation(owners: Client, operator: User, project: Project) -> None:
    row = invited(operator, project)
    assert owners.get(address("invitation", "withdraw", row.pk)).status_code == 405
    owners.post(address("invitation", "withdraw", row.pk))
    assert not Invitation.objects.open(timezone.now()).exists()


def test_what_was_sent_is_neither_changed_nor_deleted(browser: Client, operator: User, project: Project) -> None:
    row = invited(operator, project)
    browser.post(address("invitation", "change", row.pk), {"email": "evil@example.com", "role": "owner"})
    browser.post(address("invitation", "delete", row.pk), {"post": "yes"})
    row.refresh_from_db()
    assert (row.email, row.role) == ("zebra@example.com", "viewer")


@pytest.mark.parametrize("role", ["viewer", "auditor", "editor", "approver"])
def test_only_owners_invite(role: str, project: Project, operator: User) -> None:
    row, user = invited(operator, project), make_user("ann", staff=True)
    make_membership(user, role, project=project)
    client = Client()
    client.force_login(user)
    assert client.get(address("invitation", "add")).status_code == 403
    assert client.post(address("invitation", "add"), {"email": "x@example.com", "role": "owner"}).status_code == 403
    assert client.post(address("invitation", "withdraw", row.pk)).status_code in (403, 404)
    assert Invitation.objects.open(timezone.now()).count() == 1
