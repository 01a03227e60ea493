"""The emulator, as the demo arranges it: what Base44 has changes, clients are registered, somebody gives consent."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from connectors.core.errors import Refused
from connectors.core.oauth.profile import Registration

TIMEOUT = 15.0
ACCESS_LIFE = 120.0
"""Seconds: short, so that a newcomer sees the worker refresh."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """The emulator at `emulator_url`, such as `http://127.0.0.1:8044`."""

    emulator_url: str

    @property
    def endpoints(self) -> dict[str, str]:
        """Its addresses, as the settings of an OAuth client name them."""
        base = f"{self.emulator_url}/provider"
        names = {"authorize_url": "authorize", "token_url": "token", "revoke_url": "revoke"}
        names |= {"introspect_url": "introspect", "userinfo_url": "userinfo"}
        return {"issuer": base, **{setting: f"{base}/{name}" for setting, name in names.items()}}

    def put_connector(self, app: str, type_: str, scopes: Iterable[str]) -> None:
        """Give an app's connector just these scopes at Base44, behind the portal's back. Raises OSError, Refused."""
        body = {"app": app, "type": type_, "scopes": list(scopes)}
        self._post("/_emulator/connectors", json.dumps(body), "application/json", expected=200)

    def register(
        self, registration: Registration, name: str, redirect_uris: Iterable[str], *, refresh_life: float | None = None
    ) -> None:
        """Make the client known, or change it. Raises OSError, Refused."""
        body = {
            "client_id": registration.client_id,
            "client_secret": registration.client_secret.get_secret_value(),
            "name": name,
            "redirect_uris": list(redirect_uris),
            "access_life": ACCESS_LIFE,
            "refresh_life": refresh_life,
        }
        self._post("/_emulator/oauth-clients", json.dumps(body), "application/json", expected=200)

    def consent(self, address: str, account: str, scopes: Iterable[str] | None = None) -> Mapping[str, str]:
        """What the provider answers to the redirect URI when somebody agrees to all (None) or to these scopes.

        `address` is that of the consent page. Raises OSError, Refused.
        """
        form: dict[str, object] = {"account": account, "decision": "all" if scopes is None else "some"}
        body = urlencode({**form, "scope": list(scopes or ())}, doseq=True)
        parts = urlsplit(address)
        path = f"{parts.path}?{parts.query}"
        location = self._post(path, body, "application/x-www-form-urlencoded", expected=303)
        return dict(parse_qsl(urlsplit(location).query))

    def _post(self, path: str, body: str, content_type: str, *, expected: int) -> str:
        parts = urlsplit(self.emulator_url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
        try:
            connection.request("POST", path, body.encode(), {"Content-Type": content_type})
            answer = connection.getresponse()
            answer.read()
        except http.client.HTTPException as error:
            raise Refused(f"The stand-in provider did not answer as HTTP ({type(error).__name__}).") from None
        finally:
            connection.close()
        if answer.status != expected:
            raise Refused(f"The stand-in provider answered {answer.status} to {path.partition('?')[0]}.")
        return answer.headers.get("Location", "")
