"""Put on record who came in, who failed to, and what they changed about how they come in."""

from __future__ import annotations

from django.contrib.auth.models import User

from connectors.core.actor import Actor, Door
from connectors.flows.events import record_event


def came_in(user: User, how: str) -> None:
    """`how` in words: "password and authenticator app", "passkey", the name of a provider."""
    record_event(_of(user), "login.succeeded", user, after={"how": how})


def failed(user: User | None, why: str) -> None:
    """Somebody did not get in. Whoever is not known stays nameless: people type their password as their name."""
    if user is None:
        record_event(Actor("somebody", Door.ADMIN), "login.failed", User(username="(not known here)"), note=why)
    else:
        record_event(Actor("somebody", Door.ADMIN), "login.failed", user, note=why)


def went_out(user: User) -> None:
    """The person logged out by themselves."""
    record_event(_of(user), "login.logged_out", user)


def factor_changed(user: User, verb: str, kind: str) -> None:
    """`verb` is added, removed, renewed or used, `kind` what of: "authenticator app", "passkey", "recovery codes"."""
    record_event(_of(user), f"login.second_factor_{verb}", user, after={"factor": kind})


def password_changed(user: User, actor: Actor) -> None:
    """The password is another one now; neither is written down."""
    record_event(actor, "login.password_changed", user)


def _of(user: User) -> Actor:
    return Actor(user.get_username(), Door.ADMIN, user.pk)
