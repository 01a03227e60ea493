"""Coming in with an account at a provider, through a real one: whom it lets in, and what it cannot be made to do."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.test import Client

from connectors.flows import invitations
from connectors.flows.memberships import grant
from connectors.models import Event, GroupMapping, Membership, Project, SignInProvider
from tests.factories import SHELL, make_user
from tests.servers.openid_provider import OpenIdProvider
from tests.servers.openid_provider.ways import local
from tests.sign_in.conftest import come_in, leave, who

pytestmark = pytest.mark.django_db


def staff(email: str, *, superuser: bool = False) -> User:
    user = make_user(email.partition("@")[0], staff=True, superuser=superuser)
    user.email = email
    user.save()
    return user


def refusal(answer: Any) -> str:
    assert answer.status_code == 403, answer
    return str(answer.content.decode())


def admit_domain(sso: SignInProvider) -> None:
    sso.admits = SignInProvider.Admits.DOMAIN
    sso.save()


def test_somebody_with_the_same_verified_address_comes_in_and_is_linked(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    alice = staff("alice@acme.example")
    answer = come_in(client, openid_provider, "alice@acme.example")
    assert (answer.status_code, answer["Location"], who(client)) == (302, "/admin/", str(alice.pk))
    linked = SocialAccount.objects.get()
    assert (linked.user, linked.provider, linked.extra_data) == (alice, "corp", {"email": "alice@acme.example"})
    assert list(Event.objects.order_by("pk").values_list("verb", flat=True)) == [
        "login.account_linked",
        "login.succeeded",
    ]
    assert Event.objects.get(verb="login.succeeded").after == {"how": "corp"}


def test_whoever_is_linked_comes_in_under_another_address_too(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    alice = staff("alice@acme.example")
    come_in(Client(), openid_provider, "alice@acme.example")
    openid_provider.tell("alice@acme.example", email="alice.lee@acme.example")
    come_in(client, openid_provider, "alice@acme.example")
    assert who(client) == str(alice.pk)


def test_the_page_that_was_asked_for_comes_after_the_login_and_no_foreign_one(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    staff("alice@acme.example")
    wanted = come_in(client, openid_provider, "alice@acme.example", next="/accounts/sessions/")
    assert wanted["Location"] == "/accounts/sessions/"
    foreign = come_in(Client(), openid_provider, "alice@acme.example", next="https://evil.example/")
    assert foreign["Location"] == "/admin/"


def test_an_unverified_address_opens_nobodys_login(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    staff("alice@acme.example", superuser=True)
    openid_provider.tell("alice@acme.example", email_verified=False)
    assert "verified" in refusal(come_in(client, openid_provider, "alice@acme.example"))
    assert (who(client), SocialAccount.objects.count()) == ("", 0)
    assert Event.objects.get(verb="login.failed").target_id == ""


def test_an_address_of_another_domain_is_not_let_in_even_when_it_is_linked(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    staff("bob@other.example")
    assert "other.example are not let in" in refusal(come_in(client, openid_provider, "bob@other.example"))
    sso.allowed_domains = []
    sso.save()
    come_in(Client(), openid_provider, "bob@other.example")
    sso.allowed_domains = ["acme.example"]
    sso.save()
    refusal(come_in(client, openid_provider, "bob@other.example"))
    assert who(client) == ""


def test_somebody_unknown_is_refused_and_no_login_is_made(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    assert "invite you" in refusal(come_in(client, openid_provider, "new@acme.example"))
    assert not User.objects.exists()


def test_somebody_unknown_of_an_admitted_domain_gets_a_login_without_any_role(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client, project: Project
) -> None:
    admit_domain(sso)
    assert come_in(client, openid_provider, "new@acme.example").status_code == 302
    made = User.objects.get()
    assert (made.username, made.email, made.is_staff, made.has_usable_password()) == (
        "new",
        "new@acme.example",
        True,
        False,
    )
    assert not Project.objects.visible_to(made).exists()


def test_a_domain_rule_without_domains_admits_nobody(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    admit_domain(sso)
    sso.allowed_domains = []
    sso.save()
    refusal(come_in(client, openid_provider, "new@acme.example"))
    assert not User.objects.exists()


def invited(client: Client, settings: Any, project: Project, operator: User, email: str) -> None:
    links: list[str] = []

    def link_of(token: str) -> str:
        links.append(token)
        return token

    invitations.invite(SHELL, operator, email, "editor", None, project, link_of)
    session = client.session
    session[invitations.INVITATION_KEY] = links[0]
    session.save()


def test_an_invitation_lets_the_invited_address_in_with_its_role(
    sso: SignInProvider,
    openid_provider: OpenIdProvider,
    client: Client,
    settings: Any,
    project: Project,
    operator: User,
) -> None:
    invited(client, settings, project, operator, "new@acme.example")
    come_in(client, openid_provider, "new@acme.example")
    assert Membership.objects.get().user == User.objects.get(email="new@acme.example")


def test_an_invitation_of_somebody_else_lets_nobody_in(
    sso: SignInProvider,
    openid_provider: OpenIdProvider,
    client: Client,
    settings: Any,
    project: Project,
    operator: User,
) -> None:
    invited(client, settings, project, operator, "new@acme.example")
    assert "another address" in refusal(come_in(client, openid_provider, "mallory@acme.example"))
    assert not Membership.objects.exists()


def test_two_logins_with_one_address_are_not_guessed_between(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    staff("alice@acme.example")
    other = staff("alice2@acme.example")
    other.email = "Alice@acme.example"
    other.save()
    assert "Several logins" in refusal(come_in(client, openid_provider, "alice@acme.example"))


def test_somebody_who_is_switched_off_stays_outside(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    alice = staff("alice@acme.example")
    alice.is_active = False
    alice.save()
    come_in(client, openid_provider, "alice@acme.example")
    assert who(client) == ""


def test_an_answer_works_once(sso: SignInProvider, openid_provider: OpenIdProvider, client: Client) -> None:
    staff("alice@acme.example")
    back = local(openid_provider.person("alice@acme.example").approve(leave(client)))
    client.get(back)
    client.post("/accounts/logout/")
    refusal(client.get(back))
    assert who(client) == ""


def test_an_answer_to_another_browser_is_not_taken(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    staff("alice@acme.example")
    back = local(openid_provider.person("alice@acme.example").approve(leave(Client())))
    refusal(client.get(back))
    assert who(client) == ""


def test_a_made_up_state_is_not_taken(sso: SignInProvider, openid_provider: OpenIdProvider, client: Client) -> None:
    staff("alice@acme.example")
    parts = urlsplit(local(openid_provider.person("alice@acme.example").approve(leave(client))))
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | {"state": "x" * 16}
    refusal(client.get(f"{parts.path}?{urlencode(query)}"))
    assert who(client) == ""


def test_an_identity_token_for_another_login_is_not_taken(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    staff("alice@acme.example")
    address = leave(client)
    session = client.session
    for state in session["socialaccount_states"].values():
        state[0]["data"]["nonce"] = "another"
    session.save()
    refusal(client.get(local(openid_provider.person("alice@acme.example").approve(address))))
    assert who(client) == ""


@pytest.mark.parametrize("patch", [{"id_token": None}, {"id_token": "e30.e30.e30"}, {"access_token": None}])
def test_an_answer_that_misses_something_lets_nobody_in(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client, patch: dict[str, Any]
) -> None:
    staff("alice@acme.example")
    openid_provider.tamper_next_token(patch)
    refusal(come_in(client, openid_provider, "alice@acme.example"))
    assert who(client) == ""


def test_an_answer_that_names_another_issuer_is_not_taken(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    staff("alice@acme.example")
    parts = urlsplit(local(openid_provider.person("alice@acme.example").approve(leave(client))))
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | {"iss": "https://evil.example"}
    refusal(client.get(f"{parts.path}?{urlencode(query)}"))
    assert who(client) == ""


def test_whoever_says_no_at_the_provider_is_told_so(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    back = openid_provider.person("alice@acme.example").deny(leave(client))
    assert "did not agree" in refusal(client.get(local(back)))


def test_a_provider_that_is_not_in_use_has_no_addresses_and_no_button(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    back = local(openid_provider.person("alice@acme.example").approve(leave(client)))
    sso.is_enabled = False
    sso.save()
    assert client.post("/accounts/sign-in/corp/").status_code == 404
    assert client.get(back).status_code == 404
    assert "Acme login" not in client.get("/accounts/login/").content.decode()


def test_a_provider_at_a_private_address_is_not_asked(sso: SignInProvider, client: Client, settings: Any) -> None:
    settings.SIGN_IN_ALLOWED_PRIVATE_HOSTS = []
    assert "does not answer" in refusal(client.post("/accounts/sign-in/corp/"))


def test_somebody_joins_and_leaves_the_mapped_groups_and_no_others(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client, operator: User, project: Project
) -> None:
    alice = staff("alice@acme.example")
    ops, audit, own = (Group.objects.create(name=name) for name in ("Operators", "Auditors", "Chess club"))
    grant(SHELL, operator, group=ops, role="editor", project=project)
    alice.groups.add(own, audit)
    sso.groups_claim = "groups"
    sso.save()
    for value, group in (("ops", ops), ("audit", audit)):
        GroupMapping.objects.create(provider=sso, claim_value=value, group=group)
    openid_provider.tell("alice@acme.example", groups=["ops", "Chess club", "unmapped"])
    come_in(client, openid_provider, "alice@acme.example")
    assert set(alice.groups.all()) == {ops, own}
    assert Project.objects.visible_to(User.objects.get(pk=alice.pk)).exists()
    openid_provider.tell("alice@acme.example", groups=[])
    come_in(Client(), openid_provider, "alice@acme.example")
    assert set(alice.groups.all()) == {own}
    changed = Event.objects.filter(verb__startswith="login.group").order_by("pk").values_list("verb", "after")
    assert list(changed) == [
        ("login.group_joined", {"group": "Operators"}),
        ("login.group_left", {"group": "Auditors"}),
        ("login.group_left", {"group": "Operators"}),
    ]


def test_without_a_claim_of_groups_nobodys_groups_change(
    sso: SignInProvider, openid_provider: OpenIdProvider, client: Client
) -> None:
    alice = staff("alice@acme.example")
    ops = Group.objects.create(name="Operators")
    alice.groups.add(ops)
    GroupMapping.objects.create(provider=sso, claim_value="ops", group=ops)
    come_in(client, openid_provider, "alice@acme.example")
    assert set(alice.groups.all()) == {ops}


@pytest.mark.parametrize(("counts", "leads_to"), [(False, "/accounts/2fa/"), (True, None)])
def test_a_provider_counts_as_second_factor_only_where_it_says_so(
    sso: SignInProvider,
    openid_provider: OpenIdProvider,
    client: Client,
    settings: Any,
    counts: bool,
    leads_to: str | None,
) -> None:
    settings.MFA_REQUIRED = True
    sso.counts_as_second_factor = counts
    sso.save()
    staff("alice@acme.example")
    come_in(client, openid_provider, "alice@acme.example")
    answer = client.get("/admin/password_change/done/")
    assert answer.get("Location") == (leads_to or "/admin/")
