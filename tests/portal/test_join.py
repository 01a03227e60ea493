"""The public page behind an invitation's link."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.flows.invitations import INVITATION_KEY, invite, withdraw
from connectors.models import Event, Invitation, Membership, Project, SignInProvider
from tests.factories import SHELL, make_user

pytestmark = pytest.mark.django_db

CHOSEN = {"first_name": "Ann", "last_name": "Lee", "password1": "long and unusual", "password2": "long and unusual"}


@pytest.fixture
def token(operator: User, project: Project) -> str:
    """The secret of an open invitation for ann@example.com."""
    return invited(operator, project)


def invited(inviter: User, project: Project, email: str = "ann@example.com") -> str:
    link = invite(SHELL, inviter, email, "editor", None, project, lambda secret: secret)[1]
    assert link is not None
    return link.get_secret_value()


def opened(token: str, client: Client | None = None) -> Client:
    """A browser in which the link was opened."""
    client = client or Client()
    answer = client.get(reverse("join", args=[token]))
    assert (answer.status_code, answer["Location"]) == (302, "/join/")
    return client


def test_the_page_says_who_invites_to_what(token: str, project: Project) -> None:
    page = opened(token).get("/join/").content.decode()
    assert "operator" in page
    assert "ann@example.com" in page
    assert f"the project {project.name}" in page


def test_no_address_but_the_first_holds_the_secret(token: str) -> None:
    client = Client()
    answer = client.get(reverse("join", args=[token]))
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer["Cache-Control"]
    assert token.encode() not in client.get("/join/").content


def test_joining_logs_in_and_leads_to_ones_places(token: str, project: Project) -> None:
    client = opened(token)
    answer = client.post("/join/", CHOSEN, follow=True)
    user = User.objects.get(email="ann@example.com")
    assert answer.redirect_chain[-1][0] == reverse("admin:auth_user_access", args=[user.pk])
    assert answer.context["user"] == user
    assert Membership.objects.get(user=user).project == project
    assert INVITATION_KEY not in client.session
    assert Event.objects.filter(verb="login.succeeded", user_id=user.pk).exists()


def test_whoever_joined_logs_in_with_their_address(token: str) -> None:
    opened(token).post("/join/", CHOSEN)
    client = Client()
    client.post(reverse("account_login"), {"login": "ann@example.com", "password": CHOSEN["password1"]})
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("password", "again"),
    [("short", "short"), ("password1234", "password1234"), ("ann@example.com", "ann@example.com")],
)
def test_the_rules_for_passwords_hold(token: str, password: str, again: str) -> None:
    opened(token).post("/join/", {**CHOSEN, "password1": password, "password2": again})
    assert not User.objects.filter(email="ann@example.com").exists()


def test_passwords_that_differ_are_refused(token: str) -> None:
    answer = opened(token).post("/join/", {**CHOSEN, "password2": "long and usual enough"})
    assert b"differ" in answer.content
    assert not User.objects.filter(email="ann@example.com").exists()


@pytest.mark.parametrize("end", ["used", "withdrawn", "expired", "never was"])
def test_every_dead_link_gets_the_same_answer(end: str, token: str) -> None:
    if end == "used":
        opened(token).post("/join/", CHOSEN)
    elif end == "withdrawn":
        withdraw(SHELL, Invitation.objects.get())
    elif end == "expired":
        Invitation.objects.update(expires_at=timezone.now())
    else:
        token = f"{token[:-1]}{'a' if token[-1] != 'a' else 'b'}"
    answer = Client().get(reverse("join", args=[token]))
    fixed = re.sub(rb'nonce="[^"]*"', b"", answer.content)
    assert answer.status_code == 404
    assert b"This invitation opens nothing" in fixed
    assert b"example.com" not in fixed


def test_a_link_that_ended_while_the_page_was_open_lets_nobody_in(token: str) -> None:
    client = opened(token)
    withdraw(SHELL, Invitation.objects.get())
    assert client.post("/join/", CHOSEN).status_code == 404
    assert not User.objects.filter(email="ann@example.com").exists()


def test_without_a_link_there_is_no_page() -> None:
    assert Client().get("/join/").status_code == 404


def test_the_page_needs_its_own_form(token: str) -> None:
    client = opened(token, Client(enforce_csrf_checks=True))
    assert client.post("/join/", CHOSEN).status_code == 403
    assert not User.objects.filter(email="ann@example.com").exists()


def test_whoever_has_a_login_is_asked_for_it_and_gets_no_new_password(token: str) -> None:
    user = make_user("ann")
    client = opened(token)
    assert b"/accounts/login/?next=/join/" in client.get("/join/").content
    client.post("/join/", CHOSEN)
    user.refresh_from_db()
    assert user.check_password("password")
    assert not Membership.objects.exists()


def test_after_the_login_one_button_joins(token: str, project: Project) -> None:
    user = make_user("ann")
    client = opened(token)
    answer = client.post("/accounts/login/?next=/join/", {"login": "ann", "password": "password"})
    assert answer["Location"] == "/join/"
    client.post("/join/")
    assert Membership.objects.get(user=user).role == "editor"


def test_somebody_else_cannot_use_it(token: str, stranger: User) -> None:
    client = opened(token)
    client.force_login(stranger)
    client.get(reverse("join", args=[token]))
    assert b"for another address" in client.get("/join/").content
    assert b"invitation is for ann@example.com" in client.post("/join/").content
    assert not Membership.objects.exists()


def test_providers_of_single_sign_on_are_offered(token: str) -> None:
    SignInProvider.objects.create(slug="corp", name="Corp login", server_url="https://idp.example", client_id="x")
    SignInProvider.objects.create(slug="old", name="Old login", client_id="x", is_enabled=False)
    page = opened(token).get("/join/").content
    assert reverse("sign_in_start", args=["corp"]).encode() in page
    assert b"Old login" not in page


def test_names_are_escaped(operator: User, project: Project) -> None:
    evil = "<script>alert(1)</script>"
    User.objects.filter(pk=operator.pk).update(first_name=evil)
    Project.objects.filter(pk=project.pk).update(name=evil)
    page = opened(invited(operator, project)).get("/join/").content
    assert evil.encode() not in page


def test_where_a_second_factor_is_required_it_is_asked_for_first(token: str, settings: Any) -> None:
    settings.MFA_REQUIRED = True
    answer = opened(token).post("/join/", CHOSEN, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/2fa/")
