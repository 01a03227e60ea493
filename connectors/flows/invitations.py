"""Invitations: asking somebody by e-mail to join with a role, and what happens when they do."""

from __future__ import annotations

import datetime as dt
import logging
import secrets
import smtplib
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor, Door
from connectors.core.addresses import mailbox, plain
from connectors.core.crypto import fingerprint
from connectors.core.errors import Refused
from connectors.flows.events import record_event
from connectors.flows.memberships import Place, grant, refuse_giving
from connectors.flows.user_names import free_username, users_with
from connectors.flows.users import holds_anything, note_user_added, note_user_changed, state_of
from connectors.models import Invitation, Membership, Project, Workspace
from connectors.models.membership import RoleChoices

log = logging.getLogger(__name__)

INVITATION_KEY = "portal_invitation"
"""Where a browser session keeps the secret of the invitation that its link brought."""
LIFETIME = dt.timedelta(days=7)
ADDS_USERS = "auth.add_user"
OVER = "This invitation was used or withdrawn, or its time is up. Ask for a new one."


def mails() -> bool:
    """Whether invitations go out by e-mail."""
    return bool(settings.EMAIL_CONFIGURED)


def refuse_invitation(
    inviter: User, email: str, role: str, workspace: Workspace | None, project: Project | None
) -> None:
    """Raises Refused when `invite` would, so that a form can say so beforehand."""
    refuse_giving(inviter, Place(workspace, project))
    if role not in RoleChoices.values:
        raise Refused("There is no such role.")
    if mailbox(email) == mailbox(inviter.email):
        # With a second login they could approve what they ask for with the first.
        raise Refused("This address is your own: nobody invites themself.")
    domains = [domain.lower() for domain in settings.INVITATION_DOMAINS]
    if domains and email.rpartition("@")[2].lower() not in domains:
        raise Refused(f"Only addresses of {' or '.join(domains)} can be invited.")
    if not mails() and not inviter.has_perm(ADDS_USERS):
        # Whoever holds the link becomes that person: shown to an owner, it would be a second name for themself.
        raise Refused("The portal cannot send e-mail, so that only an administrator can invite: ask one.")


def invite(
    actor: Actor,
    inviter: User,
    email: str,
    role: str,
    workspace: Workspace | None,
    project: Project | None,
    link_of: Callable[[str], str],
) -> tuple[Invitation, SecretStr | None]:
    """Asks somebody to join; an open invitation of the same address to the same place is replaced.

    The link goes out by e-mail, and None comes back. Where no e-mail is set up it comes back, to be shown once.
    """
    email = plain(email)
    refuse_invitation(inviter, email, role, workspace, project)
    invitation, token = _make(actor, inviter, email, role, Place(workspace, project))
    link = SecretStr(link_of(token.get_secret_value()))
    if not mails():
        return invitation, link
    try:
        _letter(invitation, link).send()
    except (OSError, smtplib.SMTPException) as error:
        withdraw(actor, invitation, note="Its e-mail could not be sent.")
        log.error("An invitation could not be mailed: %s", type(error).__name__)
        raise Refused("The mail server did not take the invitation. Nobody was invited.") from None
    return invitation, None


def find(token: str) -> Invitation | None:
    """The open invitation with this secret; None when there is none (any more)."""
    rows = Invitation.objects.open(timezone.now()).select_related("invited_by", "workspace", "project__workspace")
    return rows.filter(token_hash=fingerprint(token)).first() if token else None


def account_of(invitation: Invitation) -> User | None:
    """The account with the invited address, if there is one."""
    found = sorted(users_with(invitation.email), key=lambda user: (not user.is_active, user.pk))
    return found[0] if found else None


@transaction.atomic
def accept(invitation: Invitation, user: User) -> None:
    """Gives the person who was invited what they were promised, if whoever invited them may still give it.

    `user` is logged in, or known by a provider that vouches for the address. Raises Refused.
    """
    if plain(user.email) != plain(invitation.email):
        raise Refused(f"This invitation is for {invitation.email}. Log in with the account that has this address.")
    if not user.is_active:
        raise Refused("Your account is switched off. Ask an administrator.")
    now = timezone.now()
    claimed = Invitation.objects.open(now).filter(pk=invitation.pk).update(accepted_at=now, accepted_by=user)
    if not claimed:
        raise Refused(OVER)
    actor = Actor(user.get_username(), Door.ADMIN, user.pk)
    _make_staff(actor, invitation, user)
    _give(actor, invitation, user)
    invitation.accepted_at, invitation.accepted_by = now, user
    record_event(actor, "invitation.accepted", invitation, after=_told(invitation))


