"""Setting up a sign-in provider: for superusers alone, with a secret that never comes out."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from connectors.models import Event, GroupMapping, SignInProvider
from tests.factories import make_user
from tests.servers.openid_provider import OpenIdProvider

pytestmark = pytest.mark.django_db
ADD = "/admin/connectors/signinprovider/add/"


@pytest.fixture
def browser(operator: User, settings: Any) -> Client:
    settings.SIGN_IN_ALLOWED_PRIVATE_HOSTS = ["localhost", "idp.corp"]
    client = Client()
    client.force_login(operator)
    return client


def page_of(row: SignInProvider) -> str:
    return f"/admin/connectors/signinprovider/{row.pk}/change/"


def form(**fields: str) -> dict[str, str]:
    return {
        "name": "Acme login",
        "slug": "corp",
        "kind": "openid_connect",
        "is_enabled": "on",
        "server_url": "http://localhost:9",
        "client_id": "client",
        "secret": secrets.token_hex(16),
        "allowed_domains": "acme.example",
        "admits": "invited",
        "group_mappings-TOTAL_FORMS": "0",
        "group_mappings-INITIAL_FORMS": "0",
        **fields,
    }


def version_of(browser: Client, row: SignInProvider) -> str:
    return str(browser.get(page_of(row)).context["adminform"].form["version"].value())


def errors_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 200, "the form was taken"
    return dict(answer.context["adminform"].form.errors)


def test_a_provider_is_added_with_its_secret_sealed_and_the_event_does_not_hold_it(browser: Client) -> None:
    typed = form()
    browser.post(ADD, typed)
    row = SignInProvider.objects.get()
    assert row.client_secret.reveal() == typed["secret"]
    event = Event.objects.get(verb="sign_in_provider.added")
    assert event.after["client_secret"] == "set"
    assert typed["secret"] not in str(event.after)


def test_its_page_shows_the_redirect_uri_and_no_secret(browser: Client) -> None:
    typed = form()
    browser.post(ADD, typed)
    page = browser.get(page_of(SignInProvider.objects.get())).content.decode()
    assert "/accounts/sign-in/corp/callback/</code>" in page
    assert typed["secret"] not in page


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"server_url": ""}, "server_url"),
        ({"server_url": "http://10.1.2.3/"}, "server_url"),
        ({"server_url": "http://169.254.169.254/latest/"}, "server_url"),
        ({"kind": "github"}, "server_url"),
        ({"kind": "github", "server_url": "", "groups_claim": "groups"}, "groups_claim"),
        ({"kind": "microsoft", "allowed_domains": ""}, "allowed_domains"),
        ({"admits": "domain", "allowed_domains": ""}, "allowed_domains"),
        ({"secret": ""}, "secret"),
    ],
)
def test_what_cannot_work_or_must_not_is_refused_at_its_field(
    browser: Client, fields: dict[str, str], field: str
) -> None:
    assert field in errors_of(browser.post(ADD, form(**fields)))
    assert not SignInProvider.objects.exists()


def test_another_issuer_needs_the_secret_again_and_forgets_who_was_linked(browser: Client, viewer: User) -> None:
    browser.post(ADD, form())
    row = SignInProvider.objects.get()
    SocialAccount.objects.create(user=viewer, provider="corp", uid="1")
    moved = form(server_url="http://localhost:10", secret="", version=version_of(browser, row))
    assert "secret" in errors_of(browser.post(page_of(row), moved))
    browser.post(page_of(row), moved | {"secret": secrets.token_hex(16)})
    assert not SocialAccount.objects.exists()


def test_a_change_of_other_things_keeps_the_secret_and_the_links(browser: Client, viewer: User) -> None:
    browser.post(ADD, form())
    row = SignInProvider.objects.get()
    kept = row.client_secret
    SocialAccount.objects.create(user=viewer, provider="corp", uid="1")
    browser.post(page_of(row), form(name="Work", secret="", version=version_of(browser, row)))
    row.refresh_from_db()
    assert (row.name, row.client_secret, SocialAccount.objects.count()) == ("Work", kept, 1)


def test_mapped_groups_go_on_record(browser: Client) -> None:
    browser.post(ADD, form())
    row, group = SignInProvider.objects.get(), Group.objects.create(name="Operators")
    mapping = {
        "group_mappings-TOTAL_FORMS": "1",
        "group_mappings-0-claim_value": "ops",
        "group_mappings-0-group": str(group.pk),
    }
    browser.post(page_of(row), form(secret="", version=version_of(browser, row), **mapping))
    assert GroupMapping.objects.get().group == group
    assert Event.objects.get(verb="sign_in_provider.changed").after == {"groups": ["ops: Operators"]}


def test_the_test_says_whether_the_provider_describes_itself(browser: Client, openid_provider: OpenIdProvider) -> None:
    for address, said in ((openid_provider.issuer, "answers as"), (f"{openid_provider.issuer}/auth", "answers 4")):
        row = SignInProvider.objects.create(slug=f"idp-{said[-1]}", name="IdP", server_url=address, client_id="x")
        page = browser.post(f"/admin/connectors/signinprovider/{row.pk}/test/", follow=True).content.decode()
        assert said in page


def test_a_deleted_provider_forgets_who_was_linked(browser: Client, viewer: User) -> None:
    browser.post(ADD, form())
    row = SignInProvider.objects.get()
    SocialAccount.objects.create(user=viewer, provider="corp", uid="1")
    browser.post(f"/admin/connectors/signinprovider/{row.pk}/delete/", {"post": "yes"})
    assert (SignInProvider.objects.count(), SocialAccount.objects.count()) == (0, 0)
    assert Event.objects.filter(verb="sign_in_provider.deleted").exists()


def test_only_superusers_may_see_them_whatever_permissions_others_have(browser: Client) -> None:
    browser.post(ADD, form())
    row = SignInProvider.objects.get()
    rich = make_user("rich", staff=True)
    rich.user_permissions.set(Permission.objects.all())
    client = Client()
    client.force_login(rich)
    for path in (ADD, page_of(row), "/admin/connectors/signinprovider/"):
        assert client.get(path).status_code == 403, path
    assert client.post(f"/admin/connectors/signinprovider/{row.pk}/test/").status_code == 403
