"""The pages a person sees: consent, device login, Stripe claim. Plain HTML, light and dark, nothing loaded."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape

from connectors.core.base44.emulator import connecting
from connectors.core.base44.emulator.account_routes import decide_login
from connectors.core.base44.emulator.routes import Call, Route, route
from connectors.core.base44.emulator.state import App, Link, World
from connectors.core.base44.emulator.wire import HTML, Answer

STYLE = """
:root { color-scheme: light dark; --bg: #f4f4f5; --card: #fff; --text: #18181b; --soft: #52525b; --line: #d4d4d8;
  --strong: #4338ca; --on-strong: #fff; }
@media (prefers-color-scheme: dark) { :root { --bg: #18181b; --card: #27272a; --text: #fafafa; --soft: #d4d4d8;
  --line: #52525b; --strong: #a5b4fc; --on-strong: #1e1b4b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 36rem; margin: 2rem auto; padding: 1.5rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem; }
h1 { font-size: 1.375rem; line-height: 1.3; margin: 0 0 .75rem; }
h2 { font-size: 1.125rem; margin: 1.25rem 0 .25rem; }
p.note { color: var(--soft); font-size: .875rem; }
a { color: var(--strong); }
fieldset { border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; padding: .75rem 1rem; }
legend { font-weight: 600; padding: 0 .25rem; }
label { display: block; padding: .25rem 0; }
label:has([type=checkbox]) { display: flex; gap: .5rem; align-items: baseline; }
label, li, p, h1, h2 { overflow-wrap: anywhere; }
code, pre { font: .875rem ui-monospace, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
input[type=text], input[type=email], select { width: 100%; padding: .5rem; font: inherit; color: inherit;
  background: var(--bg); border: 1px solid var(--soft); border-radius: .375rem; }
button { font: inherit; font-weight: 600; padding: .5rem 1rem; margin: .5rem .5rem 0 0; border-radius: .375rem;
  border: 1px solid var(--soft); background: transparent; color: inherit; cursor: pointer; }
button.main { background: var(--strong); color: var(--on-strong); border-color: var(--strong); }
:focus-visible { outline: 3px solid var(--strong); outline-offset: 2px; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'; form-action"
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page(title: str, body: str, status: int = 200, *, sends_to: str = "") -> Answer:
    """A whole page. `body` is HTML; `title` is plain text and becomes the heading, too.

    `sends_to`: the other host, as `http://host:port`, at which the answer to the page's form may end up.
    """
    text = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)} – Base44 emulator</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}"
        '<p class="note">This is the Base44 emulator. Nothing here reaches Base44 or any provider.</p>'
        "</main></body></html>\n"
    )
    policy = f"{_POLICY} 'self' {sends_to}".rstrip()
    return Answer(status, text.encode(), HTML, {"Content-Security-Policy": policy, **_HEADERS})


def message(title: str, text: str, status: int = 200) -> Answer:
    """A page that only says something."""
    return page(title, f"<p>{escape(text)}</p>", status)


def account_choice(world: World, preferred: str, legend: str) -> str:
    """A choice among the people of this world, and a field for anybody else."""
    options = "".join(
        f'<option value="{escape(user.email)}"{" selected" if user.email == preferred else ""}>'
        f"{escape(user.name)} ({escape(user.email)})</option>"
        for user in list(world.data.users.values())
    )
    return (
        f"<fieldset><legend>{escape(legend)}</legend>"
        f'<label for="account">Account</label><select id="account" name="account">{options}</select>'
        '<label for="other">Or another e-mail address</label>'
        '<input type="email" id="other" name="other" autocomplete="off"></fieldset>'
    )


def chosen_account(form: dict[str, str]) -> str:
    """The account a form names: the typed one before the chosen one."""
    return form.get("other", "").strip() or form.get("account", "").strip()


def home(call: Call) -> Answer:
    """What the emulated Base44 holds, for whoever opens its address."""
    with call.world.lock:
        apps = "".join(_app_section(app) for app in call.world.data.apps.values())
        has_clients = bool(call.world.data.oauth.clients)
    provider = '<h2>OAuth</h2><p><a href="/provider">What was granted at the stand-in provider</a></p>'
    webhooks = '<h2>Webhooks</h2><p><a href="/webhooks">What was sent to <code>/webhooks</code> here</a></p>'
    sections = (apps or "<p>There are no apps yet.</p>", provider if has_clients else "", webhooks)
    return page("Base44 emulator", "".join(sections))


def _app_section(app: App) -> str:
    rows = [(row.type, row.status, _scopes_in_words(row.scopes), row.account) for row in app.connections.values()]
    if app.stripe.mode:
        rows.append(("stripe", app.stripe.mode, "", ""))
    lines = "".join(f"<li>{escape(', '.join(filter(None, row)))}</li>" for row in rows)
    listed = f"<ul>{lines}</ul>" if lines else "<p>No connectors.</p>"
    return f'<h2>{escape(app.name)}</h2><p class="note">App id <code>{escape(app.id)}</code></p>{listed}'


def _scopes_in_words(scopes: list[str]) -> str:
    return "1 scope" if len(scopes) == 1 else f"{len(scopes)} scopes"


# consent


def show_consent(call: Call) -> Answer:
    """The consent page. Looking at it does not use the link up; deciding does."""
    link = connecting.find_link(call.world, call.params["secret"])
    app = call.world.data.apps.get(link.app) if link else None
    if link is None or app is None:
        return message("Unknown link", "There is no such consent link. Start again in the portal.", 404)
    if link.status != "PENDING":
        return _used(link)
    return page(f"Connect {_type_name(call.world, link.type)} to {app.name}", _consent_form(call.world, link, app))


def _used(link: Link) -> Answer:
    word = "given" if link.status == "ACTIVE" else "refused"
    text = f"Consent was {word} with this link before. A link works once; start again to get a new one."
    return message("This link has been used", text, 410)


def _type_name(world: World, integration_type: str) -> str:
    entry = world.integrations.get(integration_type)
    return entry.display_name if entry else integration_type


def _consent_form(world: World, link: Link, app: App) -> str:
    entry = world.integrations.get(link.type)
    auto_added = set(entry.auto_added) if entry else set()
    boxes = "".join(_scope_box(scope, scope in auto_added) for scope in link.scopes)
    return (
        f"<p>The app <strong>{escape(app.name)}</strong> asks for access to your "
        f"{escape(_type_name(world, link.type))} account.</p>"
        '<form method="post">'
        f"<fieldset><legend>What it may do</legend>{boxes or '<p>No scopes are asked for.</p>'}</fieldset>"
        f"{account_choice(world, link.started_by, 'Who gives consent')}"
        '<button class="main" name="decision" value="all">Approve all</button>'
        '<button name="decision" value="some">Approve what is ticked</button>'
        '<button name="decision" value="deny">Deny</button></form>'
    )


def _scope_box(scope: str, auto_added: bool) -> str:
    # a disabled box cannot be unticked; its scope is granted in any case
    always = " disabled" if auto_added else ""
    hint = " (always included)" if auto_added else ""
    return (
        f'<label><input type="checkbox" name="scope" value="{escape(scope)}" checked{always}> '
        f"<code>{escape(scope)}</code>{hint}</label>"
    )


def answer_consent(call: Call) -> Answer:
    """Approve all, some, or deny; uses the link up."""
    link = connecting.find_link(call.world, call.params["secret"])
    if link is None:
        return message("Unknown link", "There is no such consent link.", 404)
    form, decision = call.request.form(), call.request.form().get("decision", "")
    if decision not in ("all", "some", "deny"):
        return message("Nothing was decided", "Choose one of the buttons.", 400)
    granted: Iterable[str] | None = link.scopes if decision == "all" else call.request.form_list("scope")
    if not connecting.decide(call.world, link, None if decision == "deny" else granted, chosen_account(form)):
        return _used(link)
    if decision == "deny":
        return message("Consent refused", "Nothing was connected. You can close this page.")
    return message("Connected", "Consent is given. You can close this page and go back to the portal.")


# device login


def show_device(call: Call) -> Answer:
    """Where a person types the code that the CLI or the portal shows."""
    code = escape(call.request.query.get("user_code", ""))
    return page(
        "Sign in on a device",
        '<form method="post"><label for="user_code">Code shown on your device</label>'
        f'<input type="text" id="user_code" name="user_code" value="{code}" autocomplete="off" required>'
        f"{account_choice(call.world, '', 'Sign in as')}"
        '<button class="main" name="decision" value="approve">Approve</button>'
        '<button name="decision" value="deny">Deny</button></form>',
    )


def answer_device(call: Call) -> Answer:
    """Approve or refuse a sign-in."""
    form = call.request.form()
    approved = form.get("decision") == "approve"
    email = chosen_account(form)
    if approved and email not in call.world.data.users:
        return message("Unknown person", "Only a person known to this emulator can sign in.", 400)
    if not decide_login(call.world, form.get("user_code", ""), email if approved else ""):
        return message("Unknown code", "The code is wrong, was used before, or has expired.", 404)
    if not approved:
        return message("Sign-in refused", "The device gets no access. You can close this page.")
    return message("Signed in", "The device has access now. You can close this page.")


# Stripe


def _app_to_claim(call: Call) -> App | None:
    claim = call.params["secret"]
    return next((app for app in list(call.world.data.apps.values()) if app.stripe.claim == claim), None)


def show_claim(call: Call) -> Answer:
    """The page on which a Stripe sandbox is claimed."""
    app = _app_to_claim(call)
    if app is None:
        return message("Nothing to claim", "This sandbox was claimed or removed before.", 410)
    return page(
        f"Claim the Stripe sandbox of {app.name}",
        '<form method="post"><p>Claiming moves the sandbox into your own Stripe account.</p>'
        '<button class="main">Claim the sandbox</button></form>',
    )


def answer_claim(call: Call) -> Answer:
    """Claim the sandbox; the link works once."""
    with call.world.lock:
        app = _app_to_claim(call)
        if app is None:
            return message("Nothing to claim", "This sandbox was claimed or removed before.", 410)
        app.stripe.claim = ""
        call.world.changed()
    return message("Claimed", "The sandbox is yours. You can close this page.")


PAGE_ROUTES: list[Route] = [
    route("GET", "/", home, ""),
    route("GET", "/connect/{secret}", show_consent, ""),
    route("POST", "/connect/{secret}", answer_consent, ""),
    route("GET", "/device", show_device, ""),
    route("POST", "/device", answer_device, ""),
    route("GET", "/claim/{secret}", show_claim, ""),
    route("POST", "/claim/{secret}", answer_claim, ""),
]
