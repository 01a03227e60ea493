"""What Base44 does with scopes: setting and adding them, consent, status, expiry, removal.

Each function takes the world's lock. Rules: `PUT` sets exactly the scopes asked for, `initiate` adds to them; scopes
that are not allowed vanish, always-needed ones are added. The same set on one's own active connection needs nothing;
on a colleague's it is `different_user`; everything else, narrowing too, needs a person's consent.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from connectors.core.base44.emulator.catalog import Integration
from connectors.core.base44.emulator.state import App, Connection, Link, World
from connectors.core.base44.emulator.wire import refusal


@dataclass(frozen=True, slots=True)
class Outcome:
    """What asking for scopes led to: nothing to do, somebody else's connection, or a link to open."""

    link: Link | None = None
    other_user: str = ""


def integration(world: World, integration_type: str) -> Integration:
    """The catalogue's entry; raises 400 for a type that Base44 does not have."""
    found = world.integrations.get(integration_type)
    if found is None:
        raise refusal(400, f"Unsupported integration type: {integration_type}")
    return found


def effective_scopes(entry: Integration, asked: Iterable[str]) -> list[str]:
    """What a request for these scopes amounts to: without unallowed and repeated ones, with the auto-added ones.

    Slack, asked `["chat:write", "admin.users:read"]` -> `["chat:write", "identify"]`.
    """
    allowed = [scope for scope in asked if not any(fnmatchcase(scope, pattern) for pattern in entry.unallowed)]
    return list(dict.fromkeys([*allowed, *entry.auto_added]))


def request_scopes(
    world: World,
    app: App,
    integration_type: str,
    scopes: Iterable[str],
    *,
    email: str,
    config: Mapping[str, str] | None = None,
    add: bool = False,
    force: bool = False,
) -> Outcome:
    """Set (or with `add`, add) scopes for a person. Raises 400 for an unknown type or a bad connection config."""
    with world.lock:
        entry = integration(world, integration_type)
        values = checked_config(entry, config or {})
        current = app.connections.get(integration_type)
        before = current.scopes if current and add else []
        wanted = effective_scopes(entry, [*before, *scopes])
        if not force and current and _agrees(entry, current, wanted, values):
            own = current.account in ("", email)
            return Outcome() if own else Outcome(other_user=current.account)
        return Outcome(link=_new_link(world, app, integration_type, wanted, values, email))


def _agrees(entry: Integration, current: Connection, wanted: Iterable[str], config: Mapping[str, str]) -> bool:
    same_scopes = set(effective_scopes(entry, current.scopes)) == set(wanted)
    return current.status == "active" and same_scopes and dict(config) == current.config


def _new_link(
    world: World, app: App, integration_type: str, scopes: list[str], config: dict[str, str], email: str
) -> Link:
    link = Link(
        connection_id=uuid.uuid4().hex,
        secret=secrets.token_urlsafe(24),
        app=app.id,
        type=integration_type,
        scopes=scopes,
        config=config,
        started_by=email,
    )
    world.data.links[link.connection_id] = link
    world.changed()
    return link


def checked_config(entry: Integration, given: Mapping[str, str]) -> dict[str, str]:
    """The values of the type's own fields; raises 400 when a required one is missing or one has the wrong form."""
    values: dict[str, str] = {}
    for wanted in entry.config_fields:
        value = given.get(wanted.name, "")
        if not value:
            if wanted.required:
                raise refusal(400, f"Missing required connection config field: {wanted.name}")
            continue
        if wanted.validation_pattern and not re.search(wanted.validation_pattern, value):
            raise refusal(400, wanted.validation_error or f"Invalid value for connection config field: {wanted.name}")
        values[wanted.name] = value
    return values


def find_link(world: World, secret: str) -> Link | None:
    """The link whose address ends in `secret`, used or not."""
    with world.lock:
        return next((link for link in world.data.links.values() if link.secret == secret), None)


def pending_links(world: World, app_id: str = "", integration_type: str = "") -> list[Link]:
    """Links nobody has decided yet, oldest first; of one app and type when these are given."""
    with world.lock:
        return [
            link
            for link in world.data.links.values()
            if link.status == "PENDING" and app_id in ("", link.app) and integration_type in ("", link.type)
        ]


def decide(world: World, link: Link, granted: Iterable[str] | None, account: str = "") -> bool:
    """A person answers the consent page: `granted` scopes, or None for "no". False when the link was used before.

    A yes makes `account`'s connection replace what was there; a no leaves the old connection as it is.
    """
    with world.lock:
        app = world.data.apps.get(link.app)
        if link.status != "PENDING" or app is None:
            return False
        world.changed()
        if granted is None:
            link.status = "FAILED"
            return True
        link.status = "ACTIVE"
        auto_added = world.integrations[link.type].auto_added if link.type in world.integrations else ()
        kept = set(granted).union(auto_added)
        app.connections[link.type] = Connection(
            type=link.type,
            scopes=[scope for scope in link.scopes if scope in kept],
            account=account or link.started_by,
            config=dict(link.config),
            connection_id=link.connection_id,
        )
        return True


def link_status(world: World, app: App, integration_type: str, connection_id: str, email: str) -> str:
    """PENDING, ACTIVE or FAILED; another person's link always reads PENDING. Raises 404 for an unknown one."""
    with world.lock:
        link = world.data.links.get(connection_id)
        if link is None or link.app != app.id or link.type != integration_type:
            raise refusal(404, "Connection not found")
        return link.status if link.started_by == email else "PENDING"


def listed(world: World, app: App) -> list[Connection]:
    """The app's connections as `list` shows them: active ones are probed, so one that ran out becomes expired."""
    with world.lock:
        now = world.clock()
        for connection in app.connections.values():
            if connection.status == "active" and connection.expires_at is not None and connection.expires_at <= now:
                connection.status = "expired"
                world.changed()
        return [connection for connection in app.connections.values() if not connection.hidden]


def remove(world: World, app: App, integration_type: str) -> None:
    """Forget a connection; succeeds when there was none."""
    with world.lock:
        if app.connections.pop(integration_type, None) is not None:
            world.changed()


def set_status(world: World, app: App, integration_type: str, status: str) -> bool:
    """Give a connection a status (active, expired, disconnected or anything else); False when there is none."""
    with world.lock:
        connection = app.connections.get(integration_type)
        if connection is None:
            return False
        connection.status = status
        world.changed()
        return True


def deploy(world: World, app: App, declared: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Reconcile as `deployment/connectors` does: what is not declared goes, what is declared awaits consent."""
    with world.lock:
        app.deployed = {name: effective_scopes(integration(world, name), asked) for name, asked in declared.items()}
        for name in [name for name in app.connections if name not in app.deployed]:
            del app.connections[name]
        world.changed()
        return app.deployed
