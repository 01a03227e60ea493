"""OAuth clients at the stand-in provider, and tokens in the conditions that a team meets: got as people get them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from django.contrib.auth import get_user_model
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor, Door
from connectors.core.errors import Refused
from connectors.core.oauth import inspect
from connectors.core.oauth.answer_check import CallbackAnswer
from connectors.core.oauth.profile import Registration
from connectors.flows.authorise import Wish, claim, depart, finish
from connectors.flows.declare import declare
from connectors.flows.oauth_clients import check_client, redirect_uri_of, registration_of, save_client
from connectors.flows.refresh import refresh_now
from connectors.models import Authorisation, Connector, OAuthClient, Token
from connectors.oauth.provider import Return, departure
from connectors.oauth.start import client_for_trip
from portal.demo.past import days_ago
from portal.demo.place import DemoPlace
from portal.demo.stand_in import StandIn

DAY = 86_400.0
TESTING_DAYS, TESTED_FOR = 7, 5
"""Google ends an app's tokens after seven days in testing mode; the sample has used up five of them."""

OWNER, SUPPORT, FINANCE = "admin@acme.example", "support@acme.example", "finance@acme.example"
BROADER = "https://www.googleapis.com/auth/gmail.modify"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Sample:
    """An OAuth client that the demo adds. `refresh_life`: how long its grants last, in seconds; None for ever."""

    slug: str
    name: str
    provider: str
    is_testing: bool = False
    refresh_life: float | None = None


GOOGLE = Sample("google-demo", "Google (demo stand-in)", "google")
TESTING = Sample("google-demo-testing", "Google (demo stand-in, in testing mode)", "google", is_testing=True)
HUBSPOT = Sample("hubspot-demo", "HubSpot (demo stand-in, secret replaced there)", "hubspot")
SALESFORCE = Sample("salesforce-demo", "Salesforce (demo stand-in)", "salesforce", refresh_life=24 * DAY)


def follow_emulator(place: DemoPlace) -> None:
    """Point the samples' clients to the emulator where it starts on another port than last time.

    To be done before a worker starts: it would refresh their tokens at the old port.
    """
    endpoints = StandIn(place.emulator_url).endpoints
    for row in OAuthClient.objects.filter(slug__in=[sample.slug for sample in _FILL]):
        if row.settings.get("issuer", "").endswith("/provider") and row.settings["issuer"] != endpoints["issuer"]:
            row.settings = {**row.settings, **endpoints}
            row.save(update_fields=["settings"])


def seed_oauth(place: DemoPlace, login: str) -> None:
    """Add the clients that are missing, each with its tokens. What is there stays.

    Does nothing where the emulator listens on another address than this machine's own: the portal sends secrets over
    plain HTTP to nobody else. Raises OSError, PortalError.
    """
    if urlsplit(place.emulator_url).hostname not in LOOPBACK:
        return
    user = get_user_model().objects.get(username=login)
    seeder = Seeder(place, StandIn(place.emulator_url), Actor(login, Door.SHELL, user.pk))
    for sample, fill in _FILL.items():
        if not OAuthClient.objects.filter(slug=sample.slug).exists():
            fill(seeder, sample)


