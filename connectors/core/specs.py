"""The nouns that files, plans, the client and the flows hand to each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

STRIPE = "stripe"
"""The one integration type without OAuth: Base44 provisions it through endpoints of its own."""

TYPE_PATTERN = re.compile(r"[a-z0-9_-]+", re.IGNORECASE | re.ASCII)
"""What Base44's CLI takes as an integration type (base44 0.1.18; the whole string must match)."""


UNREADABLE = "unreadable"
"""Our own word for the status of a connector that Base44 listed in a form that could not be read."""


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """What a project asks of one integration type: the desired state, as a file or the portal declares it.

    Scopes keep the author's order and spelling; compare them through `core.scopes`, never by list.
    """

    type: str
    scopes: tuple[str, ...] = ()
    connection_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegisteredConnector:
    """What Base44 lists for one integration type of an app.

    `status` is Base44's word in lower case (active, disconnected, expired; others may appear).
    `account` is the e-mail address that authorised it, "" when Base44 does not say.
    """

    type: str
    status: str
    scopes: tuple[str, ...] = ()
    account: str = ""


@dataclass(frozen=True, slots=True)
class RegisteredState:
    """Everything Base44 said of one app's connectors in one look.

    `stripe_mode` is "sandbox", "live", "" (not installed) or None (could not be learnt).
    `odd_rows` says in words which listed connectors could not be read; those whose type could be read are among
    `connectors` with status "unreadable", so that nobody takes them for absent.
    """

    connectors: tuple[RegisteredConnector, ...] = ()
    stripe_mode: str | None = None
    odd_rows: tuple[str, ...] = ()
