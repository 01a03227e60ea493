"""Who can give themselves a password: whoever has one."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from portal.sign_in.passwords import ResetForm
from tests.factories import make_user
from tests.teams import browser_of

pytestmark = pytest.mark.django_db

NEW = {"password1": "a harbour at dusk", "password2": "a harbour at dusk"}


@pytest.fixture
def ann() -> User:
    """Comes in by a sign-in provider, and has no password."""
    user = make_user("ann", staff=True)
    user.set_unusable_password()
    user.save()
    return user


def asked_to_reset(user: User) -> list[User]:
    form = ResetForm({"email": user.email})
    assert form.is_valid()
    return list(form.users)


def test_a_link_for_a_new_password_goes_to_whoever_has_one(ann: User) -> None:
    bob = make_user("bob", staff=True)
    assert asked_to_reset(bob) == [bob]
    assert asked_to_reset(ann) == []


@pytest.mark.parametrize("page", ["set", "change"])
def test_somebody_without_a_password_sets_none(page: str, ann: User) -> None:
    browser: Client = browser_of(ann)
    for answer in (
        browser.get(f"/accounts/password/{page}/", follow=True),
        browser.post(f"/accounts/password/{page}/", NEW, follow=True),
    ):
        assert ["has no password" in str(message) for message in get_messages(answer.wsgi_request)] == [True]
    ann.refresh_from_db()
    assert not ann.has_usable_password()


def test_an_administrator_gives_them_one(ann: User, operator: User) -> None:
    browser_of(operator).post(f"/admin/auth/user/{ann.pk}/password/", {**NEW, "usable_password": "true"})
    ann.refresh_from_db()
    assert ann.check_password(NEW["password1"])
    assert asked_to_reset(ann) == [ann]
