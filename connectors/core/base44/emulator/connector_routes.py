"""Endpoints of connectors, their tokens, Stripe and secrets."""

from __future__ import annotations

import secrets

from connectors.core.base44 import contract
from connectors.core.base44.emulator import connecting
from connectors.core.base44.emulator.connecting import Outcome
from connectors.core.base44.emulator.routes import PERSON, PERSON_OR_KEY, PERSON_OR_SERVICE, Call, Route, route
from connectors.core.base44.emulator.wire import Answer, Problem, refusal, success, success_json


def available_integrations(call: Call) -> Answer:
    """The catalogue; the same for every app here, though Base44's may differ from account to account."""
    entries = tuple(entry.as_wire() for entry in call.world.integrations.values())
    return success(contract.AvailableIntegrations(integrations=entries))


def auto_added_scopes(call: Call) -> Answer:
    """The scopes that are in every grant, by type; types without any are left out."""
    entries = call.world.integrations.values()
    return success_json({entry.type: list(entry.auto_added) for entry in entries if entry.auto_added})


def list_connectors(call: Call) -> Answer:
    """What is registered for the app. A connection without an account has no `user_email` key."""
    rows = []
    for connection in connecting.listed(call.world, call.app):
        row = {"integration_type": connection.type, "status": connection.status, "scopes": tuple(connection.scopes)}
        if connection.account:
            row["user_email"] = connection.account
        rows.append(contract.ListedConnector.model_validate(row))
    return success(contract.ConnectorList(integrations=tuple(rows)))


def set_scopes(call: Call) -> Answer:
    """Set exactly these scopes."""
    asked = call.request.model(contract.SetScopesRequest)
    outcome = connecting.request_scopes(
        call.world,
        call.app,
        call.params["type"],
        asked.scopes,
        email=call.caller.email,
        config=asked.connection_config,
    )
    return _connection_answer(call, outcome)


def initiate(call: Call) -> Answer:
    """Add scopes to what is there; `force_reconnect` takes over a colleague's connection."""
    asked = call.request.model(contract.InitiateRequest)
    outcome = connecting.request_scopes(
        call.world,
        call.app,
        asked.integration_type,
        asked.scopes,
        email=call.caller.email,
        config=asked.connection_config,
        add=True,
        force=bool(asked.force_reconnect),
    )
    return _connection_answer(call, outcome)


def _connection_answer(call: Call, outcome: Outcome) -> Answer:
    link, other = outcome.link, outcome.other_user
    return success(
        contract.SetScopesAnswer.model_validate(
            {
                "redirect_url": call.request.url("connect", link.secret) if link else None,
                "connection_id": link.connection_id if link else None,
                "already_authorized": not link and not other,
                "error": "different_user" if other else None,
                "error_message": f"This connector is connected by {other}" if other else None,
                "other_user_email": other or None,
            }
        )
    )


def connection_status(call: Call) -> Answer:
    """Where a consent stands."""
    query = call.request.query
    for name in ("integration_type", "connection_id"):
        if not query.get(name):
            raise Problem(422, {"detail": [{"loc": ["query", name], "msg": "Field required", "type": "missing"}]})
    status = connecting.link_status(
        call.world, call.app, query["integration_type"], query["connection_id"], call.caller.email
    )
    return success(contract.ConnectionStatus(status=status))


def remove_connector(call: Call) -> Answer:
    """Remove for good; succeeds when there was nothing."""
    connecting.remove(call.world, call.app, call.params["type"])
    return success(contract.RemoveAnswer(status="removed", integration_type=call.params["type"]))


def disconnect_connector(call: Call) -> Answer:
    """Delete the tokens; the connector stays listed. The shape of the answer is a guess."""
    if not connecting.set_status(call.world, call.app, call.params["type"], "disconnected"):
        raise refusal(404, "Connector not found")
    return success(contract.RemoveAnswer(status="disconnected", integration_type=call.params["type"]))


def deploy_connectors(call: Call) -> Answer:
    """Reconcile the whole app with what is declared; works with a workspace key."""
    asked = call.request.model(contract.DeployConnectorsRequest)
    declared = connecting.deploy(call.world, call.app, {row.integration_type: row.scopes for row in asked.connectors})
    rows = [contract.DeployedConnector(integration_type=name, scopes=tuple(kept)) for name, kept in declared.items()]
    return success(contract.DeployConnectorsRequest(connectors=tuple(rows)))


