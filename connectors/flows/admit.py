"""Let somebody in whom a sign-in provider vouches for: whose login that is, and whether one may be made."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.contrib.auth.models import User

from connectors.core.actor import Actor, Door
from connectors.core.addresses import plain
from connectors.core.errors import Refused
from connectors.flows.events import record_event
from connectors.flows.user_names import free_username, users_with
from connectors.flows.users import note_user_added
from connectors.models import Invitation, SignInProvider


@dataclass(frozen=True, slots=True)
class Identity:
    """What a provider says of the person who came back from it.

    `domain_owner` is the organisation whose account it is, where the provider speaks of that (Google's `hd`).
    """

    provider: SignInProvider
    email: str
    is_verified: bool
    groups: frozenset[str] = frozenset()
    first_name: str = ""
    last_name: str = ""
    domain_owner: str = ""

    @property
    def domain(self) -> str:
        """The part behind the @, in lower case."""
        return plain(self.email).rpartition("@")[2]


def person_of(identity: Identity, linked: User | None, invitation: Invitation | None, now: dt.datetime) -> User:
    """The login of this person: the linked one, the one with this address, or a new one.

    Raises Refused where the provider's rules let nobody in: they hold at every login and not only at the first.
    """
    _refuse_foreign(identity)
    if linked is not None:
        return linked
    found = _with_address(identity)
    if found is not None:
        record_event(_of(found), "login.account_linked", found, after={"provider": identity.provider.name})
        return found
    if invitation is not None and not is_for(invitation, identity):
        raise Refused(f"This invitation is for another address than {identity.email}.")
    if invitation is None and not _admits_strangers(identity.provider):
        raise Refused(
            f"Nobody with the address {identity.email} has a login here. Ask somebody who manages the portal's people "
            "to invite you."
        )
    return _joined(identity)


def is_for(invitation: Invitation, identity: Identity) -> bool:
    """Whether the invited address is the one that the provider vouches for."""
    return plain(invitation.email) == plain(identity.email)


def _refuse_foreign(identity: Identity) -> None:
    provider = identity.provider
    if not identity.email or not identity.is_verified:
        raise Refused(f"{provider.name} does not say that your e-mail address is verified, so it proves nothing here.")
    allowed = {domain.lower() for domain in provider.allowed_domains}
    if not allowed:
        return
    if identity.domain not in allowed:
        raise Refused(f"Addresses of {identity.domain} are not let in through {provider.name}.")
    # An address that once was verified stays so at Google when the organisation takes it away from the person.
    if provider.kind == SignInProvider.Kind.GOOGLE and identity.domain_owner.lower() not in allowed:
        raise Refused(f"Your account at {provider.name} does not belong to {identity.domain}.")


def _admits_strangers(provider: SignInProvider) -> bool:
    return provider.admits == SignInProvider.Admits.DOMAIN and bool(provider.allowed_domains)


def _with_address(identity: Identity) -> User | None:
    """The one user with this address. Nobody can change their own address: administrators and invitations set it."""
    found = users_with(identity.email)
    if len(found) > 1:
        raise Refused(f"Several logins here have the address {identity.email}: an administrator has to sort that out.")
    return found[0] if found else None


def _joined(identity: Identity) -> User:
    """A login without password and without any role."""
    user = User(
        username=free_username(identity.email),
        email=plain(identity.email),
        first_name=identity.first_name[:150],
        last_name=identity.last_name[:150],
        is_staff=True,
    )
    user.set_unusable_password()
    user.save()
    note_user_added(_of(user), user, note=f"Came in through {identity.provider.name}.")
    return user


def _of(user: User) -> Actor:
    return Actor(user.get_username(), Door.ADMIN, user.pk)
