"""A portal in use, for test_no_secret_leaks.py: every flow, one after the other, under the eyes of a canary."""

from __future__ import annotations

import html
import io
import re
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.fernet import Fernet
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone
from pydantic import SecretStr

from connectors import tasks
from connectors.core.base44.credentials import DeviceTokens
from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.account_routes import decide_login
from connectors.core.oauth import inspect
from connectors.flows import credentials
from connectors.flows.authorise import Wish
from connectors.flows.connect import client_for
from connectors.flows.oauth_clients import endpoint_of, registration_of
from connectors.flows.refresh import fresh_access_token, refresh_due
from connectors.flows.refresh_store import Answer
from connectors.flows.token_profile import profile_for
from connectors.models import Authorisation, Connector, Event, OAuthClient, Project, Sealed, Token, Workspace
from connectors.oauth.start import client_for_trip
from tests.admin.form_data import save
from tests.admin.html import parse
from tests.factories import SHELL, make_connector, make_project, make_user
from tests.oauth.canary import Browser, Canary, addresses, broken, broker, database, readable
from tests.oauth.conftest import SCOPES, leave
from tests.servers.openid_provider import OpenIdProvider
from tests.servers.openid_provider.ways import PORTAL, local

ALICE = "alice@acme.example"
APP = "app-crm"


def changed(url: str, **values: str | None) -> str:
    """The address with other query parameters; None takes one out."""
    parts = urlsplit(url)
    query = {name: found[0] for name, found in parse_qs(parts.query).items()} | values
    return parts._replace(query=urlencode({name: text for name, text in query.items() if text is not None})).geturl()