@dataclass(frozen=True, slots=True)
class Seeder:
    """Who fills the portal, and where."""

    place: DemoPlace
    stand_in: StandIn
    actor: Actor

    def add(self, sample: Sample) -> OAuthClient:
        """A client with a random secret, known on both sides and found usable."""
        secret = SecretStr(secrets.token_urlsafe(32))
        row = OAuthClient(slug=sample.slug, name=sample.name, provider=sample.provider, is_testing=sample.is_testing)
        row.client_id, row.settings = f"demo-{secrets.token_hex(6)}", self.stand_in.endpoints
        save_client(row, self.actor, secret=secret)
        self.register(row, refresh_life=sample.refresh_life)
        self.check(row)
        return row

    def register(self, row: OAuthClient, *, secret: SecretStr | None = None, refresh_life: float | None = None) -> None:
        """Tell the provider of the client; with `secret` it knows another one than the portal."""
        known = registration_of(row)
        registration = Registration(known.client_id, secret or known.client_secret)
        bases = (self.place.url, f"http://localhost:{self.place.port}")
        uris = [redirect_uri_of(row, base) for base in bases]
        self.stand_in.register(registration, row.name, uris, refresh_life=refresh_life)

    def check(self, row: OAuthClient) -> None:
        """Let the portal find out whether the provider accepts the client."""
        check_client(row, redirect_uri_of(row, self.place.url), self.actor)

    def authorise(
        self, row: OAuthClient, project: str, type_: str, account: str, *, scopes: Iterable[str] | None = None
    ) -> Token | None:
        """Authorise a sample project's connector as a person does; None when it is no longer there or has a token."""
        connector = (
            Connector.objects.select_related("project__workspace", "integration_type")
            .filter(project__slug=project, integration_type=type_, is_declared=True, token=None)
            .first()
        )
        if connector is None or not connector.scopes:
            return None
        self._trip(row, connector, account, scopes)
        return Token.objects.filter(connector=connector).first()

    def _trip(self, row: OAuthClient, connector: Connector, account: str, scopes: Iterable[str] | None) -> None:
        """To the provider and back, through the portal's own flow."""
        user_id, session_key = self.actor.user_id or 0, secrets.token_urlsafe(24)
        request, nonce = HttpRequest(), SecretStr(secrets.token_urlsafe(24))
        client = client_for_trip(row, connector, redirect_uri_of(row, self.place.url))
        wish = Wish(connector, row, user_id=user_id, session_key=session_key, redirect_uri=client.redirect_uri)

        def stash(verifier: SecretStr | None) -> SecretStr:
            return depart(wish, verifier=verifier, nonce=nonce, now=timezone.now())

        address = departure(request, client, list(connector.scopes), nonce=nonce, stash=stash)
        answer = self.stand_in.consent(address, account, scopes)
        now = timezone.now()
        trip_of = claim(answer.get("state", ""), row, user_id=user_id, session_key=session_key, now=now)
        request.GET = QueryDict(urlencode(answer))
        back = Return(request, client, SecretStr(trip_of.verifier.reveal()) if trip_of.verifier else None)
        said = CallbackAnswer(code="code" in answer, error=answer.get("error", ""), iss=answer.get("iss", ""))
        settled = finish(trip_of, said, back, self.actor, now)
        if settled.outcome not in (Authorisation.Outcome.CONNECTED, Authorisation.Outcome.FEWER_SCOPES):
            raise Refused(f"{connector} could not be authorised at the stand-in provider: {settled.message}")


def _fresh_and_ended(seeder: Seeder, sample: Sample) -> None:
    """One token that the worker keeps fresh, and one whose owner took consent back at the provider."""
    row = seeder.add(sample)
    _once_wider(seeder, row)
    with days_ago(20):
        token = seeder.authorise(row, "helpdesk", "gmail", SUPPORT)
    if token:
        client = client_for_trip(row, token.connector, token.redirect_uri)
        refresh_token = SecretStr(token.refresh_token.reveal())
        inspect.revoke(client.profile, client.registration, SecretStr(token.access_token.reveal()), refresh_token)
        refresh_now(token, seeder.actor)  # how the portal comes to know of it


def _once_wider(seeder: Seeder, row: OAuthClient) -> None:
    """A token that can do more than is declared: it was authorised while somebody tried out a broader scope."""
    rows = Connector.objects.select_related("project").filter(project__slug="storefront", integration_type="gmail")
    connector = rows.filter(is_declared=True).first()
    if connector is None:
        return
    scopes, config = connector.scopes, connector.connection_config
    with days_ago(30):
        declare(connector.project, "gmail", [*scopes, BROADER], config, seeder.actor)
        seeder.authorise(row, "storefront", "gmail", OWNER)
    with days_ago(28):
        declare(connector.project, "gmail", scopes, config, seeder.actor)


def _in_testing(seeder: Seeder, sample: Sample) -> None:
    """A token of five days ago, whose client is still in testing mode: two days are left."""
    row = seeder.add(sample)
    seeder.register(row, refresh_life=(TESTING_DAYS - TESTED_FOR) * DAY)
    with days_ago(TESTED_FOR):
        seeder.authorise(row, "insights", "googlesheets", FINANCE)
    seeder.register(row, refresh_life=TESTING_DAYS * DAY)


def _misconfigured(seeder: Seeder, sample: Sample) -> None:
    """A client whose secret was replaced at the provider, and not here."""
    row = seeder.add(sample)
    seeder.authorise(row, "storefront", "hubspot", OWNER)
    seeder.register(row, secret=SecretStr(secrets.token_urlsafe(32)))
    seeder.check(row)


def _with_an_end(seeder: Seeder, sample: Sample) -> None:
    """Tokens that end in some weeks; one of them was not granted everything."""
    row = seeder.add(sample)
    seeder.authorise(row, "insights", "salesforce", FINANCE)
    seeder.authorise(row, "helpdesk", "salesforce", SUPPORT, scopes=["refresh_token", "id"])


_FILL: dict[Sample, Callable[[Seeder, Sample], None]] = {
    GOOGLE: _fresh_and_ended,
    TESTING: _in_testing,
    HUBSPOT: _misconfigured,
    SALESFORCE: _with_an_end,
}
