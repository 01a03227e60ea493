"""Where each address leads."""

from __future__ import annotations

from allauth.account import urls as account_urls
from allauth.account.decorators import secure_admin_login
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, include, path
from django.views.generic import RedirectView

from portal import search

# Login goes through allauth alone: Django's own admin login would skip its rate limits and second factor.
admin.autodiscover()
for _model in (SocialAccount, SocialApp, SocialToken):  # their tables stay empty: see connectors/oauth/adapter.py
    admin.site.unregister(_model)
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

_ACCOUNT_PAGES = {
    "account_login",
    "account_logout",
    "account_inactive",
    "account_signup",  # allauth's login page links to it by name; the adapter answers "closed"
    "account_reauthenticate",
    "account_change_password",
    "account_set_password",
}
_RESET_PAGES = {
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
}


def account_patterns() -> list[URLPattern]:
    """The pages of allauth that the portal uses; resets by e-mail only where e-mail can be sent."""
    wanted = _ACCOUNT_PAGES | (_RESET_PAGES if settings.EMAIL_CONFIGURED else set())
    return [pattern for pattern in account_urls.urlpatterns if pattern.name in wanted]


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    # Ahead of the admin's own addresses: takes the place of Unfold's search.
    path("admin/search/", admin.site.admin_view(search.palette)),
    path("admin/", admin.site.urls),
    path("accounts/", include(account_patterns())),
    path("api/", include("connectors.api.urls")),
    path("", include("connectors.oauth.urls")),
]
