"""What sign-in providers are asked goes through core.net: no private address, no redirect, no proxy, short answers.

Whoever may edit providers types their addresses, and a provider's description of itself names more of them.
"""

from __future__ import annotations

import functools
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from connectors.core import net
from connectors.core.errors import PortalError
from connectors.flows.sign_in_providers import MAX_ANSWER, allowed_hosts


class GuardedAdapter(BaseAdapter):
    """Sends a prepared request of `requests` by core.net."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """The complete answer. Raises ConnectionError, in words that hold no secret, when there is none."""
        body = request.body.encode() if isinstance(request.body, str) else request.body
        if body is not None and not isinstance(body, bytes):
            raise requests.RequestException("Only a whole body can be sent.")
        ours = ("content-length", "connection", "host", "accept-encoding")
        headers = {name: str(value) for name, value in request.headers.items() if name.lower() not in ours}
        try:
            answer = net.ask(
                request.method or "GET",
                request.url or "",
                body,
                headers,
                allowed=allowed_hosts(),
                max_answer=MAX_ANSWER,
            )
        except PortalError as error:
            raise requests.ConnectionError(str(error)) from None
        return _as_response(answer, request)

    def close(self) -> None:
        """Nothing stays open."""


def guarded_session() -> requests.Session:
    """A session that reaches only what core.net lets it, and follows no redirect."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, GuardedAdapter())
    session.request = functools.partial(session.request, allow_redirects=False)  # type: ignore[method-assign]
    return session


def _as_response(answer: net.Answer, request: requests.PreparedRequest) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    response.headers.setdefault("content-type", "")
    response.encoding = "utf-8"
    response.url, response.request = request.url or "", request
    response._content = answer.body
    return response
