"""Passkeys that were refused go on record: allauth has a signal for wrong codes, and none for these."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.core import context
from allauth.mfa.webauthn.forms import AuthenticateWebAuthnForm, LoginWebAuthnForm, ReauthenticateWebAuthnForm
from django.core.exceptions import ValidationError
from django.forms import Form

from connectors.flows import sign_in_record
from portal.sign_in.failures import may_record


class _OnRecord(Form):
    """Whose passkey it would have been is on record only where a password or a session has said so.

    For a login by passkey alone the answer names an account, but anybody can make up such an answer.
    """

    refused: ClassVar[str]
    user: Any

    def clean_credential(self) -> Any:
        try:
            return super().clean_credential()  # type: ignore[misc]  # of allauth's form, which follows this one
        except ValidationError as error:
            # The other code is that of too many attempts, before anything was looked at.
            if error.code == "incorrect_code" and may_record(context.request):
                sign_in_record.failed(self.user, self.refused)
            raise


class LoginForm(_OnRecord, LoginWebAuthnForm):  # type: ignore[misc]  # allauth ships no types
    """A passkey in place of name and password."""

    refused = "Wrong passkey."


class AuthenticateForm(_OnRecord, AuthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey after the password."""

    refused = "Wrong passkey; the password was right."


class ReauthenticateForm(_OnRecord, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey asked for again before something that matters."""

    refused = "Wrong passkey, when asked for it again."
