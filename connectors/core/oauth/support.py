"""Through what the portal can authorise an integration type itself, if at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from connectors.core.catalog import IntegrationTypeInfo
from connectors.core.oauth.profile import DEFAULTS
from connectors.core.plan_words import listing


class Level(StrEnum):
    """allauth: one of django-allauth's provider classes. generic: the portal's own provider, which the catalogue
    drives. none: not at all."""

    ALLAUTH = "allauth"
    GENERIC = "generic"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Support:
    """`why` says it to an admin. `allauth_class` is the import path of the class, None below Level.ALLAUTH."""

    level: Level
    why: str
    allauth_class: str | None = None


_CLASSES: Mapping[str, str] = {
    "box": "BoxOAuth2Provider",
    "discord": "DiscordProvider",
    "dropbox": "DropboxOAuth2Provider",
    "github": "GitHubProvider",
    "gitlab": "GitLabProvider",
    "google": "GoogleProvider",
    "microsoft": "MicrosoftGraphProvider",
    "quickbooks": "QuickBooksOAuth2Provider",
    "salesforce": "SalesforceProvider",
    "tiktok": "TikTokProvider",
}
"""allauth's names for its classes, by its name for the provider."""

_RATHER_GENERIC: Mapping[str, str] = {
    "linkedin": "django-allauth would ask LinkedIn for its addresses at every start.",
    "notion": "django-allauth's own sends no redirect URI, so only one could be registered.",
}

_MISFITS: Mapping[str | None, str] = {
    "outdated": "django-allauth's own speaks to addresses that the provider retires.",
    "login_only": "django-allauth's own can only sign people in.",
    None: "django-allauth has none of its own.",
}

_NOT_AT_ALL: Mapping[str, str] = {
    # The instance id in Wix's redirect is no proof of consent: whoever types in another one gets that site's token.
    "wix": "Wix installs an app on a site and has no consent that the portal could check. Authorise it at Base44.",
    "stripe": "Base44 provisions it: a push sets up a Stripe sandbox and gives a link with which to claim it.",
}

_WHOLE_HOST = re.compile(r"://\{\w+\}(?:/|$)")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def support_of(info: IntegrationTypeInfo) -> Support:
    """How the portal authorises this type, and why that way."""
    if info.provider in _NOT_AT_ALL:
        return Support(Level.NONE, _NOT_AT_ALL[info.provider])
    if not (info.oauth.authorize_url and info.oauth.token_url):
        return Support(Level.NONE, f"{info.display_name} has no OAuth of its own that the portal could use.")
    needs = _needs(info)
    path = _allauth_class(info)
    if path:
        return Support(Level.ALLAUTH, f"Through django-allauth's provider class.{needs}", path)
    reason = _RATHER_GENERIC.get(info.provider) or _MISFITS.get(info.oauth.allauth_fit, _MISFITS[None])
    return Support(Level.GENERIC, f"Through the portal's generic OAuth 2.0 provider: {reason}{needs}")


def settings_needed(info: IntegrationTypeInfo) -> tuple[str, ...]:
    """Names of the settings without which this provider has no address: `("subdomain",)` for Snowflake."""
    addresses = f"{info.oauth.authorize_url} {info.oauth.token_url}"
    named = dict.fromkeys(_PLACEHOLDER.findall(addresses))
    return tuple(name for name in named if name not in DEFAULTS and name not in ("client_id", "redirect_uri"))


def _allauth_class(info: IntegrationTypeInfo) -> str | None:
    provider = info.oauth.allauth_provider or ""
    if info.oauth.allauth_fit != "ok" or provider not in _CLASSES or info.provider in _RATHER_GENERIC:
        return None
    return f"allauth.socialaccount.providers.{provider}.provider.{_CLASSES[provider]}"


def _needs(info: IntegrationTypeInfo) -> str:
    titles = {field.name: field.display_name for field in (*info.connection_config_fields, *info.oauth.client_settings)}
    named = [f"“{titles.get(name, name)}” ({name})" for name in settings_needed(info)]
    if not named:
        return ""
    elsewhere = "" if _WHOLE_HOST.search(info.oauth.token_url or "") else " or the connector"
    return f" Needs the setting{'s' if len(named) > 1 else ''} {listing(named)} on the OAuth client{elsewhere}."
