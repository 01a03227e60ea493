"""Links with which an admin asks a colleague for consent: for one connector, one person, one success and a few days."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import SCHEDULER, Actor, Door
from connectors.core.crypto import fingerprint
from connectors.core.errors import PortalError, Refused
from connectors.flows.authorise import refuse_hopeless
from connectors.flows.consent import refuse_undeclared, refuse_without_page
from connectors.flows.events import record_event
from connectors.models import Authorisation, Connector, ConsentLink, OAuthClient
from connectors.models.authorisation import ConsentLinkQuerySet

Kind = ConsentLink.Kind

LIFETIME = dt.timedelta(days=3)
MAX_LIFETIME = dt.timedelta(days=30)


class LinkRefused(Refused):
    """A link that opens nothing (any more). `why` is one of WHY."""

    def __init__(self, why: str) -> None:
        super().__init__(WHY[why])
        self.why = why


WHY = {
    "unknown": "This link is not one of the portal's. Copy it once more, whole, from the message that brought it.",
    "expired": "This link's time is up. Ask whoever sent it for a new one.",
    "used": "This link was used: consent was given with it. There is nothing left to do.",
    "withdrawn": "This link was withdrawn. If you are still asked for consent, ask for the newer link.",
}


class User(Protocol):
    """Who is logged in, as far as a link is concerned."""

    pk: Any

    def get_username(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """For what a link is wanted. `oauth_client` goes with consent that the portal itself is to hold.

    `other_account`: the account that agrees may be another one than before, because whoever had that one leaves.
    """

    connector: Connector
    kind: ConsentLink.Kind
    oauth_client: OAuthClient | None = None
    other_account: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one `Asked`: a link, which is shown now and never again, or why there is none."""

    asked: Asked
    link: ConsentLink | None = None
    secret: SecretStr | None = None
    problem: str = ""


def make_link(
    connector: Connector,
    kind: ConsentLink.Kind,
    actor: Actor,
    *,
    oauth_client: OAuthClient | None = None,
    note: str = "",
    lifetime: dt.timedelta = LIFETIME,
) -> SecretStr:
    """The secret part of a new link; the portal keeps a hash of it. Raises Refused where consent could not be given."""
    return _make(Asked(connector, kind, oauth_client), actor, note, lifetime)[1]


def make_links(
    asked: Iterable[Asked], actor: Actor, *, note: str = "", lifetime: dt.timedelta = LIFETIME
) -> list[Made]:
    """A link for each; one that is refused holds up no other."""
    return [_made(item, actor, note, lifetime) for item in asked]


def open_link(token: str, now: dt.datetime) -> ConsentLink:
    """The link with this secret. Raises LinkRefused for one that is unknown, used, withdrawn or over."""
    link = ConsentLink.objects.filter(token_hash=fingerprint(token)).first()
    if link is None:
        raise LinkRefused("unknown")
    refuse_closed(link, now)
    return link


def refuse_closed(link: ConsentLink, now: dt.datetime) -> None:
    """Raises LinkRefused when no consent can be given with the link any more."""
    if link.used_at is not None:
        raise LinkRefused("used")
    if link.revoked_at is not None:
        raise LinkRefused("withdrawn")
    if link.expires_at <= now:
        raise LinkRefused("expired")


@transaction.atomic
def claim(link: ConsentLink, user: User) -> None:
    """Gives the link to the first who starts with it, for good; the same person may start again.

    Raises Refused for everybody else, and when the link is over.
    """
    now = timezone.now()
    unclaimed = ConsentLink.objects.open(now).filter(pk=link.pk, claimed_at=None)
    if unclaimed.update(claimed_by_id=user.pk, claimed_at=now):
        link.refresh_from_db()
        record_event(_actor(user), "consent_link.opened", link)
        return
    link.refresh_from_db()
    refuse_closed(link, now)
    if link.claimed_by_id != user.pk:
        raise Refused(f"{name_of(link.claimed_by)} has opened this link already. It works for one person only.")


@transaction.atomic
def withdraw(link: ConsentLink, actor: Actor, *, note: str = "") -> bool:
    """Ends the link, and the trip to a provider that somebody is on with it; False when it had ended before."""
    if not _withdraw(ConsentLink.objects.filter(pk=link.pk), timezone.now()):
        return False
    record_event(actor, "consent_link.withdrawn", link, note=note)
    return True


@transaction.atomic
def settle(link: ConsentLink, success: bool, message: str) -> None:
    """Notes what came of the link. Success ends it; after a failure the same person can start again."""
    link.message = message[:500]
    unused = ConsentLink.objects.filter(pk=link.pk, used_at=None)
    if not success:
        unused.exclude(message=link.message).update(message=link.message)
        return
    now = timezone.now()
    if unused.update(used_at=now, message=link.message):
        link.used_at = now
        actor = _actor(link.claimed_by) if link.claimed_by else SCHEDULER
        record_event(actor, "consent_link.used", link, note=link.message)


def name_of(user: AbstractBaseUser | None) -> str:
    """How a person is called in front of others."""
    if user is None:
        return "Somebody"
    full: str = getattr(user, "get_full_name", str)()
    return full or user.get_username()


def _made(asked: Asked, actor: Actor, note: str, lifetime: dt.timedelta) -> Made:
    try:
        link, secret = _make(asked, actor, note, lifetime)
    except PortalError as error:
        return Made(asked, problem=str(error))
    return Made(asked, link, secret)


@transaction.atomic
def _make(asked: Asked, actor: Actor, note: str, lifetime: dt.timedelta) -> tuple[ConsentLink, SecretStr]:
    _refuse_hopeless(asked)
    now = timezone.now()
    _replace(asked, actor, now)
    secret = SecretStr(secrets.token_urlsafe(32))
    link = ConsentLink.objects.create(
        token_hash=fingerprint(secret.get_secret_value()),
        connector=asked.connector,
        kind=asked.kind,
        oauth_client=asked.oauth_client if asked.kind == Kind.PORTAL else None,
        note=note.strip()[:200],
        allows_other_account=asked.other_account,
        created_by_id=actor.user_id,
        expires_at=now + min(lifetime, MAX_LIFETIME),
    )
    after = {"way": str(asked.kind.label), "ends": link.expires_at.isoformat(timespec="minutes")}
    record_event(actor, "consent_link.made", link, after=after, note=link.note)
    return link, secret


def _refuse_hopeless(asked: Asked) -> None:
    connector = asked.connector
    if asked.kind == Kind.PORTAL:
        if asked.oauth_client is None:
            raise Refused("Say with which OAuth client the portal is to ask for consent.")
        return refuse_hopeless(connector, asked.oauth_client)
    refuse_undeclared(connector)
    refuse_without_page(connector)
    return None


def _replace(asked: Asked, actor: Actor, now: dt.datetime) -> None:
    """Withdraws what is open for the same: nobody can look an old link up, so two would only be one too many."""
    for link in ConsentLink.objects.open(now).filter(connector=asked.connector, kind=asked.kind):
        withdraw(link, actor, note="A newer link takes its place.")


def _withdraw(links: ConsentLinkQuerySet, now: dt.datetime) -> int:
    keys = list(links.open(now).values_list("pk", flat=True))
    Authorisation.objects.pending().filter(consent_link__in=keys, claimed_at=None).update(expires_at=now)
    return ConsentLink.objects.open(now).filter(pk__in=keys).update(revoked_at=now)


def _actor(user: User) -> Actor:
    return Actor(user.get_username(), Door.ADMIN, user.pk)
