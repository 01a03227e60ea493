"""The team's own OAuth clients: what core needs of one, how it is kept, and whether the provider accepts it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor
from connectors.core.catalog import IntegrationTypeInfo
from connectors.core.catalog.providers import provider, provider_name
from connectors.core.crypto import UnreadableSecretError
from connectors.core.errors import Refused
from connectors.core.oauth.errors import Kind
from connectors.core.oauth.profile import Profile, Registration, profile_of
from connectors.core.oauth.support import Level, settings_needed, support_of
from connectors.core.oauth.token_endpoint import TokenEndpoint
from connectors.core.plan_words import listing
from connectors.flows.events import changes, record_event
from connectors.models import OAuthClient, Sealed, Token
from connectors.models.visibility import Person

State = OAuthClient.State

NOT_NAMED = "connectors that you can't see"

FIELDS = ["name", "slug", "provider", "workspace_id", "client_id", "settings", "is_testing"]
"""What a person says of a client, the secret aside."""

_IDENTITY = ("provider", "client_id", "settings", "client_secret")
"""What a verdict on a client is about: when one of these changes, the verdict is void."""


def registration_of(oauth_client: OAuthClient) -> Registration:
    """The client as core sees it, its secret in the clear. Raises UnreadableSecretError."""
    secret = SecretStr(oauth_client.client_secret.reveal())
    return Registration(oauth_client.client_id, secret, dict(oauth_client.settings))


def endpoint_of(oauth_client: OAuthClient, type_: str, connection_config: Mapping[str, str]) -> TokenEndpoint:
    """The token endpoint, ready for this client and type. Raises Refused (a setting is missing) and
    UnreadableSecretError."""
    registration = registration_of(oauth_client)
    return TokenEndpoint(profile_of(type_, registration, connection_config=connection_config), registration)


def redirect_uri_of(oauth_client: OAuthClient, base_url: str) -> str:
    """Where the provider sends people back to; PORTAL_URL, when it is set, takes the place of `base_url`."""
    return f"{settings.PORTAL_URL or base_url.rstrip('/')}/oauth/{oauth_client.slug}/callback/"


def supported_types(provider_id: str) -> list[IntegrationTypeInfo]:
    """The provider's integration types that the portal can authorise itself."""
    found = provider(provider_id)
    return [info for info in found.types if support_of(info).level != Level.NONE] if found else []


def setting_problem(provider_id: str, name: str, value: str) -> str:
    """Why `value` cannot be the setting `name` of a client at this provider, as a sentence; "" when it can."""
    for info in supported_types(provider_id):
        try:
            _profile(info, {name: value})
        except Refused as error:
            return str(error)
    return ""


@transaction.atomic
def save_client(
    oauth_client: OAuthClient, actor: Actor, *, secret: SecretStr | None = None, forget_secret: bool = False
) -> None:
    """Stores a new or changed client; `secret` None keeps the one that is set, unless it is to be forgotten.

    Another id, secret, setting or provider makes it unchecked, and gives the tokens of a client that was misconfigured
    another try. Raises Refused for what `objections` names.
    """
    stored = OAuthClient.objects.select_for_update().get(pk=oauth_client.pk) if oauth_client.pk else None
    if secret is not None or forget_secret:
        oauth_client.client_secret = Sealed.of("" if forget_secret else secret.get_secret_value() if secret else "")
        oauth_client.secret_set_at = timezone.now() if oauth_client.client_secret else None
    elif stored is not None:
        oauth_client.client_secret, oauth_client.secret_set_at = stored.client_secret, stored.secret_set_at
    if stored is None:
        oauth_client.save()
        record_event(actor, "oauth_client.added", oauth_client, after=_values(oauth_client))
        return
    kept = secret is None and not forget_secret
    if found := objections(stored, oauth_client.provider, oauth_client.settings, keeps_secret=kept):
        raise Refused(next(iter(found.values())))
    _store(stored, oauth_client, actor)


