"""How people get in by password: accounts are made by an admin or an invitation, never by a visitor."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.utils import filter_users_by_email
from allauth.core import context
from django.contrib.auth.models import AbstractBaseUser, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from connectors.core.actor import Actor, Door
from connectors.flows import sign_in_record
from connectors.flows.sign_in import end_sessions
from portal.sign_in import second_factor
from portal.sign_in.failures import may_record
from portal.sign_in.sessions import note_session

METHODS = {
    ("password", ""): "password",
    ("mfa", "totp"): "authenticator app",
    ("mfa", "webauthn"): "passkey",
    ("mfa", "recovery_codes"): "recovery code",
}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's rules with sign-up closed; who comes in, fails to, and goes is put on record."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody can make an account for themselves."""
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuses whoever tried too often, and puts that on record."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            _record_failure(request, credentials, "Too many tries; the password was not looked at.")
            raise

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """A wrong name or password. Which of them stands in the record, and never on the page."""
        _record_failure(request, credentials, "Wrong password.")

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        """Called when all steps are done: notes session and second factor, and puts the login on record."""
        answer: HttpResponse = super().post_login(request, user, **kwargs)
        note_session(request)
        second_factor.note_login(request)
        sign_in_record.came_in(user, _how(request, user))
        return answer

    def logout(self, request: HttpRequest) -> None:
        """Ends the session, and puts that on record."""
        user = request.user
        if isinstance(user, User):
            sign_in_record.went_out(user)
            # Its row would stay behind as a session that nobody has.
            end_session_row(request)
        super().logout(request)

    def set_password(self, user: User, password: str) -> None:
        """Changes it, ends every other session of the person, and puts both on record; neither happens alone."""
        request = context.request
        by = request.user if request is not None and request.user.is_authenticated else user
        actor = Actor(by.get_username(), Door.ADMIN, by.pk)
        with transaction.atomic():
            super().set_password(user, password)
            sign_in_record.password_changed(user, actor)
            end_sessions(user, actor, but=str(request.session.session_key or "") if request is not None else "")


def end_session_row(request: HttpRequest) -> None:
    """Forgets what was noted of this browser's session."""
    from allauth.usersessions.models import UserSession

    UserSession.objects.filter(session_key=request.session.session_key or "").delete()


def _record_failure(request: HttpRequest, credentials: dict[str, Any], why: str) -> None:
    if may_record(request):
        user = _known(credentials)
        sign_in_record.failed(user, why if user is not None else "Nobody has this name.")


def _known(credentials: dict[str, Any]) -> User | None:
    """The user whose name or address was typed."""
    if email := credentials.get("email"):
        found = filter_users_by_email(email)
        return found[0] if found else None
    return User.objects.filter(username__iexact=credentials.get("username", "")).first()


def _how(request: HttpRequest, user: AbstractBaseUser) -> str:
    """The steps of this login in words, such as "password and authenticator app"."""
    steps = []
    for record in get_authentication_records(request, user):
        known = METHODS.get((record["method"], record.get("type", "")))
        steps.append(known or str(record.get("provider") or record["method"]))
    return " and ".join(dict.fromkeys(steps))
