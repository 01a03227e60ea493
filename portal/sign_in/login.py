"""The login page: allauth's, with the providers of single sign-on."""

from __future__ import annotations

from typing import Any

from allauth.account.views import LoginView

from connectors.models import SignInProvider


class Login(LoginView):  # type: ignore[misc]  # allauth ships no types
    """Offers each provider that is in use."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        providers = SignInProvider.objects.filter(is_enabled=True).only("slug", "name")
        return {**super().get_context_data(**kwargs), "sign_in_providers": providers}