def objections(
    stored: OAuthClient, provider_id: str, settings_: Mapping[str, str], *, keeps_secret: bool
) -> dict[str, str]:
    """Why a client may not get this provider and these settings, by the field to blame; {} when it may.

    Whoever may edit an address must not be able to have the stored secret, or the tokens, sent to a server of theirs.
    """
    moved = _receivers(provider_id, settings_) - _receivers(stored.provider, stored.settings)
    if provider_id == stored.provider and not moved:
        return {}
    count = Token.objects.filter(oauth_client=stored).count()
    if count:
        field = "provider" if provider_id != stored.provider else "settings"
        held = "1 connector holds a token" if count == 1 else f"{count} connectors hold tokens"
        text = f"{held} of this client, which would be sent to another server from now on."
        return {field: f"{text} Add another OAuth client instead, or forget these tokens first."}
    if keeps_secret and stored.client_secret:
        return {"secret": "Enter the secret again: from now on it will be sent to another address."}
    return {}


def check_client(oauth_client: OAuthClient, redirect_uri: str, actor: Actor) -> OAuthClient.State:
    """Asks the provider whether it accepts the client, without anybody's consent, and notes the answer.

    Usable, or misconfigured with the reason in `state_note`. Raises PortalError when it could not be told; the state
    then stays as it was. Tokens of a client that was misconfigured until now are tried again.
    """
    problem = _problem(oauth_client, redirect_uri)
    with transaction.atomic():
        stored = OAuthClient.objects.select_for_update().get(pk=oauth_client.pk)
        if any(getattr(stored, name) != getattr(oauth_client, name) for name in _IDENTITY):
            raise Refused("Somebody changed this OAuth client while it was checked. Check it again.")
        before = {"state": stored.state, "note": stored.state_note}
        oauth_client.state = State.MISCONFIGURED if problem else State.USABLE
        oauth_client.state_note, oauth_client.checked_at = problem[:300], timezone.now()
        oauth_client.save(update_fields=["state", "state_note", "checked_at"])
        after = {"state": str(oauth_client.state), "note": oauth_client.state_note}
        old, new = changes(before, after)
        record_event(actor, "oauth_client.checked", oauth_client, before=old, after=new or {"state": after["state"]})
        if stored.state == State.MISCONFIGURED and not problem:
            _try_tokens_again(oauth_client)
    return oauth_client.state


@transaction.atomic
def delete_client(oauth_client: OAuthClient, actor: Actor, viewer: Person | None = None) -> None:
    """Forgets the client; at the provider it stays. Raises Refused, naming them, while connectors hold tokens of it.

    `viewer` is whoever reads that: None for somebody who may see everything.
    """
    OAuthClient.objects.select_for_update().get(pk=oauth_client.pk)
    if users := users_of(oauth_client, viewer):
        held = "holds a token" if len(users) == 1 else "hold tokens"
        raise Refused(f"{oauth_client} can't be deleted while {listing(users)} {held} of it. Forget these first.")
    record_event(actor, "oauth_client.deleted", oauth_client, before=_values(oauth_client))
    oauth_client.delete()


def users_of(oauth_client: OAuthClient, viewer: Person | None = None) -> list[str]:
    """Connectors that hold a token of this client, as `gmail in Shop`; those that `viewer` may not see go unnamed."""
    rows = Token.objects.filter(oauth_client=oauth_client).order_by("pk")
    seen = rows if viewer is None else rows.visible_to(viewer)
    found = seen.values_list("pk", "connector__integration_type_id", "connector__project__name")
    named = {pk: f"{type_} in {project}" for pk, type_, project in found}
    others = [NOT_NAMED] if rows.exclude(pk__in=named).exists() else []
    return [*named.values(), *others]


