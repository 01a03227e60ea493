"""What the portal asks of Base44 on behalf of one workspace, in the portal's own nouns."""

from __future__ import annotations

import logging
import random as random_module
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import urllib3
from pydantic_core import from_json

from connectors.core.base44 import budget as budgets
from connectors.core.base44.budget import Budget
from connectors.core.base44.contract import (
    App,
    AppSummary,
    AvailableIntegration,
    ConnectionStatus,
    ListedConnector,
    OddRow,
    RemoveAnswer,
    Row,
    Rows,
    SetScopesAnswer,
    SetScopesRequest,
    StripeInstall,
    StripeRemove,
    StripeStatus,
    UserInfo,
    Workspace,
    read_rows,
    render,
)
from connectors.core.base44.credentials import Credential
from connectors.core.base44.http import TIMEOUT, Call, Policy, Transport, host_of, unreadable
from connectors.core.errors import ApiError, CredentialError
from connectors.core.specs import TYPE_PATTERN, UNREADABLE, RegisteredConnector, RegisteredState

log = logging.getLogger(__name__)

STRIPE_TIMEOUT = 60.0
"""Seconds: installing or removing Stripe takes Base44 long, and the CLI waits as long."""


APPS_PER_PAGE = 50
_MAX_PAGES = 100
_APP_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Base44Client:
    """Base44's API with one credential and one rate budget. Thread-safe; connections are kept open between calls.

    Every method raises CredentialError when Base44 does not accept the credential, and ApiError otherwise. Its text is
    for an admin; `permanent` says whether a later try can help; the code `answer_lost` means: list before asking again.
    """

    def __init__(
        self,
        api_url: str,
        credential: Credential | None,
        *,
        budget: Budget | None = None,
        pool: urllib3.PoolManager | None = None,
        timeout: float = TIMEOUT,
        policy: Policy | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        """Without a `pool` all clients of a process share one. `credential` None reaches only the open endpoints."""
        self._host = host_of(api_url)
        self._transport = Transport(
            credential,
            budget=budget,
            pool=pool,
            timeout=timeout,
            policy=policy,
            clock=clock,
            wall_clock=wall_clock,
            sleep=sleep,
            random=random,
        )

    # Connectors

    def registered_state(self, app_id: str) -> RegisteredState:
        """Everything Base44 says of one app's connectors.

        Stripe has endpoints of its own: when only they fail, `stripe_mode` is None and the rest still counts.
        """
        rows = self._listed(app_id)
        try:
            stripe_mode: str | None = self.stripe_status(app_id).stripe_mode or ""
        except CredentialError:
            raise
        except ApiError as error:
            log.warning("Stripe of app %s stays unknown: %s", app_id, error)
            stripe_mode = None
        odd_rows = tuple(f"Row {odd.position + 1} of Base44's list: {odd.problem}" for odd in rows.odd)
        return RegisteredState(_registered(rows), stripe_mode, odd_rows)

    def list_connectors(self, app_id: str) -> tuple[RegisteredConnector, ...]:
        """The connectors Base44 lists for the app. Base44 probes each active connection for it: ask gently.

        An odd row does not lose the others: it comes with status "unreadable", or is only logged without a type.
        """
        return _registered(self._listed(app_id))

    def set_scopes(
        self,
        app_id: str,
        integration_type: str,
        scopes: Sequence[str],
        connection_config: Mapping[str, str] | None = None,
    ) -> SetScopesAnswer:
        """Set exactly these scopes. Look at `error` too: Base44 refuses with HTTP 200 (`different_user`).

        An answer with a `redirect_url` waits for a person's consent; the old connection serves until then. Each call
        for scopes that are not satisfied yet makes a new link, therefore a lost answer is never asked for again here:
        it raises ApiError with code `answer_lost`, and the caller lists before it sets again.
        """
        config = {"connection_config": dict(connection_config)} if connection_config else {}
        request = SetScopesRequest(scopes=tuple(scopes), **config)
        url = f"{self._auth(app_id)}/integrations/{_type(integration_type)}"
        call = Call("PUT", url, f"set the scopes of {integration_type} of app {app_id}", body=render(request))
        return self._transport.ask(call, SetScopesAnswer)

    def connection_status(self, app_id: str, integration_type: str, connection_id: str) -> str:
        """ACTIVE, FAILED or PENDING (others may appear) of a consent that this same user started.

        An abandoned consent stays PENDING for ever, and so does everybody else's.
        """
        call = Call(
            "GET",
            f"{self._auth(app_id)}/status",
            f"say whether {integration_type} of app {app_id} is connected",
            budgets.STATUS,
            query={"integration_type": _type(integration_type), "connection_id": connection_id},
        )
        return self._transport.ask(call, ConnectionStatus).status.upper()

    def remove_connector(self, app_id: str, integration_type: str) -> None:
        """Remove the connector, its connection, and its file in the app's own code. Being absent is success."""
        url = f"{self._auth(app_id)}/integrations/{_type(integration_type)}/remove"
        call = Call("DELETE", url, f"remove {integration_type} of app {app_id}", budgets.DELETE)
        self._transport.ask(call, RemoveAnswer)

    def available_integrations(self, app_id: str | None = None) -> tuple[AvailableIntegration, ...]:
        """The integration types on offer (never Stripe): for one app, or for the account. Odd rows are only logged."""
        base = self._auth(app_id) if app_id is not None else f"{self._host.root}/api/external-auth"
        call = Call("GET", f"{base}/available-integrations", "list the available integrations", budgets.AVAILABLE)
        return self._rows(call, AvailableIntegration, key="integrations").good

    def auto_added_scopes(self) -> dict[str, tuple[str, ...]]:
        """Scopes that Base44 adds by itself, by integration type. Needs no credential, and sends none."""
        url = f"{self._host.root}/api/external-auth/auto-added-scopes"
        call = Call("GET", url, "list the scopes that it adds", budgets.AVAILABLE, signed=False)
        reply = self._transport.send(call)
        try:
            document = from_json(reply.body)
        except ValueError:
            raise unreadable(call, reply, "the answer is not complete JSON") from None
        if not isinstance(document, dict):
            raise unreadable(call, reply, "the answer is not an object")
        return {kind: tuple(map(str, scopes)) for kind, scopes in document.items() if isinstance(scopes, list)}

    # Stripe

    def stripe_status(self, app_id: str) -> StripeStatus:
        """Whether Stripe is installed, and in which mode. A look, so it has the ordinary time limit."""
        call = Call("GET", f"{self._stripe(app_id)}/status", f"say whether app {app_id} has Stripe")
        return self._transport.ask(call, StripeStatus)

    def stripe_install(self, app_id: str) -> StripeInstall:
        """Provision a Stripe sandbox. Its `claim_url` is a credential. Nothing happens when it is there already."""
        call = Call(
            "POST", f"{self._stripe(app_id)}/install", f"install Stripe in app {app_id}", timeout=STRIPE_TIMEOUT
        )
        return self._transport.ask(call, StripeInstall)

    def stripe_remove(self, app_id: str) -> None:
        """Remove Stripe, a live account as well as a sandbox. Raises ApiError also when Base44 answers "no success"."""
        call = Call("DELETE", self._stripe(app_id), f"remove Stripe from app {app_id}", timeout=STRIPE_TIMEOUT)
        if not self._transport.ask(call, StripeRemove).success:
            raise ApiError(f"Base44 could not {call.doing}: it answered without success.", permanent=False)

    # Apps, workspaces, people

    def list_apps(self) -> tuple[AppSummary, ...]:
        """The apps that the credential reaches, the one updated last first.

        Base44's CLI stops at 50. Here the next page is asked for with `skip`, which Base44 does not document for apps:
        an answer that brings nothing new, or a refusal, ends the list.
        """
        apps: dict[str, AppSummary] = {}
        for page in range(_MAX_PAGES):
            try:
                found = self._page_of_apps(page * APPS_PER_PAGE)
            except ApiError as error:
                if page == 0 or not error.permanent or isinstance(error, CredentialError):
                    raise
                log.warning("Only the first %d apps could be listed: %s", len(apps), error)
                break
            known = len(apps)
            apps.update((app.id, app) for app in found if app.id not in apps)
            if len(found) < APPS_PER_PAGE or len(apps) == known:
                break
        return tuple(apps.values())

    def app(self, app_id: str) -> App:
        """One app's name and workspace. Raises ApiError with status 404 when the credential does not reach it."""
        url = f"{self._host.root}/api/apps/{_app(app_id)}"
        call = Call("GET", url, f"show app {app_id}", query={"fields": "id,name,organization_id"})
        return self._transport.ask(call, App)

    def workspaces(self) -> tuple[Workspace, ...]:
        """The workspaces of the credential's owner, the personal one first."""
        call = Call("GET", f"{self._host.root}/api/workspace/workspaces", "list the workspaces")
        return self._rows(call, Workspace, key="workspaces").good

    def user_info(self) -> UserInfo:
        """Whose credential it is."""
        return self._transport.ask(Call("GET", f"{self._host.login}/oauth/userinfo", "say who signed in"), UserInfo)

    def _listed(self, app_id: str) -> Rows[ListedConnector]:
        call = Call("GET", f"{self._auth(app_id)}/list", f"list the connectors of app {app_id}", budgets.LIST)
        return self._rows(call, ListedConnector, key="integrations")

    def _page_of_apps(self, skip: int) -> tuple[AppSummary, ...]:
        query = {
            "sort": "-updated_date",
            "fields": "id,name,user_description,is_managed_source_code",
            "limit": str(APPS_PER_PAGE),
        }
        if skip:
            query["skip"] = str(skip)
        call = Call("GET", f"{self._host.root}/api/apps", "list the apps", query=query)
        return self._rows(call, AppSummary, key=None).good

    def _rows(self, call: Call, row_model: type[Row], *, key: str | None) -> Rows[Row]:
        reply = self._transport.send(call)
        try:
            rows = read_rows(reply.body, row_model, key=key)
        except ValueError as error:
            raise unreadable(call, reply, str(error)) from None
        for odd in rows.odd:
            log.warning("When asked to %s, Base44 sent an odd row %d: %s", call.doing, odd.position + 1, odd.problem)
        return rows

    def _auth(self, app_id: str) -> str:
        return f"{self._host.root}/api/apps/{_app(app_id)}/external-auth"

    def _stripe(self, app_id: str) -> str:
        return f"{self._host.root}/api/apps/{_app(app_id)}/payments/stripe"


def _app(app_id: str) -> str:
    """The app id as part of a path. Raises ApiError for one that would lead the call somewhere else."""
    if not _APP_ID.fullmatch(app_id):
        raise ApiError("A Base44 app id holds only letters, digits, - and _.", permanent=True)
    return app_id


def _type(integration_type: str) -> str:
    if not TYPE_PATTERN.fullmatch(integration_type):
        raise ApiError("An integration type holds only letters, digits, - and _.", permanent=True)
    return quote(integration_type, safe="")


def _registered(rows: Rows[ListedConnector]) -> tuple[RegisteredConnector, ...]:
    good = [
        RegisteredConnector(row.integration_type, row.status.lower(), row.scopes, row.user_email or "")
        for row in rows.good
    ]
    return (*good, *(connector for odd in rows.odd if (connector := _rescued(odd))))


def _rescued(odd: OddRow) -> RegisteredConnector | None:
    """What can be said of an odd row, None when not even its type can be read."""
    row: Any = odd.row
    kind = row.get("integration_type") if isinstance(row, dict) else None
    if not isinstance(kind, str) or not kind:
        return None
    scopes = row.get("scopes")
    account = row.get("user_email")
    return RegisteredConnector(
        kind,
        UNREADABLE,
        tuple(scope for scope in scopes if isinstance(scope, str)) if isinstance(scopes, list) else (),
        account if isinstance(account, str) else "",
    )
