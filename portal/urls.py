"""Where each address leads."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.account.views import logout as allauth_logout
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from portal import join, search

# Login goes through allauth alone: Django's own admin login would skip its rate limits and second factor.
admin.autodiscover()
# allauth's own lists would show keys, and change rows without an event; flows and portal/sign_in keep these tables.
for _model in (Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken, UserSession):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    # Ahead of the admin's own addresses: takes the place of Unfold's search.
    path("admin/search/", admin.site.admin_view(search.palette)),
    # Django's own pages for these know neither the record of logins nor the sessions that a new password ends.
    path("admin/logout/", allauth_logout),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/password_change/done/", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("accounts/", include("portal.sign_in.urls")),
    path("join/", join.page, name="join_page"),
    path("join/<str:token>/", join.enter, name="join"),
    path("api/", include("connectors.api.urls")),
    path("", include("connectors.oauth.urls")),
]

handler500 = "portal.unavailable.error_page"
handler429 = "portal.rate_limits.too_many"  # asked for by allauth, whose own limits are those of logins