def _store(stored: OAuthClient, oauth_client: OAuthClient, actor: Actor) -> None:
    fields = [*FIELDS, "client_secret", "secret_set_at"]
    old, new = changes(_values(stored), _values(oauth_client))
    is_another = any(name in new for name in _IDENTITY)
    if is_another:
        oauth_client.state, oauth_client.state_note, oauth_client.checked_at = State.UNCHECKED, "", None
        fields += ["state", "state_note", "checked_at"]
    oauth_client.save(update_fields=fields)
    if new:
        record_event(actor, "oauth_client.changed", oauth_client, before=old, after=new)
    if is_another and stored.state == State.MISCONFIGURED:
        _try_tokens_again(oauth_client)


def _values(oauth_client: OAuthClient) -> dict[str, Any]:
    return {name: getattr(oauth_client, name) for name in (*FIELDS, "client_secret")}


def _try_tokens_again(oauth_client: OAuthClient) -> None:
    """Makes the client's tokens due, also those given up; one that never had anything to refresh stays as it is."""
    renewable = Q(refresh_at__isnull=False) | Q(state=Token.State.FAILING)
    Token.objects.alive().filter(renewable, oauth_client=oauth_client).update(refresh_at=timezone.now())


def _receivers(provider_id: str, settings_: Mapping[str, str]) -> set[str]:
    """The servers that get the secret or a token, as `https://host`: all but that of the authorisation page."""
    found: set[str] = set()
    for info in supported_types(provider_id):
        profile = _profile(info, settings_)
        for url in (profile.token_url, profile.revoke_url, profile.introspect_url, profile.userinfo_url):
            parts = urlsplit(url or "")
            found.add(f"{parts.scheme}://{parts.netloc}".lower())
    return found - {"://"}


def _profile(info: IntegrationTypeInfo, settings_: Mapping[str, str]) -> Profile:
    """The addresses with these settings; a missing one is filled with a word that is nobody's host. Raises Refused."""
    said = {name: value for name, value in settings_.items() if value}
    return profile_of(info.slug, Registration("unset", SecretStr(""), {**_unset(settings_needed(info)), **said}))


def _unset(names: Iterable[str]) -> dict[str, str]:
    return {name: f"unset-{name.replace('_', '-')}" for name in names}


def _problem(oauth_client: OAuthClient, redirect_uri: str) -> str:
    """Why nothing can be done with this client, "" when the provider accepts it. Raises PortalError for neither."""
    name = provider_name(oauth_client.provider)
    types = supported_types(oauth_client.provider)
    if not types:
        raise Refused(f"The portal cannot authorise anything at {name}, so there is nothing to check.")
    if not oauth_client.client_id:
        return "The client id is missing."
    try:
        registration = registration_of(oauth_client)
    except UnreadableSecretError as error:
        return str(error)
    try:
        profile = profile_of(types[0].slug, registration, connection_config=_example(oauth_client))
    except Refused as error:
        return _missing_setting(types[0], registration, error)
    answer = TokenEndpoint(profile, registration).probe(redirect_uri)
    if answer is None:
        return ""
    if not oauth_client.client_secret and answer.kind in (Kind.CLIENT, Kind.REFUSED):
        return f"No secret is set, and {name} does not accept the client without one."
    if answer.kind is Kind.CLIENT:
        return str(answer)
    raise answer


def _missing_setting(info: IntegrationTypeInfo, registration: Registration, error: Refused) -> str:
    """What is missing, unless each connector may bring it along: raises Refused then."""
    brought = _unset(field.name for field in info.connection_config_fields)
    try:
        profile_of(info.slug, registration, connection_config=brought)
    except Refused:
        return str(error)
    raise Refused(f"{error} Each connector may say it instead: then it shows when one is authorised.")


def _example(oauth_client: OAuthClient) -> Mapping[str, str]:
    """The connection settings of some connector that holds a token of this client."""
    row = Token.objects.filter(oauth_client=oauth_client).select_related("connector").order_by("pk").first()
    return row.connector.connection_config if row else {}
