"""Somebody at the provider's pages, without a browser: a cookie jar and the form that the page would send."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import IO, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

Grant = Literal["new", "shared"]
TIMEOUT = 30
MOST_REDIRECTS = 10


class _Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are answers here, not something to follow."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        return None


class Person:
    """An account at the provider and the session of its browser: signs in at the first page, stays signed in."""

    def __init__(self, issuer: str, email: str) -> None:
        self.issuer = issuer
        self.email = email
        self._browser = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(), _Stay()
        )

    @property
    def subject(self) -> str:
        """The `sub` of this account: not the address, so that a mix-up of the two shows."""
        return f"id:{self.email}"

    def approve(self, authorize_url: str, *, only: Iterable[str] | None = None, grant: Grant = "new") -> str:
        """Allow what is asked for, or of it `only` these scopes; the URL that the provider sends the browser to.

        `offline_access` is allowed whenever it is asked for. `grant="shared"` adds to what this account allowed this
        client before: then the end of one grant ends all tokens, as with Google.
        """
        asked = dict(parse_qsl(urlsplit(authorize_url).query)).get("scope", "").split()
        chosen = asked if only is None else list(only)
        return self._visit(authorize_url, {"decision": "approve", "scope": chosen, "grant": grant})

    def deny(self, authorize_url: str) -> str:
        """Allow nothing; the URL that the provider sends the browser to."""
        return self._visit(authorize_url, {"decision": "deny"})

    def _visit(self, url: str, form: dict[str, str | list[str]]) -> str:
        """Follow the provider's redirects and fill in its page; the first address elsewhere, not visited."""
        target, payload = url, None
        for _ in range(MOST_REDIRECTS):
            status, location, page = self._load(target, payload)
            if status == 200 and urlsplit(target).path.startswith("/interaction/") and payload is None:
                payload = urlencode({**form, "login": self.email}, doseq=True).encode()
                continue
            assert location, f"the provider answers {status} at {urlsplit(target).path}: {page[:500]}"
            target, payload = urljoin(target, location), None
            if urlsplit(target).netloc != urlsplit(self.issuer).netloc:
                return target
        raise AssertionError(f"the provider redirected {MOST_REDIRECTS} times")

    def _load(self, url: str, payload: bytes | None) -> tuple[int, str, str]:
        """Status, Location and body of one request."""
        try:
            with self._browser.open(url, payload, timeout=TIMEOUT) as answer:
                return answer.status, "", answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers.get("Location", ""), answer.read().decode()
