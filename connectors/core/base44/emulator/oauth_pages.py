"""The pages of the stand-in OAuth provider: a person gives consent, and takes it back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode, urlsplit

from connectors.core.base44.emulator import oauth_rules
from connectors.core.base44.emulator.oauth_state import OAuthClient, OAuthCode, OAuthGrant
from connectors.core.base44.emulator.pages import account_choice, chosen_account, message, page
from connectors.core.base44.emulator.routes import Call
from connectors.core.base44.emulator.wire import Answer, Request

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|localhost))(?::[0-9]{1,5})?(/[\w/.-]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """An authorisation request whose client and redirect URI are known to belong together."""

    client: OAuthClient
    redirect_uri: str
    query: Mapping[str, str]

    @property
    def scopes(self) -> list[str]:
        """The scopes that are asked for, each once."""
        return list(dict.fromkeys(self.query.get("scope", "").split()))

    @property
    def error(self) -> str:
        """What is wrong with the request (RFC 6749, 4.1.2.1), "" for nothing."""
        if self.query.get("response_type") != "code":
            return "unsupported_response_type"
        if self.query.get("code_challenge") and self.query.get("code_challenge_method") != "S256":
            return "invalid_request"
        return ""


def issuer(request: Request) -> str:
    """The provider's name for itself (RFC 9207)."""
    return request.url("provider")


def show_authorize(call: Call) -> Answer:
    """The consent page: an account to choose, a box for each scope."""
    asked = _asked(call)
    if asked is None:
        return _unknown()
    if asked.error:
        return _back(call, asked, {"error": asked.error})
    target = urlsplit(asked.redirect_uri)
    return page(
        "Stand-in provider",
        "<p>This page takes the place of a provider’s consent page, such as Google’s. It asks for no password.</p>"
        f"<p>The OAuth client <strong>{escape(asked.client.name)}</strong> asks for access to an account.</p>"
        f"{_form(call, asked)}",
        sends_to=f"{target.scheme}://{target.netloc}",
    )


def answer_authorize(call: Call) -> Answer:
    """Approve all, some, or deny; either way the person goes back to the client."""
    asked, form = _asked(call), call.request.form()
    if asked is None:
        return _unknown()
    if asked.error:
        return _back(call, asked, {"error": asked.error})
    decision, account = form.get("decision", ""), chosen_account(form)
    if decision == "deny":
        return _back(call, asked, {"error": "access_denied"})
    if decision not in ("all", "some") or not account:
        return message("Nothing was decided", "Choose an account and one of the buttons.", 400)
    ticked = asked.scopes if decision == "all" else call.request.form_list("scope")
    scopes = [scope for scope in asked.scopes if scope in ticked]
    challenge, nonce = asked.query.get("code_challenge", ""), asked.query.get("nonce", "")
    code = OAuthCode(asked.client.client_id, account, scopes, asked.redirect_uri, challenge, nonce, expires_at=0.0)
    return _back(call, asked, {"code": oauth_rules.consent(call.world, code)})


def _asked(call: Call) -> Asked | None:
    query = call.request.query
    client = call.world.data.oauth.clients.get(query.get("client_id", ""))
    redirect_uri = query.get("redirect_uri", "")
    return Asked(client, redirect_uri, query) if client and _is_registered(redirect_uri, client) else None


def _is_registered(redirect_uri: str, client: OAuthClient) -> bool:
    """Letter by letter, but for the port on this machine (RFC 8252, 7.3): the demo may start on another one."""
    return _portless(redirect_uri) in {_portless(known) for known in client.redirect_uris}


def _portless(url: str) -> str:
    """The address without its port when it is a plain one on this machine, else as it is."""
    match = _LOOPBACK.fullmatch(url)
    return f"{match[1]}{match[2]}" if match else url


def _unknown() -> Answer:
    """Said here, and not to the redirect URI: it may be anybody's."""
    text = "The client id is not known here, or the redirect URI is not registered for it. Restart the demo."
    return message("Unknown client", text, 400)


def _back(call: Call, asked: Asked, answer: Mapping[str, str]) -> Answer:
    values = {**answer, "state": asked.query.get("state", ""), "iss": issuer(call.request)}
    joint = "&" if "?" in asked.redirect_uri else "?"
    location = f"{asked.redirect_uri}{joint}{urlencode(values)}"
    headers = {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Answer(303, b"", headers=headers)


def _form(call: Call, asked: Asked) -> str:
    boxes = "".join(
        f'<label><input type="checkbox" name="scope" value="{escape(scope)}" checked> <code>{escape(scope)}</code>'
        "</label>"
        for scope in asked.scopes
    )
    return (
        '<form method="post">'
        f"{account_choice(call.world, asked.query.get('login_hint', ''), 'Who gives consent')}"
        f"<fieldset><legend>What it may do</legend>{boxes or '<p>No scopes are asked for.</p>'}</fieldset>"
        '<button class="main" name="decision" value="all">Approve all</button>'
        '<button name="decision" value="some">Approve what is ticked</button>'
        '<button name="decision" value="deny">Deny</button></form>'
    )


def show_consents(call: Call) -> Answer:
    """What people have granted, as a provider shows it in an account's settings: each can be taken back."""
    with call.world.lock:
        oauth = call.world.data.oauth
        rows = "".join(_consent(oauth.clients.get(grant.client_id), key, grant) for key, grant in oauth.grants.items())
    words = "This page takes the place of an account’s settings at a provider, where connected apps are listed."
    return page("Stand-in provider", f"<p>{words}</p>{rows or '<p>No app has access.</p>'}")


def _consent(client: OAuthClient | None, key: str, grant: OAuthGrant) -> str:
    scopes = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in grant.scopes)
    listed = f"<ul>{scopes}</ul>" if scopes else "<p>No scopes.</p>"
    return (
        f"<h2>{escape(client.name if client else grant.client_id)}</h2><p>{escape(grant.account)}</p>{listed}"
        f'<form method="post" action="/provider/consents/{escape(key)}/end"><button>Take consent back</button></form>'
    )


def end_consent(call: Call) -> Answer:
    """The account's owner takes consent back; the client is not told."""
    oauth_rules.end_grant(call.world, call.params["grant"])
    return Answer(303, b"", headers={"Location": "/provider"})