class Story:
    """A portal in use: each method is one flow, after which the database is searched."""

    def __init__(
        self, canary: Canary, provider: OpenIdProvider, base44: Emulator, folder: Path, stack: ExitStack
    ) -> None:
        self.canary, self.provider, self.base44, self.folder, self.stack = canary, provider, base44, folder, stack
        self.operator = make_user("operator", staff=True, superuser=True)
        self.colleague = make_user("colleague")
        self.browser, self.person = Browser(canary), provider.person(ALICE)
        self.browser.force_login(self.operator)
        for kind, texts in {"SECRET_KEY": [settings.SECRET_KEY], "encryption key": settings.ENCRYPTION_KEYS}.items():
            for text in texts:
                canary.secrets.add(kind, text)

    def run(self) -> None:
        """Everything, in an order in which each flow finds what it needs."""
        flows: list[Callable[[], None]] = [
            self.credential_by_form,
            self.device_login,
            self.client_by_form,
            self.authorise,
            self.authorise_in_vain,
            self.provider_echoes,
            self.refresh,
            self.introspect_and_revoke,
            self.consent_links,
            self.sync_apply_export,
            self.rotate_keys,
            self.commands,
            self.queue,
            self.look_at_every_page,
            self.break_the_database,
            self.say_everything,
        ]
        for flow in flows:
            flow()
            for table, row in database():
                self.canary.keep("events" if table == Event._meta.db_table else "database", row, origin=table)
            for name, message in broker():
                self.canary.keep("broker", message, origin=name)

    def _page(self, model: str, page: str, *args: object) -> str:
        return reverse(f"admin:connectors_{model}_{page}", args=args)

    def _command(self, *words: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(*words, stdout=out, stderr=err)
        except (SystemExit, CommandError) as error:
            err.write(str(error))
        self.canary.keep("commands", out.getvalue() + err.getvalue(), origin=words[0])

    # --- Base44's credential ---

    def credential_by_form(self) -> None:
        """A personal access token is typed, accepted, and quoted by a Base44 that is out of order."""
        token = self.canary.secrets.add("personal access token", self.base44.pat)
        save(self.browser, "workspace", name="Live", api_url=self.base44.url, plan="enterprise", token=token)
        self.workspace = Workspace.objects.get(name="Live")
        assert self.workspace.credential.reveal() == token
        self.browser.post(self._page("workspace", "verify", self.workspace.pk), follow=True)
        self.project = make_project("crm", workspace=self.workspace, app_id=APP)
        self.base44.fail("GET", "/list", status=403, message=f"The token {token} may not read connectors")
        self.browser.post(self._page("project", "plan", self.project.pk), {"action": "look"})
        with self.canary.caught():
            self.base44.fail("GET", "/list", status=400, message=f"What is {token}?")
            client_for(self.workspace).list_connectors(APP)

    def device_login(self) -> None:
        """Begun, agreed to, renewed, ended."""
        save(self.browser, "workspace", name="Signed in", api_url=self.base44.url, plan="enterprise")
        workspace = Workspace.objects.get(name="Signed in")
        page = self._page("workspace", "device_login", workspace.pk)
        self.browser.post(page)
        code = str(self.browser.get(page).context["login"]["user_code"])
        poll = self._page("workspace", "device_login_poll", workspace.pk)
        self.browser.post(poll)
        assert decide_login(self.base44.state, code, "ada@acme.example")
        self.browser.post(poll)
        workspace.refresh_from_db()
        assert workspace.credential_kind == "device"
        credentials.refresh_device_login(workspace.pk)
        stale = DeviceTokens(SecretStr(workspace.credential.reveal()), SecretStr("x" * 30), 0.0)
        self.canary.keep("reprs", repr(stale))
        Workspace.objects.filter(pk=workspace.pk).update(credential_refresh=Sealed.of(secrets.token_urlsafe(24)))
        with self.canary.caught():
            credentials.refresh_device_login(workspace.pk)

    # --- The portal's own tokens ---

    def client_by_form(self) -> None:
        """One client that the provider knows, one with a wrong secret of awkward signs."""
        known = self.provider.register_client(f"{PORTAL}/oauth/idp/callback/")
        odd = f"not-a-real-{secrets.token_urlsafe(12)}/+&=%\"<'{secrets.token_urlsafe(12)}"
        self.client = self._client("idp", known.client_id, known.client_secret.get_secret_value())
        second = self.provider.register_client(f"{PORTAL}/oauth/odd/callback/")
        self.wrong = self._client("odd", second.client_id, odd)
        for client in (self.client, self.wrong):
            self.browser.post(self._page("oauthclient", "check", client.pk), follow=True)
        self.wrong.refresh_from_db()
        assert self.wrong.state == OAuthClient.State.MISCONFIGURED

    def _client(self, slug: str, client_id: str, secret: str) -> OAuthClient:
        self.canary.secrets.add("typed client secret", secret)
        path = self._page("oauthclient", "add")
        (form,) = parse(self.browser.get(f"{path}?provider=google").content).having("id", "oauthclient_form")
        typed = {"provider": "google", "name": slug, "slug": slug, "client_id": client_id, "secret": secret}
        self.browser.post(path, {**form.fields(), **typed, "name": ""})  # refused: the form comes back
        self.browser.post(path, {**form.fields(), **typed}, follow=True)
        client = OAuthClient.objects.get(slug=slug)
        names = ("issuer", "authorize_url", "token_url", "userinfo_url", "revoke_url", "introspect_url")
        client.settings = {name: getattr(self.provider, name) for name in names}
        client.save()
        return client

    def _left(self, connector: Connector, client: OAuthClient, **fields: str) -> str:
        """The address at the provider, as the page that leads there shows it."""
        with self.browser.handed("state", "nonce"):
            address = leave(self.browser, connector, client, **fields)
        return self._noted(address)

    def _noted(self, address: str) -> str:
        query = parse_qs(urlsplit(address).query)
        trip = Authorisation.objects.latest("id")
        found = {"state": query["state"][0], "nonce": query["nonce"][0], "verifier": trip.verifier.reveal()}
        assert all(found.values())
        for kind, text in found.items():
            self.canary.secrets.add(kind, text)
        for table, row in database(Authorisation._meta.db_table):  # while the person is away
            self.canary.keep("database", row, origin=table)
        return address

    def _back(self, address: str) -> Any:
        for code in parse_qs(urlsplit(address).query).get("code", []):
            self.canary.secrets.add("code", code)
        return self.browser.get(local(address), follow=True)

    def _authorised(self, type_: str) -> Token:
        connector = make_connector(self.project, type_, SCOPES)
        self._back(self.person.approve(self._left(connector, self.client)))
        return Token.objects.get(connector=connector)

    def authorise(self) -> None:
        """All scopes, fewer, and an answer that is sent twice, by a stranger, and to nobody."""
        self.token = self._authorised("gmail")
        fewer = make_connector(self.project, "googledrive", SCOPES)
        only = ["openid", "email", "files.read"]
        self._back(self.person.approve(self._left(fewer, self.client), only=only))
        address = self.person.approve(self._left(fewer, self.client))
        stranger, nobody = Browser(self.canary), Browser(self.canary)
        stranger.force_login(self.colleague)
        for browser in (stranger, nobody, self.browser, self.browser):
            browser.get(local(address), follow=True)

    def authorise_in_vain(self) -> None:
        """Denied, another account, client wrong, provider down, rubbish, errors that quote what they were sent."""
        connector = self.token.connector
        self._back(self.person.deny(self._left(connector, self.client)))
        self._back(self.provider.person("bob@acme.example").approve(self._left(connector, self.client)))
        self._back(self.person.approve(self._left(connector, self.wrong)))
        forged = changed(self._left(connector, self.client), nonce="of-another-request")
        self._back(self.person.approve(forged))
        held = self.token.refresh_token.reveal()
        for error in ("server_error", "invalid_request", held):
            returned = self.person.approve(self._left(connector, self.client))
            self._back(changed(returned, code=None, error=error, error_description=f"{held} is wrong"))
        for patch in ({"access_token": None}, {"expires_in": "soon", "token_type": "x" * 99}, {"id_token": "e.y.J"}):
            returned = self.person.approve(self._left(connector, self.client))
            self.provider.tamper_next_token(patch)
            self._back(returned)
        for status, body in self._echoes(held):
            returned = self.person.approve(self._left(connector, self.client))
            self.provider.fail_next_tokens(status=status, body=body)
            self._back(returned)

    def _echoes(self, held: str) -> list[tuple[int, dict[str, Any] | str]]:
        """Answers of a provider that quotes what it was sent."""
        quoted = f"{held} of {self.client.client_secret.reveal()}"
        return [
            (400, {"error": "invalid_request", "error_description": quoted, "error_uri": f"https://a.example/{held}"}),
            (400, {"error": held, "error_description": quoted}),
            (200, {"error": {"message": quoted, "code": held[:50]}}),
            (500, f"Traceback: {quoted}"),
            (200, f"<html>{quoted}</html>"),
        ]

    def provider_echoes(self) -> None:
        """The same for each call to the token endpoint, with what is raised in an error report."""
        held, type_ = self.token.refresh_token.reveal(), self.token.connector.integration_type_id
        endpoint = endpoint_of(self.client, type_, {})
        calls: list[Callable[[], object]] = [
            lambda: endpoint.exchange(SecretStr(held), f"{PORTAL}/oauth/idp/callback/", verifier=SecretStr(held)),
            lambda: endpoint.refresh(SecretStr(held), SecretStr(self.token.access_token.reveal())),
        ]
        for call in calls:
            for status, body in self._echoes(held):
                self.provider.fail_next_tokens(status=status, body=body)
                with self.canary.caught():
                    call()

    def refresh(self) -> None:
        """By the button, the scheduler and a caller; an answer that is lost; an end of consent."""
        path = self._page("token", "refresh", self.token.pk)
        self.browser.post(path, follow=True)
        Token.objects.update(refresh_at=timezone.now())
        tasks.refresh_due_tokens()
        self.token.refresh_from_db()
        for status, body in self._echoes(self.token.refresh_token.reveal()):
            self.provider.fail_next_tokens(status=status, body=body)
            self.browser.post(path, follow=True)
        Token.objects.update(expires_at=timezone.now())
        with self.canary.caught():
            self.canary.secrets.add("access_token", fresh_access_token(self.token.pk, SHELL).get_secret_value())
        self.provider.fail_next_tokens(status=400, body={"error": "invalid_grant"})
        Token.objects.filter(pk=self.token.pk).update(refresh_at=timezone.now(), state="fresh")
        refresh_due()
        assert Token.objects.get(pk=self.token.pk).state == Token.State.NEEDS_CONSENT
        with self.canary.caught():
            fresh_access_token(self.token.pk, SHELL)

    def introspect_and_revoke(self) -> None:
        """Looked up, ended at the provider, ended here; and each refused."""
        token, other = self._authorised("googlecalendar"), self._authorised("googledocs")
        self.browser.post(self._page("token", "introspect", token.pk), follow=True)
        profile, wrong = profile_for(token), registration_of(self.wrong)
        texts = SecretStr(token.access_token.reveal()), SecretStr(token.refresh_token.reveal())
        for call in (inspect.introspect, inspect.revoke):
            with self.canary.caught():
                call(profile, wrong, *texts)
        with self.canary.caught():
            inspect.who(profile, SecretStr(secrets.token_urlsafe(32)))
        for row, how in ((token, "one"), (token, "all"), (other, "forget")):
            shown = [sibling.pk for sibling in Token.objects.siblings_of(row)] if how != "all" else []
            self.browser.post(self._page("token", "revoke", row.pk), {"how": how, "shown": shown}, follow=True)
        assert not Token.objects.filter(pk=other.pk).exists()

    def consent_links(self) -> None:
        """Made at the desk, opened and used by a colleague: the portal's own way and Base44's."""
        hosted = make_connector(self.project, "slackbot", ["chat:write"], consent="needed")
        with self.browser.handed("link"):
            desk = self.browser.post(
                self._page("connector", "desk"), {"need": [f"portal-{self.token.connector_id}", f"hosted-{hosted.pk}"]}
            )
        own, theirs = dict.fromkeys(re.findall(r"/consent/([\w-]{43})/", desk.content.decode()))
        for text in (own, theirs):
            self.canary.secrets.add("link", text)
        anyone, colleague = Browser(self.canary), Browser(self.canary)
        colleague.force_login(self.colleague)
        anyone.get(f"/consent/{own}/", follow=True)
        page = colleague.get(f"/consent/{own}/", follow=True).redirect_chain[-1][0]
        with colleague.handed("state", "nonce"):
            left = colleague.post(page).content.decode()
        found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', left)
        assert found
        returned = self.person.approve(self._noted(html.unescape(found[1])))
        self.canary.secrets.add("code", parse_qs(urlsplit(returned).query)["code"][0])
        answer = colleague.get(local(returned), follow=True)
        assert "result" in answer.redirect_chain[-1][0]
        for client in (colleague, anyone):
            client.get(f"/consent/{own}/", follow=True)
        page = colleague.get(f"/consent/{theirs}/", follow=True).redirect_chain[-1][0]
        with colleague.handed("consent page of Base44"):
            opened = colleague.post(page)
        assert opened.status_code == 200
        colleague.get(f"/consent/{theirs}x/", follow=True)

    # --- The rest of the portal ---

    def sync_apply_export(self) -> None:
        """The project with the tokens is synced, pushed, pulled and exported."""
        self._command("sync_projects", "--all")
        self._command("plan_connectors", "--project", "crm")
        self._command("push_connectors", "--project", "crm", "--yes", "--json")
        self._command("pull_connectors", "--project", "crm", "--json")
        self._command("export_connectors", "--all", str(self.folder / "tree"))
        self._command("export_connectors", "--all", "--zip", str(self.folder / "all.zip"))
        written = [path for path in self.folder.rglob("*") if path.is_file()]
        assert len(written) > 2
        for path in written:
            self.canary.keep("exports", readable(path.read_bytes()), origin=path.name)
        dump = io.StringIO()
        call_command("dumpdata", stdout=dump)
        self.canary.keep("exports", dump.getvalue(), origin="dumpdata")

    def rotate_keys(self) -> None:
        """Every secret is written anew with a new key, and read with it afterwards."""
        key = self.canary.secrets.add("encryption key", Fernet.generate_key().decode())
        self.stack.enter_context(override_settings(ENCRYPTION_KEYS=[key, *settings.ENCRYPTION_KEYS]))
        for words in (["--check"], [], ["--json"]):
            self._command("rotate_encryption_keys", *words)

    def commands(self) -> None:
        """What the shell says of tokens."""
        for words in (["list_tokens", "--all"], ["list_tokens", "--all", "--json"], ["refresh_tokens", "--due"]):
            self._command(*words)
        self._command("refresh_tokens", "--project", "crm", "--json")

    def queue(self) -> None:
        """Messages for workers that are not there."""
        tasks.start_sync(Project.objects.all(), SHELL)
        tasks.watch_consent(self.token.connector)
        for task in (tasks.refresh_due_tokens, tasks.sweep, tasks.prune, tasks.sync_due_projects):
            task.apply_async()

    def look_at_every_page(self) -> None:
        """Each address that answers a GET, of each row."""
        for path in sorted(addresses()):
            self.browser.get(path)
        for path in ("/", "/accounts/login/", "/accounts/password/change/", "/accounts/logout/", "/nothing/here/"):
            self.browser.get(path)

    def break_the_database(self) -> None:
        """The database fails just when something secret is to be stored."""
        connector = self.token.connector
        returned = self.person.approve(self._left(connector, self.client))
        with broken("connectors_token"):
            self._back(returned)
            with self.canary.caught():
                refresh_due()
        path = self._page("oauthclient", "change", self.client.pk)
        (form,) = parse(self.browser.get(path).content).having("id", "oauthclient_form")
        typed = self.canary.secrets.add("typed client secret", secrets.token_urlsafe(32))
        with broken("connectors_oauthclient"):
            self.browser.post(path, {**form.fields(), "secret": typed})
        token = self.canary.secrets.add("personal access token", secrets.token_urlsafe(32))
        with broken("connectors_workspace"):
            save(self.browser, "workspace", self.workspace.pk, token=token)
        need = {"need": [f"portal-{connector.pk}"]}
        with broken("connectors_consentlink"):
            self.browser.post(self._page("connector", "desk"), need)
        with self.browser.handed("link"):
            desk = self.browser.post(self._page("connector", "desk"), need)
        link = self.canary.secrets.add("link", re.findall(r"/consent/([\w-]{43})/", desk.content.decode())[0])
        with broken("connectors_consentlink", reading=True), broken("connectors_authorisation"):
            self.browser.get(f"/consent/{link}/")
            self.browser.post(f"/oauth/connectors/{connector.pk}/start/", {"oauth_client": self.client.pk})

    def say_everything(self) -> None:
        """What rows and values say of themselves."""
        grant = endpoint_of(self.client, "gmail", {}).refresh(
            SecretStr(self._authorised("googlesheets").refresh_token.reveal()), SecretStr("")
        )
        answer = Answer(1, 1, grant, None, 0.0, timezone.now(), 0.5)
        wish = Wish(self.token.connector, self.client, 1, "of-a-session", PORTAL)
        assert "of-a-session" not in repr(wish)
        trip = client_for_trip(self.client, self.token.connector, PORTAL)
        values: list[object] = [grant, answer, wish, trip, trip.registration, profile_for(self.token), self.person]
        for model in apps.get_app_config("connectors").get_models():
            for row in model._default_manager.all():
                values += [row, vars(row)]
        for value in values:
            self.canary.keep("reprs", f"{value} {value!r}", origin=type(value).__name__)