def connection_token(call: Call) -> Answer:
    """The access token that backend code uses. Emulated ones open nothing anywhere."""
    integration_type = call.params["type"]
    if integration_type in call.world.metered:
        code = "metered_connector_requires_proxy"
        body = {"error": {"code": code, "message": "Call this connector through the proxy"}}
        raise Problem(403, body, {"X-Base44-Connector-Error": code})
    connection = call.app.connections.get(integration_type)
    if connection is None or connection.status != "active":
        raise refusal(404, f"No active connection for {integration_type}", code="connector_not_connected")
    answer = {
        "access_token": f"emulated-access-{call.app.id}-{integration_type}",
        "integration_type": integration_type,
        "connection_config": connection.config or None,
    }
    return success(contract.ConnectionToken.model_validate(answer))


def stripe_status(call: Call) -> Answer:
    """Whether Stripe is installed, and where its sandbox can be claimed."""
    stripe = call.app.stripe
    answer = {"stripe_mode": stripe.mode or None, "sandbox_claim_url": _claim_url(call)}
    return success(contract.StripeStatus.model_validate(answer))


def install_stripe(call: Call) -> Answer:
    """Provision a sandbox; when there is one already, say so."""
    with call.world.lock:
        installed = bool(call.app.stripe.mode)
        if not installed:
            call.app.stripe.mode, call.app.stripe.claim = "sandbox", secrets.token_urlsafe(24)
            call.world.changed()
    answer = {"already_installed": installed, "claim_url": _claim_url(call)}
    return success(contract.StripeInstall.model_validate(answer))


def _claim_url(call: Call) -> str | None:
    return call.request.url("claim", call.app.stripe.claim) if call.app.stripe.claim else None


def remove_stripe(call: Call) -> Answer:
    """Remove Stripe, live or sandbox."""
    with call.world.lock:
        call.app.stripe.mode = call.app.stripe.claim = ""
        call.world.changed()
    return success(contract.StripeRemove(success=True))


def list_secrets(call: Call) -> Answer:
    """The app's secrets by name; that values are masked is a guess."""
    return success_json(dict.fromkeys(sorted(call.app.secrets), "********"))


def set_secrets(call: Call) -> Answer:
    """Add or replace secrets."""
    given = call.request.json_object()
    with call.world.lock:
        call.app.secrets.update({name: str(value) for name, value in given.items()})
        call.world.changed()
    return success_json({"success": True})


def delete_secret(call: Call) -> Answer:
    """Delete one secret, named in the query."""
    with call.world.lock:
        found = call.app.secrets.pop(call.request.query.get("secret_name", ""), None)
        call.world.changed()
    if found is None:
        raise refusal(404, "Secret not found")
    return success_json({"success": True})


_AUTH = "/api/apps/{app_id}/external-auth"
_STRIPE = "/api/apps/{app_id}/payments/stripe"
_SECRETS = "/api/apps/{app_id}/secrets"

CONNECTOR_ROUTES: list[Route] = [
    route("GET", f"{_AUTH}/list", list_connectors, PERSON, limit="list"),
    route("GET", f"{_AUTH}/status", connection_status, PERSON, limit="status"),
    route("PUT", f"{_AUTH}/integrations/{{type}}", set_scopes, PERSON),
    route("POST", f"{_AUTH}/initiate", initiate, PERSON),
    route("DELETE", f"{_AUTH}/integrations/{{type}}/remove", remove_connector, PERSON, limit="delete"),
    route("DELETE", f"{_AUTH}/integrations/{{type}}", disconnect_connector, PERSON, limit="delete"),
    route("GET", f"{_AUTH}/available-integrations", available_integrations, PERSON),
    route("GET", "/api/external-auth/available-integrations", available_integrations, PERSON, limit="list"),
    route("GET", "/api/external-auth/auto-added-scopes", auto_added_scopes, ""),
    route("GET", f"{_AUTH}/tokens/{{type}}", connection_token, PERSON_OR_SERVICE),
    route("PUT", "/api/apps/{app_id}/deployment/connectors", deploy_connectors, PERSON_OR_KEY),
    route("GET", f"{_STRIPE}/status", stripe_status, PERSON),
    route("POST", f"{_STRIPE}/install", install_stripe, PERSON),
    route("DELETE", _STRIPE, remove_stripe, PERSON),
    route("GET", _SECRETS, list_secrets, PERSON_OR_KEY),
    route("POST", _SECRETS, set_secrets, PERSON_OR_KEY),
    route("DELETE", _SECRETS, delete_secret, PERSON_OR_KEY),
]
