"""What allauth asks about signing in with another account: the portal's rules. Connectors' trips log nobody in."""

from __future__ import annotations

from typing import Any

import requests
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone

from connectors.core.actor import Actor, Door
from connectors.core.errors import PortalError
from connectors.flows import invitations, sign_in_record
from connectors.flows.admit import Identity, is_for, person_of
from connectors.flows.sign_in_groups import follow_groups
from connectors.models import Invitation, SignInProvider
from connectors.oauth.adapter import SocialAccountAdapter as ConnectorsAdapter
from portal.sign_in.answers import STRANGE, refused
from portal.sign_in.failures import may_record
from portal.sign_in.outgoing import guarded_session


class SocialAccountAdapter(ConnectorsAdapter):
    """Lets in whoever a sign-in provider vouches for. Requests without one are connectors', which log nobody in."""

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        """The one that this request goes through, by whatever name allauth calls it."""
        found = _of_request(request)
        return found[1] if found else super().get_provider(request, provider, client_id)

    def get_requests_session(self) -> requests.Session:
        found: requests.Session = guarded_session() if _of_request(None) else super().get_requests_session()
        return found

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Decides whose login this is, and links the account to it: allauth's own sign-up is never reached."""
        found = _of_request(request)
        if found is None:
            super().pre_social_login(request, sociallogin)
            return
        row = found[0]
        linked = sociallogin.user if sociallogin.is_existing else None
        try:
            if (problem := _forged(row, sociallogin)) is not None:
                raise PortalError(problem)
            _admit(request, row, sociallogin, linked)
        except (PortalError, IntegrityError) as error:
            said = str(error) if isinstance(error, PortalError) else "Two logins came at once: try it again."
            if may_record(request):
                sign_in_record.failed(linked, f"{row.name}: {said}")
            raise ImmediateHttpResponse(refused(request, said)) from None

    def on_authentication_error(self, request: HttpRequest, provider: Any, *args: Any, **kwargs: Any) -> None:
        """Says in the portal's words that nobody came in; neither code nor answer is told to anybody."""
        name = provider.app.name
        denied = kwargs.get("error") == AuthError.CANCELLED
        said = f"{name} says that you did not agree." if denied else STRANGE.format(name=name)
        raise ImmediateHttpResponse(refused(request, said))


@transaction.atomic
def _admit(request: HttpRequest, row: SignInProvider, sociallogin: SocialLogin, linked: User | None) -> None:
    identity, invitation = _identity(row, sociallogin), _invitation(request)
    person = person_of(identity, linked, invitation, timezone.now())
    # Not what the provider told, which is more than the portal needs.
    sociallogin.account.extra_data = {"email": identity.email}
    if linked is None:
        sociallogin.connect(request, person)
    else:
        sociallogin.account.save(update_fields=["extra_data"])
    if invitation is not None and is_for(invitation, identity):
        invitations.accept(invitation, person)
        request.session.pop(invitations.INVITATION_KEY, None)
    follow_groups(row, person, identity.groups, Actor(person.get_username(), Door.ADMIN, person.pk))


def _of_request(request: HttpRequest | None) -> tuple[SignInProvider, Any] | None:
    found: tuple[SignInProvider, Any] | None = getattr(request or context.request, "sign_in", None)
    return found


def _forged(row: SignInProvider, sociallogin: SocialLogin) -> str | None:
    """Why this answer is not one to the question that this browser asked; None when it is."""
    if row.kind == SignInProvider.Kind.GITHUB:
        return None
    asked = (sociallogin.state.get("data") or {}).get("nonce")
    told = sociallogin.account.extra_data.get("id_token", {}).get("nonce")
    return None if asked and asked == told else "The provider's answer belongs to another login."


def _identity(row: SignInProvider, sociallogin: SocialLogin) -> Identity:
    claims = sociallogin.account.extra_data
    told = claims.get("userinfo", claims)
    email, verified = address_of(row, sociallogin)
    return Identity(
        row,
        email,
        verified,
        groups=_groups(row, told),
        first_name=str(told.get("given_name") or ""),
        last_name=str(told.get("family_name") or ""),
        domain_owner=str(told.get("hd") or ""),
    )


def address_of(row: SignInProvider, sociallogin: SocialLogin) -> tuple[str, bool]:
    """The address that speaks for the person: at GitHub the first verified one that the domains let in."""
    domains = {domain.lower() for domain in row.allowed_domains}
    addresses = list(sociallogin.email_addresses)
    if row.kind == SignInProvider.Kind.MICROSOFT:
        # Microsoft verifies no address; the tenant's administrators own those of its domains, and of no others.
        return (
            (addresses[0].email, addresses[0].email.rpartition("@")[2].lower() in domains) if addresses else ("", False)
        )
    verified = [address.email for address in addresses if address.verified is True]
    inside = [email for email in verified if not domains or email.rpartition("@")[2].lower() in domains]
    if found := (inside or verified):
        return found[0], True
    return (addresses[0].email if addresses else ""), False


def _groups(row: SignInProvider, told: dict[str, Any]) -> frozenset[str]:
    claimed = told.get(row.groups_claim) if row.groups_claim else None
    listed = [claimed] if isinstance(claimed, str) else claimed if isinstance(claimed, list) else []
    return frozenset(text for text in listed if isinstance(text, str))


def _invitation(request: HttpRequest) -> Invitation | None:
    token = request.session.get(invitations.INVITATION_KEY)
    return invitations.find(token) if token else None
