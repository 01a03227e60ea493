"""Which address speaks for a person, by what each kind of provider is worth."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialLogin
from django.contrib.auth.models import User
from django.utils import timezone

from connectors.core.errors import Refused
from connectors.flows.admit import Identity, person_of
from connectors.models import SignInProvider
from portal.sign_in.adapter import address_of
from tests.factories import make_user

DOMAINS = ["acme.example"]


def provider(kind: str) -> SignInProvider:
    return SignInProvider(slug="x", name="X", kind=kind, allowed_domains=DOMAINS)


def login(**addresses: bool) -> SocialLogin:
    """`alice_acme=True`: alice@acme.example, verified."""
    made = [(name.replace("_", "@", 1) + ".example", verified) for name, verified in addresses.items()]
    return SocialLogin(email_addresses=[EmailAddress(email=email, verified=verified) for email, verified in made])


def test_of_several_verified_addresses_the_one_of_the_domains_speaks() -> None:
    found = address_of(provider("github"), login(alice_home=True, alice_acme=True))
    assert found == ("alice@acme.example", True)


def test_an_unverified_address_of_the_domains_does_not_speak() -> None:
    assert address_of(provider("github"), login(alice_acme=False, alice_home=True)) == ("alice@home.example", True)
    assert address_of(provider("openid_connect"), login(alice_acme=False)) == ("alice@acme.example", False)


@pytest.mark.parametrize(("address", "speaks"), [("alice_acme", True), ("alice_other", False)])
def test_at_microsoft_only_addresses_of_the_tenants_domains_speak_whatever_it_says(address: str, speaks: bool) -> None:
    assert address_of(provider("microsoft"), login(**{address: True}))[1] is speaks


def test_an_account_without_any_address_speaks_for_nobody() -> None:
    assert address_of(provider("github"), login()) == ("", False)


@pytest.mark.django_db
@pytest.mark.parametrize(("owner", "is_let_in"), [("acme.example", True), ("", False), ("other.example", False)])
def test_at_google_the_account_has_to_belong_to_the_domain(owner: str, is_let_in: bool) -> None:
    user = make_user("alice", staff=True)
    identity = Identity(provider("google"), "alice@acme.example", True, domain_owner=owner)
    if is_let_in:
        assert person_of(identity, user, None, timezone.now()) == user
    else:
        with pytest.raises(Refused, match=r"does not belong to acme\.example"):
            person_of(identity, user, None, timezone.now())


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["m\u0131ke@acme.example", "mi\u212ae@acme.example", "mi\u017fe@acme.example"])
def test_an_address_that_only_looks_alike_is_nobody_elses(address: str) -> None:
    for name in ("mike", "mise"):  # PostgreSQL takes a dotless i for an i, and a long s for an s
        make_user(name, staff=True)
        User.objects.filter(username=name).update(email=f"{name}@acme.example")
    with pytest.raises(Refused, match="has a login here"):
        person_of(Identity(provider("openid_connect"), address, True), None, None, timezone.now())


@pytest.mark.django_db
def test_capitals_make_no_other_address() -> None:
    user = make_user("mike", staff=True)
    User.objects.filter(pk=user.pk).update(email="Mike@Acme.example")
    identity = Identity(provider("openid_connect"), "mikE@acme.example", True)
    assert person_of(identity, None, None, timezone.now()) == user
