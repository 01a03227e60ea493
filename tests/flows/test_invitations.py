"""Invitations: who may invite where, what the link opens, and what joining gives."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor, Door
from connectors.core.errors import Refused
from connectors.flows.invitations import accept, find, invite, join, withdraw
from connectors.flows.user_names import free_username
from connectors.models import Event, Invitation, Membership, Project
from tests.factories import SHELL, make_membership, make_user

pytestmark = pytest.mark.django_db

ADDRESS = "https://portal.example/join/"


@pytest.fixture
def owner(project: Project) -> User:
    user = make_user("olga", staff=True)
    make_membership(user, "owner", project=project)
    return user


@pytest.fixture
def mailing(settings: Any) -> None:
    """The portal can send e-mail."""
    settings.EMAIL_CONFIGURED = True


def ask(inviter: User, project: Project | None, email: str = "ann@example.com", role: str = "editor") -> Any:
    actor = Actor(inviter.get_username(), Door.ADMIN, inviter.pk)
    return invite(actor, inviter, email, role, None, project, lambda token: f"{ADDRESS}{token}/")


def token_in(link: SecretStr | str) -> str:
    text = link if isinstance(link, str) else link.get_secret_value()
    return text.split(ADDRESS)[1].split("/")[0]


def mailed() -> str:
    """The secret of the newest letter."""
    return token_in(str(mail.outbox[-1].body))


def let_join(invitation: Invitation) -> User:
    return join(invitation, first_name="Ann", last_name="Lee", password="long and unusual")


def test_an_invitation_is_mailed_and_shown_to_nobody(owner: User, project: Project, mailing: None) -> None:
    invitation, link = ask(owner, project)
    assert link is None
    assert mail.outbox[0].to == ["ann@example.com"]
    assert find(mailed()) == invitation


def test_without_e_mail_an_administrator_gets_the_link(operator: User, project: Project) -> None:
    invitation, link = ask(operator, project)
    assert find(token_in(link)) == invitation
    assert mail.outbox == []


def test_without_e_mail_an_owner_gets_no_link_that_would_make_them_somebody_else(owner: User, project: Project) -> None:
    with pytest.raises(Refused, match="only an administrator"):
        ask(owner, project)


def test_only_a_hash_of_the_link_is_kept(operator: User, project: Project) -> None:
    _, link = ask(operator, project)
    kept = str(list(Invitation.objects.values())) + str(list(Event.objects.values()))
    assert token_in(link) not in kept


def test_an_owner_invites_to_their_own_places_only(owner: User, mailing: None) -> None:
    with pytest.raises(Refused):
        ask(owner, None)
    assert not Invitation.objects.exists()


def test_only_addresses_of_the_teams_domains_are_invited(operator: User, project: Project, settings: Any) -> None:
    settings.INVITATION_DOMAINS = ["acme.com"]
    with pytest.raises(Refused, match=r"acme\.com"):
        ask(operator, project, "ann@acme.com.example.com")
    assert ask(operator, project, "ann@ACME.com")[0].email == "ann@acme.com"


@pytest.mark.parametrize("address", ["owner@example.com", "Owner+2@Example.com"])
def test_nobody_invites_themself_to_have_a_second_login(
    address: str, owner: User, project: Project, mailing: None
) -> None:
    owner.email = "owner@example.com"
    with pytest.raises(Refused, match="your own"):
        ask(owner, project, address)


def test_inviting_again_replaces_the_open_invitation_to_the_same_place(operator: User, project: Project) -> None:
    _, first = ask(operator, project)
    _, elsewhere = ask(operator, None)
    _, second = ask(operator, project, "Ann@example.com")
    assert [find(token_in(link)) is not None for link in (first, elsewhere, second)] == [False, True, True]


def test_a_letter_that_the_server_refuses_leaves_no_open_invitation(
    owner: User, project: Project, mailing: None, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # the discard port: nothing answers there
    with pytest.raises(Refused, match="Nobody was invited"):
        ask(owner, project)
    assert not Invitation.objects.open(timezone.now()).exists()


def test_joining_makes_an_account_with_the_promised_role(owner: User, project: Project, mailing: None) -> None:
    invitation, _ = ask(owner, project)
    user = let_join(invitation)
    assert (user.username, user.email, user.is_staff, user.is_superuser) == ("ann", "ann@example.com", True, False)
    assert user.check_password("long and unusual")
    row = Membership.objects.get(user=user)
    assert (row.role, row.project, row.added_by_label) == ("editor", project, "olga")


def test_joining_is_on_record(owner: User, project: Project, mailing: None) -> None:
    let_join(ask(owner, project)[0])
    verbs = list(Event.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == ["invitation.made", "user.added", "membership.given", "invitation.accepted"]
    assert Event.objects.get(verb="invitation.accepted").actor_label == "ann"


def test_a_link_works_once(owner: User, project: Project, mailing: None) -> None:
    invitation, _ = ask(owner, project)
    let_join(invitation)
    assert find(mailed()) is None
    with pytest.raises(Refused):
        let_join(invitation)
    assert User.objects.filter(email="ann@example.com").count() == 1


def test_a_link_ends_after_a_week(operator: User, project: Project) -> None:
    invitation, link = ask(operator, project)
    left = invitation.expires_at - timezone.now()
    assert dt.timedelta(days=6) < left <= dt.timedelta(days=7)
    Invitation.objects.update(expires_at=timezone.now())
    assert find(token_in(link)) is None
    with pytest.raises(Refused):
        let_join(invitation)
    assert not User.objects.filter(username="ann").exists()


def test_a_withdrawn_link_opens_nothing(operator: User, project: Project) -> None:
    invitation, link = ask(operator, project)
    assert withdraw(SHELL, invitation)
    assert find(token_in(link)) is None
    assert not withdraw(SHELL, invitation)
    assert Event.objects.filter(verb="invitation.withdrawn").count() == 1


@pytest.mark.parametrize("end", ["role taken", "switched off", "deleted"])
def test_whoever_may_invite_no_more_lets_nobody_in(end: str, owner: User, project: Project, mailing: None) -> None:
    ask(owner, project)
    if end == "role taken":
        Membership.objects.all().delete()
    elif end == "switched off":
        User.objects.filter(pk=owner.pk).update(is_active=False)
    else:
        owner.delete()
    invitation = find(mailed())
    assert invitation is not None
    with pytest.raises(Refused, match="new invitation"):
        let_join(invitation)
    assert not User.objects.filter(username="ann").exists()
    assert find(mailed()) is not None


def test_whoever_has_an_account_gets_the_role_with_it(operator: User, project: Project, stranger: User) -> None:
    invitation, _ = ask(operator, project, stranger.email)
    accept(invitation, stranger)
    stranger.refresh_from_db()
    assert stranger.is_staff
    assert stranger.has_perm("connectors.change_project", project)


def test_nobody_takes_the_account_of_somebody_else_by_a_link(operator: User, project: Project) -> None:
    victim = make_user("victim", staff=True)
    invitation, _ = ask(operator, project, victim.email)
    with pytest.raises(Refused, match="log in with it"):
        let_join(invitation)
    victim.refresh_from_db()
    assert victim.check_password("password")


def test_no_owner_wakes_what_rests_since_somebody_left_the_staff(
    owner: User, operator: User, project: Project, stranger: User, mailing: None
) -> None:
    make_membership(stranger, "owner")
    ask(owner, project, stranger.email)
    invitation = find(mailed())
    assert invitation is not None
    with pytest.raises(Refused, match="no longer"):
        accept(invitation, stranger)
    stranger.refresh_from_db()
    assert not stranger.is_staff
    ask(operator, project, stranger.email)
    again = find(mailed())
    assert again is not None
    accept(again, stranger)
    stranger.refresh_from_db()
    assert stranger.is_staff


def test_an_invitation_is_for_its_address_alone(operator: User, project: Project, stranger: User) -> None:
    invitation, _ = ask(operator, project)
    with pytest.raises(Refused, match="for ann@example"):
        accept(invitation, stranger)
    assert not Membership.objects.exists()


def test_a_role_that_is_held_already_makes_no_difference(operator: User, project: Project, viewer: User) -> None:
    make_membership(viewer, "editor", project=project)
    invitation, _ = ask(operator, project, viewer.email)
    accept(invitation, viewer)
    assert Membership.objects.filter(user=viewer).count() == 1


def test_no_name_breaks_a_line_of_the_letter(owner: User, project: Project, mailing: None) -> None:
    owner.first_name = "Olga\nClick here: https://evil.example"
    owner.save()
    ask(owner, project)
    assert str(mail.outbox[0].body).splitlines()[0].startswith("Olga Click here")


def test_names_to_log_in_with_are_free_and_simple() -> None:
    make_user("ann.lee")
    make_user("Ann.Lee2")
    assert free_username("Ann.Lee+x@example.com") == "ann.leex"
    assert free_username("ann.lee@other.example") == "ann.lee3"
    assert free_username("ü@example.com") == "user"
