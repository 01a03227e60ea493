"""The provider's process, its endpoints, and what a test can arrange there."""

from __future__ import annotations

import base64
import hashlib
import secrets
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from pydantic import SecretStr

from tests.servers.http import Reply, ask
from tests.servers.openid_provider.install import HERE, modules, node
from tests.servers.openid_provider.person import Grant, Person
from tests.servers.openid_provider.stats import Stats

SCOPES = ("openid", "offline_access", "profile", "email", "files.read", "files.write", "mail.read", "crm.read")
START_WITHIN = 60
STOP_WITHIN = 20
HELD_WITHIN = 60
AuthMethod = Literal["client_secret_post", "client_secret_basic"]


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client that the provider knows."""

    client_id: str
    client_secret: SecretStr
    redirect_uri: str
    auth_method: AuthMethod

    def signed(self, form: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """A form and headers that prove who is calling, in the way that was registered."""
        secret = self.client_secret.get_secret_value()
        if self.auth_method == "client_secret_post":
            return {**form, "client_id": self.client_id, "client_secret": secret}, {}
        pair = f"{quote(self.client_id, safe='')}:{quote(secret, safe='')}"
        return dict(form), {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


@dataclass(frozen=True, slots=True)
class Request:
    """An authorisation request, and what only its sender knows."""

    url: str
    state: str
    nonce: str
    verifier: str


class OpenIdProvider:
    """A running provider. It is at `localhost`, so that its cookies stay apart from those of a portal at 127.0.0.1.

    with OpenIdProvider() as provider:
        client = provider.register_client("http://127.0.0.1:8000/callback/")
        callback_url = provider.person("alice@acme.example").approve(url, only=["openid", "files.read"])
    """

    def __init__(self, *, access_token_seconds: int = 3600) -> None:
        self.access_token_seconds = access_token_seconds
        self.issuer = ""

    def __enter__(self) -> OpenIdProvider:
        command = [node(), str(HERE / "provider.mjs"), f"--modules={modules()}"]
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [*command, f"--access-token-seconds={self.access_token_seconds}"],
            stdin=subprocess.PIPE,  # closes when we die, however we die: then the provider ends too
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.issuer = self._started()
        self._observer = self.register_client("http://127.0.0.1/observer")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=STOP_WITHIN)
        self._log.close()

    def _started(self) -> str:
        """The issuer, once the provider says that it is ready; raises AssertionError with its last words."""
        assert self._process.stdout is not None
        patience = threading.Timer(START_WITHIN, self._process.kill)
        patience.start()
        word, _, issuer = self._process.stdout.readline().strip().partition(" ")
        patience.cancel()
        if word != "ready":
            self._process.communicate(timeout=STOP_WITHIN)
            with self._log:
                self._log.seek(0)
                raise AssertionError(f"the OpenID provider did not start: {self._log.read()}")
        return issuer

    @property
    def authorize_url(self) -> str:
        """Where a person is sent to."""
        return f"{self.issuer}/auth"

    @property
    def token_url(self) -> str:
        """Where codes and refresh tokens are exchanged."""
        return f"{self.issuer}/token"

    @property
    def userinfo_url(self) -> str:
        """Who an access token stands for: sub, and email and name where those scopes were allowed."""
        return f"{self.issuer}/me"

    @property
    def revoke_url(self) -> str:
        """RFC 7009."""
        return f"{self.issuer}/token/revocation"

    @property
    def introspect_url(self) -> str:
        """RFC 7662, for any registered client."""
        return f"{self.issuer}/token/introspection"

    @property
    def jwks_url(self) -> str:
        """The keys that sign ID tokens."""
        return f"{self.issuer}/jwks"

    def register_client(
        self,
        redirect_uri: str,
        *,
        auth_method: AuthMethod = "client_secret_post",
        name: str = "Connector portal",
    ) -> Client:
        """A new client; people see its `name`."""
        made = self._control("register", redirect_uri=redirect_uri, auth_method=auth_method, name=name)
        return Client(made["client_id"], SecretStr(made["client_secret"]), redirect_uri, auth_method)

    def person(self, email: str) -> Person:
        """An account with this address, in a browser that has not signed in yet."""
        return Person(self.issuer, email)

    def tell(self, email: str, /, **claims: Any) -> None:
        """Say this of the account with that address, such as `groups=["ops"]` or `email_verified=False`."""
        self._control("tell", email=email, claims=claims)

    def request(self, client: Client, scopes: Iterable[str]) -> Request:
        """An authorisation request with PKCE; asks for consent, without which there is no offline_access."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {"client_id": client.client_id, "redirect_uri": client.redirect_uri, "response_type": "code"}
        query |= {"scope": " ".join(scopes), "state": state, "nonce": nonce, "prompt": "consent"}
        query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        return Request(f"{self.authorize_url}?{urlencode(query)}", state, nonce, verifier)

    def exchange(self, client: Client, request: Request, callback_url: str) -> Reply:
        """Trade the code of a callback URL for tokens."""
        [code] = parse_qs(urlsplit(callback_url).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": client.redirect_uri}
        return self._post(self.token_url, client, {**form, "code_verifier": request.verifier})

    def tokens(self, client: Client, scopes: Iterable[str], person: Person, *, grant: Grant = "new") -> dict[str, Any]:
        """The token answer of a complete authorisation, without the portal."""
        request = self.request(client, scopes)
        reply = self.exchange(client, request, person.approve(request.url, grant=grant))
        assert reply.status == 200, reply.text
        answer: dict[str, Any] = reply.json
        return answer

    def refresh(self, client: Client, refresh_token: str) -> Reply:
        """Trade a refresh token for new tokens."""
        return self._post(self.token_url, client, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    def revoke(self, client: Client, token: str) -> Reply:
        """End a token, and with it its grant."""
        return self._post(self.revoke_url, client, {"token": token})

    def introspect(self, token: str) -> dict[str, Any]:
        """What the provider knows about an access or refresh token."""
        known: dict[str, Any] = self._post(self.introspect_url, self._observer, {"token": token}).json
        return known

    def userinfo(self, access_token: str) -> dict[str, Any]:
        """What the userinfo endpoint answers to this access token."""
        told: dict[str, Any] = ask(self.issuer, "GET", urlsplit(self.userinfo_url).path, token=access_token).json
        return told

    def alive(self, token: str) -> bool:
        """Whether the provider would still accept it."""
        return self.introspect(token)["active"] is True

    def delay(self, ms: int) -> None:
        """Handle each token call only after so long; 0 ends it."""
        self._control("delay", ms=ms)

    def fail_next_tokens(
        self,
        count: int = 1,
        *,
        status: int = 503,
        body: Mapping[str, Any] | str = "Out of order",
        retry_after: int | str | None = None,
    ) -> None:
        """The next token calls get this answer instead: a mapping as JSON. The provider itself never sees them."""
        sent = body if isinstance(body, str) else dict(body)
        self._control("fail", count=count, status=status, body=sent, retry_after=retry_after)

    def tamper_next_token(self, json_patch: Mapping[str, Any]) -> None:
        """Merge these keys into the next successful token answer that has no patch yet; None removes a key."""
        self._control("tamper", patch=dict(json_patch))

    def hold(self, when: Literal["before", "after"]) -> None:
        """Keep all token calls waiting: before the provider handles them, or handled but not yet answered."""
        self._control("hold", when=when)

    def wait_until_held(self, count: int = 1) -> None:
        """Returns once so many calls are held; raises TimeoutError after a minute."""
        self._control("held", count=count)

    def release(self, *, drop: bool = False) -> None:
        """Let the held calls go on, and hold no more.

        With `drop` their connections break instead: held "before", they never reached the provider; held "after", the
        provider did its part and the answer is lost. A caller that was killed wants this: its call would still run.
        """
        self._control("release", drop=drop)

    def stats(self) -> Stats:
        """What happened since the start or the last reset."""
        return Stats.read(self._control("stats"))

    def reset_stats(self) -> None:
        """Count from zero."""
        self._control("reset-stats")

    def reset(self) -> None:
        """End everything that was arranged, drop held calls, count from zero. Clients and tokens stay."""
        self._control("reset")

    def _control(self, verb: str, /, **body: object) -> Any:
        reply = ask(self.issuer, "POST", f"/_control/{verb}", body, timeout=HELD_WITHIN)
        assert reply.status == 200, reply.text
        return reply.json

    def _post(self, url: str, client: Client, form: Mapping[str, str]) -> Reply:
        signed, headers = client.signed(form)
        return ask(self.issuer, "POST", urlsplit(url).path, form=signed, headers=headers, timeout=HELD_WITHIN)
