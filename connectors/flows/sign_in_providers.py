"""Keep the providers of single sign-on: store and delete them, and see whether one answers as it should."""

from __future__ import annotations

import json
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import transaction
from pydantic import SecretStr

from connectors.core import net
from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.core.net import Allowed
from connectors.flows.events import changes, record_event
from connectors.models import Sealed, SignInProvider

Kind = SignInProvider.Kind

ISSUERS = {Kind.GOOGLE: "https://accounts.google.com", Kind.GITLAB: "https://gitlab.com"}
"""The public services' names of themselves, where none is given. Each Microsoft tenant has one of its own."""

WELL_KNOWN = "/.well-known/openid-configuration"
MAX_ANSWER = 512 * 1024
NEEDED = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")

_SHOWN = (
    "name",
    "kind",
    "is_enabled",
    "server_url",
    "client_id",
    "client_secret",
    "allowed_domains",
    "admits",
    "groups_claim",
    "counts_as_second_factor",
)


def allowed_hosts() -> Allowed:
    """The private hosts that whoever runs the portal lets sign-in providers be at."""
    return Allowed.of(settings.SIGN_IN_ALLOWED_PRIVATE_HOSTS, setting="SIGN_IN_ALLOWED_PRIVATE_HOSTS")


def issuer_of(provider: SignInProvider) -> str:
    """How the provider names itself; "" for GitHub, which speaks no OpenID Connect to people."""
    if provider.kind == Kind.GITHUB:
        return ""
    return provider.server_url or ISSUERS.get(Kind(provider.kind), "")


@transaction.atomic
def save_provider(provider: SignInProvider, actor: Actor, *, secret: SecretStr | None) -> None:
    """Stores it, with a new secret where one is given.

    Accounts are known by the provider's own numbers for people: at another issuer these are other people, so that a
    provider which moves forgets who was linked.
    """
    stored = SignInProvider.objects.filter(pk=provider.pk).first() if provider.pk else None
    if secret is not None:
        provider.client_secret = Sealed.of(secret.get_secret_value())
    provider.save()
    if stored is not None and (stored.kind, issuer_of(stored)) != (provider.kind, issuer_of(provider)):
        _unlink(provider)
    before, after = changes(_facts(stored) if stored else {}, _facts(provider))
    if after:
        record_event(
            actor,
            "sign_in_provider.changed" if stored else "sign_in_provider.added",
            provider,
            before=before,
            after=after,
        )


@transaction.atomic
def delete_provider(provider: SignInProvider, actor: Actor) -> None:
    """Nobody comes in through it any more; people who did keep their logins, and whoever has a password can use it."""
    _unlink(provider)
    record_event(actor, "sign_in_provider.deleted", provider, before=_facts(provider))
    provider.delete()


def record_mappings(provider: SignInProvider, before: list[str], actor: Actor) -> None:
    """Puts on record that other groups are mapped than `before` (as `mappings_of` gave it), if that is so."""
    after = mappings_of(provider)
    if after != before:
        record_event(actor, "sign_in_provider.changed", provider, before={"groups": before}, after={"groups": after})


def mappings_of(provider: SignInProvider) -> list[str]:
    """What its group mappings say, in words."""
    rows = provider.group_mappings.select_related("group")
    return sorted(f"{row.claim_value}: {row.group.name}" for row in rows)


def read_discovery(provider: SignInProvider) -> dict[str, Any]:
    """What the provider says of itself. Raises Refused, in words for whoever set it up, when that cannot be used."""
    issuer = issuer_of(provider)
    if not issuer:
        raise Refused("GitHub has no description of itself to read: log in with it to try it.")
    answer = net.ask(
        "GET",
        issuer.rstrip("/") + WELL_KNOWN,
        None,
        {"Accept": "application/json"},
        allowed=allowed_hosts(),
        max_answer=MAX_ANSWER,
    )
    if answer.status != 200:
        raise Refused(f"{issuer} answers {answer.status} where it should describe itself: is this the issuer?")
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in NEEDED):
        raise Refused(f"What {issuer} says of itself is no description of an OpenID provider.")
    if found["issuer"].rstrip("/") != issuer.rstrip("/"):
        raise Refused(f"The provider names itself {found['issuer'][:200]}: enter exactly that as the issuer.")
    return found


def _unlink(provider: SignInProvider) -> None:
    SocialAccount.objects.filter(provider=provider.slug).delete()


def _facts(provider: SignInProvider) -> dict[str, Any]:
    return {name: getattr(provider, name) for name in _SHOWN}
