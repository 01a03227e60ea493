"""Where the link of an invitation leads: a page to join with a new login, or with the one that the person has.

The secret is in the very first address only. It goes into the session, so that no later address, referrer or history
entry holds it, and so that a login by single sign-on finds it there.
"""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django import forms
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from connectors.core.addresses import plain
from connectors.core.errors import Refused
from connectors.flows.invitations import INVITATION_KEY, accept, account_of, find, join
from connectors.flows.memberships import Place
from connectors.flows.user_names import free_username
from connectors.models import Invitation, SignInProvider


class JoinForm(forms.Form):
    """Name and password of somebody who has no login yet."""

    first_name = forms.CharField(label=_("First name"), max_length=150)
    last_name = forms.CharField(label=_("Last name"), max_length=150)
    password1 = forms.CharField(label=_("Password"), strip=False, max_length=1024, widget=forms.PasswordInput())
    password2 = forms.CharField(label=_("Password again"), strip=False, max_length=1024, widget=forms.PasswordInput())

    def __init__(self, email: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email
        self.fields["password1"].help_text = " ".join(password_validators_help_texts())
        completions = {"first_name": "given-name", "last_name": "family-name"}
        for name, field in self.fields.items():
            field.widget.attrs["autocomplete"] = completions.get(name, "new-password")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        password = cleaned.get("password1")
        if password is None:
            return cleaned
        if cleaned.get("password2") not in (None, password):
            self.add_error("password2", _("The two passwords differ."))
        names = {name: cleaned.get(name, "") for name in ("first_name", "last_name")}
        try:
            validate_password(password, User(username=free_username(self.email), email=self.email, **names))
        except ValidationError as error:
            self.add_error("password1", error)
        return cleaned


@require_safe
@never_cache
@login_not_required  # it shows nothing, and keeps the secret out of the login page's address
@sensitive_variables("token")
def enter(request: HttpRequest, token: str) -> HttpResponse:
    """Takes the secret out of the address, and goes on where the page is."""
    if find(token) is None:
        return _over(request)
    request.session[INVITATION_KEY] = token
    return _quiet(HttpResponseRedirect(reverse("join_page")))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_not_required
@sensitive_post_parameters("password1", "password2")
def page(request: HttpRequest) -> HttpResponse:
    """What the invitation is to. POST joins: with the login that one is in with, or with a new one."""
    invitation = find(request.session.get(INVITATION_KEY, ""))
    if invitation is None:
        request.session.pop(INVITATION_KEY, None)
        return _over(request)
    if isinstance(request.user, User):
        return _as_somebody(request, invitation, request.user)
    if account_of(invitation) is not None:
        return _draw(request, invitation, has_login=True)
    return _as_new(request, invitation)


def _as_somebody(request: HttpRequest, invitation: Invitation, user: User) -> HttpResponse:
    """With the login that this browser is in with, if the invitation is for its address."""
    if request.method != "POST":
        return _draw(request, invitation, is_other=plain(user.email) != plain(invitation.email))
    try:
        accept(invitation, user)
    except Refused as error:
        return _draw(request, invitation, problem=str(error))
    request.session.pop(INVITATION_KEY, None)
    return HttpResponseRedirect(reverse("admin:connectors_membership_mine"))


def _as_new(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    """With a new login, and on as after any login: a second factor is asked for where one is required."""
    form = JoinForm(invitation.email, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _draw(request, invitation, form=form)
    chosen = form.cleaned_data
    names = {name: chosen[name] for name in ("first_name", "last_name")}
    try:
        user = join(invitation, **names, password=chosen["password1"])
    except Refused as error:
        return _draw(request, invitation, form=form, problem=str(error))
    request.session.pop(INVITATION_KEY, None)
    login = Login(user=user, redirect_url=reverse("admin:connectors_membership_mine"), email=user.email)
    answer: HttpResponse = perform_password_login(request, {"email": user.email}, login)
    return answer


def _draw(request: HttpRequest, invitation: Invitation, **context: Any) -> TemplateResponse:
    inviter = invitation.invited_by
    shown = {
        "invitation": invitation,
        "inviter": (inviter.get_full_name() or inviter.get_username()) if inviter else invitation.invited_by_label,
        "where": str(Place(invitation.workspace, invitation.project)),
        "sign_in_providers": SignInProvider.objects.filter(is_enabled=True).only("slug", "name"),
        "next": reverse("join_page"),
    }
    return TemplateResponse(request, "account/join.html", {**shown, **context})


def _over(request: HttpRequest) -> HttpResponse:
    """The same for a link that never was one, was used, was withdrawn, or has ended: who tries links learns nothing."""
    return _quiet(TemplateResponse(request, "account/join_over.html", status=404))


def _quiet(answer: HttpResponse) -> HttpResponse:
    """For the one address with the secret. The page behind it names itself: Django asks a form where it is from."""
    answer["Referrer-Policy"] = "no-referrer"
    return answer