@transaction.atomic
def join(invitation: Invitation, *, first_name: str, last_name: str, password: str) -> User:
    """Makes the account of whoever was invited and has none, and accepts for them. Raises Refused."""
    if account_of(invitation) is not None:
        raise Refused("There is an account with this address already: log in with it.")
    user = User(email=invitation.email, first_name=first_name.strip(), last_name=last_name.strip(), is_staff=True)
    user.set_password(password)
    user.username = free_username(invitation.email)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:  # somebody of the same name joined at this moment
        raise Refused("Please try again.") from None
    actor = Actor(user.get_username(), Door.ADMIN, user.pk)
    note_user_added(actor, user, note=f"Invited by {invitation.invited_by_label}.")
    accept(invitation, user)
    return user


@transaction.atomic
def withdraw(actor: Actor, invitation: Invitation, *, note: str = "") -> bool:
    """Ends an invitation: its link opens nothing any more. False when it was over before."""
    now = timezone.now()
    if not Invitation.objects.open(now).filter(pk=invitation.pk).update(withdrawn_at=now):
        return False
    invitation.withdrawn_at = now
    record_event(actor, "invitation.withdrawn", invitation, before=_told(invitation), note=note)
    return True


@transaction.atomic
def _make(actor: Actor, inviter: User, email: str, role: str, place: Place) -> tuple[Invitation, SecretStr]:
    now = timezone.now()
    for old in Invitation.objects.open(now).filter(email=email, workspace=place.workspace, project=place.project):
        withdraw(actor, old, note="A newer invitation takes its place.")
    token = SecretStr(secrets.token_urlsafe(32))
    invitation = Invitation.objects.create(
        email=email,
        token_hash=fingerprint(token.get_secret_value()),
        role=role,
        workspace=place.workspace,
        project=place.project,
        invited_by=inviter,
        invited_by_label=inviter.get_username(),
        expires_at=now + LIFETIME,
    )
    record_event(actor, "invitation.made", invitation, after=_told(invitation))
    return invitation, token


def _make_staff(actor: Actor, invitation: Invitation, user: User) -> None:
    if user.is_staff:
        return
    inviter = invitation.invited_by
    if holds_anything(user) and not (inviter is not None and inviter.is_active and inviter.is_superuser):
        # All that rests would wake with it, wherever it is.
        raise Refused("Your account is no longer one of the staff's. Ask an administrator.")
    before = state_of(user)
    user.is_staff = True
    user.save(update_fields=["is_staff"])
    note_user_changed(actor, user, before)


def _give(actor: Actor, invitation: Invitation, user: User) -> None:
    """As whoever invited: what they may not give any more, nobody gets through an old link."""
    if invitation.invited_by is None:
        raise Refused("Whoever invited you is gone. Ask for a new invitation.")
    workspace, project, role = invitation.workspace, invitation.project, invitation.role
    if Membership.objects.filter(user=user, role=role, workspace=workspace, project=project).exists():
        return
    try:
        grant(actor, invitation.invited_by, user=user, role=role, workspace=workspace, project=project)
    except Refused:
        raise Refused("Whoever invited you may not give this role any more. Ask for a new invitation.") from None


def _letter(invitation: Invitation, link: SecretStr) -> EmailMessage:
    inviter = invitation.invited_by
    name = (inviter.get_full_name() or inviter.get_username()) if inviter else invitation.invited_by_label
    role = invitation.get_role_display().lower()
    where = _line(str(Place(invitation.workspace, invitation.project)))
    until = f"{timezone.localtime(invitation.expires_at):%Y-%m-%d %H:%M %Z}"
    lines = [
        f"{_line(name)} invites you to the connector portal, as {role} of {where}.",
        "",
        link.get_secret_value(),
        "",
        f"The link works once, until {until}. If you did not expect it, delete this message: nothing happens.",
    ]
    return EmailMessage("You are invited to the connector portal", "\n".join(lines), to=[invitation.email])


def _line(text: str) -> str:
    """On one line, so that no name can look like another part of the letter."""
    return " ".join(text.split())


def _told(invitation: Invitation) -> dict[str, str]:
    return {
        "email": invitation.email,
        "role": invitation.role,
        "where": str(Place(invitation.workspace, invitation.project)),
        "ends": invitation.expires_at.isoformat(timespec="minutes"),
    }
