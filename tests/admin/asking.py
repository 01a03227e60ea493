"""The admin's pages and one row of each kind, to ask as anybody for any of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.admin.base import PortalAdmin
from connectors.core.actor import Actor, Door
from connectors.flows.events import record_event
from connectors.models import CatalogueScope, LedgerEntry, ReviewCampaign, SyncRun
from tests.factories import (
    keep_ledger,
    make_connector,
    make_consent_link,
    make_exception,
    make_incident,
    make_oauth_client,
    make_placement,
    make_project,
    make_repository,
    make_route,
    make_rule,
    make_token,
    make_type,
    make_user,
    make_workspace,
)

TABLES = {
    "workspace",
    "project",
    "integrationtype",
    "connector",
    "syncrun",
    "event",
    "oauthclient",
    "token",
    "consentlink",
    "cataloguescope",
    "ledgerentry",
    "reviewcampaign",
    "incident",
    "alertroute",
    "policyrule",
    "policyexception",
    "repository",
}
"""What connectors are about. tests/matrix asks every page of every admin as everybody, those of people too."""
OURS = [
    found
    for found in admin.site._registry.values()
    if isinstance(found, PortalAdmin) and found.opts.model_name in TABLES
]
NAMES = [str(found.opts.model_name) for found in OURS]
EDITABLE = (
    "workspace",
    "project",
    "connector",
    "oauthclient",
    "cataloguescope",
    "reviewcampaign",
    "alertroute",
    "policyrule",
    "repository",
)
WITHOUT_ROW = ("catalogue", "oauth_support", "offered", "scopes", "accounts", "people")
"""Pages that are about all rows."""
SETUP = ("test", "key", "hostkeys", "webhook", "find", "check")
"""Pages of a repository that show how something stands, and change it on POST."""
SECRET = b"Zebra"
"""Stands in every row: whoever must not see one must not see this word."""


@dataclass(frozen=True)
class Page:
    """A page of an admin. `asks` is what one must be allowed to do there; "post" pages answer no other method."""

    name: str
    model: str
    asks: str
    method: str = "get"

    def __str__(self) -> str:
        return f"{self.model}-{self.name}-{self.method}"


def pages() -> Iterator[Page]:
    """Every page that Django makes for an admin of ours, and those that we hang there."""
    for model in NAMES:
        yield from (Page(name, model, "view") for name in ("changelist", "change", "history"))
        yield from (Page(name, model, name) for name in ("add", "delete"))
        yield from (Page(name, model, name, "post") for name in ("add", "change", "delete"))
    yield Page("catalogue", "connector", "view")
    yield from (Page(name, "integrationtype", "view") for name in ("oauth_support", "offered"))
    yield Page("offered", "integrationtype", "change", "post")
    yield Page("shipped", "cataloguescope", "change", "post")
    yield from (Page(name, "ledgerentry", "view") for name in ("scopes", "accounts", "people"))
    yield Page("check", "oauthclient", "change", "post")
    yield from (Page(name, "alertroute", "change", "post") for name in ("test", "secret"))
    yield Page("rehearsal", "policyrule", "view")
    yield Page("switch", "policyrule", "change", "post")
    yield from (Page(name, "policyexception", "decide", "post") for name in ("decide", "withdraw"))
    yield Page("withdraw", "consentlink", "change", "post")
    yield Page("sync", "project", "change", "post")
    yield from (Page(name, "token", "change", "post") for name in ("refresh", "introspect", "revoke"))
    yield from (Page(name, "reviewcampaign", "view") for name in ("open", "decide", "carry_out", "evidence"))
    yield from (Page(name, "reviewcampaign", "change", "post") for name in ("open", "carry_out", "close"))
    yield from (Page(name, "repository", "view") for name in SETUP)
    yield from (Page(name, "repository", "change", "post") for name in SETUP)
    yield Page("find_list", "repository", "view")
    yield Page("autocomplete:project", "placement", "view")
    for model_admin in OURS:
        for field in model_admin.autocomplete_fields or ():
            yield Page(f"autocomplete:{field}", str(model_admin.opts.model_name), "view")


PAGES = list(pages())
AUTOCOMPLETES = [page for page in PAGES if page.name.startswith("autocomplete")]


def make_rows() -> dict[str, Model]:
    """One row of every model, each with the secret word in its name."""
    word = SECRET.decode()
    workspace = make_workspace(f"{word} workspace")
    project = make_project("p", workspace=workspace, name=f"{word} project")
    kind = make_type("zoo", display_name=f"{word} type")
    connector = make_connector(project, "zoo", ["zoo.read"])
    run = SyncRun.objects.create(project=project, kind="sync", actor_label=word, door="admin", message=word)
    client = make_oauth_client("zoo", name=f"{word} client", workspace=workspace)
    event = record_event(Actor(word, Door.SHELL), "project.added", project)
    made: dict[str, Model] = {
        "workspace": workspace,
        "project": project,
        "integrationtype": kind,
        "connector": connector,
        "syncrun": run,
        "event": event,
        "oauthclient": client,
        "token": make_token(connector, oauth_client=client, account=word),
        "consentlink": make_consent_link(connector, oauth_client=client, note=word),
        "cataloguescope": CatalogueScope.objects.create(provider="slack", name=word, title=word, is_shipped=False),
        "incident": make_incident(title=word, workspace=workspace, project=project, connector=connector),
        "alertroute": make_route(word, emails=[f"{word}@example.com"]),
    }
    made["repository"] = repository = make_repository(f"{word} repository", url=f"file:///{word}/apps.git", token=word)
    make_placement(project, repository)
    made["reviewcampaign"] = ReviewCampaign.objects.create(
        name=f"{word} review", workspace=workspace, due_at=timezone.now() + dt.timedelta(days=14)
    )
    made["policyrule"] = rule = make_rule(f"{word} policy", is_enabled=False)
    made["policyexception"] = make_exception(rule, project, reason=word)
    keep_ledger(connector)
    made["ledgerentry"] = LedgerEntry.objects.get()
    return made


def path_of(model: str) -> str:
    """Where the list of this model is."""
    return reverse(f"admin:connectors_{model}_changelist")


def address(page: Page, rows: dict[str, Model]) -> str:
    """Where the page of these rows is."""
    if page.name.startswith("autocomplete"):
        asked = {"app_label": "connectors", "model_name": page.model, "field_name": page.name.split(":")[1], "term": ""}
        return f"{reverse('admin:autocomplete')}?{urlencode(asked)}"
    args = [] if page.name in ("changelist", "add", *WITHOUT_ROW) else [rows[page.model].pk]
    found = reverse(f"admin:connectors_{page.model}_{page.name}", args=args)
    return f"{found}?type=zoo" if page.name == "catalogue" else found


def ask(user: User | None, page: Page, rows: dict[str, Model]) -> Any:
    """What this person gets there; None: somebody who is not logged in."""
    client = Client()
    if user is not None:
        client.force_login(user)
    send = client.post if page.method == "post" else client.get
    return send(address(page, rows), {"post": "yes"} if page.method == "post" else None)


def is_way_to_run(page: Page) -> bool:
    """A run or ledger entry has no form: its address leads to another page, which asks for permission itself."""
    return page.model in ("syncrun", "ledgerentry") and page.name == "change"


def everything() -> dict[str, list[dict[str, Any]]]:
    """All rows of all models, to see whether anything has changed."""
    rows = {str(found.opts.model_name): list(found.model._base_manager.order_by("pk").values()) for found in OURS}
    # That somebody was turned away is on record, and changes nothing.
    return rows | {"event": [row for row in rows["event"] if row["verb"] != "access.denied"]}


def allowed(*codenames: str) -> User:
    """Staff with exactly these permissions."""
    user = make_user("+".join(codenames)[:150], staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user
