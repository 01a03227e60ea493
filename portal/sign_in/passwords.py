"""Whoever has no password gives themselves none.

They come in by a sign-in provider, and whoever was locked out there must not come in by a password of their own.
"""

from __future__ import annotations

from typing import Any

from allauth.account.forms import ResetPasswordForm
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _


class ResetForm(ResetPasswordForm):  # type: ignore[misc]  # allauth ships no types
    """Sends its link to nobody who has no password; who that is, it does not tell."""

    def clean_email(self) -> str:
        email: str = super().clean_email()
        self.users: list[Any] = [user for user in self.users if user.has_usable_password()]
        return email


def none_to_set(request: HttpRequest) -> HttpResponseRedirect:
    """In place of allauth's page on which somebody without a password makes one."""
    messages.info(
        request,
        _("Your login has no password: you come in by a sign-in provider. An administrator can give you one."),
    )
    return HttpResponseRedirect(reverse("admin:index"))
