"""How often each door may be knocked at. Counted for all processes together; see docs/sign-in.md for the table."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from portal.counters import count
from portal.later import later

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Door:
    """Addresses that count together. `posts_only`: looking at the page costs nothing."""

    name: str
    starts: tuple[str, ...]
    posts_only: bool = False

    def is_at(self, request: HttpRequest) -> bool:
        """Whether this request knocks here."""
        return request.path.startswith(self.starts) and (not self.posts_only or request.method == "POST")


DOORS = (
    Door("reset", ("/accounts/password/reset/",)),
    Door("login", ("/accounts/login/", "/accounts/2fa/", "/accounts/reauthenticate/"), posts_only=True),
    Door("callback", ("/accounts/sign-in/", "/oauth/")),
    Door("join", ("/join/",)),
    Door("check", ("/api/check/",)),
    Door("webhook", ("/api/git/",)),
)
_STATUS = "/status/"
"""Pages that wait for a consent ask for this each second: only the wide limit counts them."""
_BESIDE = ("/static/", "/healthz", "/readyz", "/metrics")


class RateLimitMiddleware:
    """Answers 429 to whoever asks more often than the limits allow, before any view does its work."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        limits: Mapping[str, int] | None = settings.RATE_LIMITS
        if limits and not request.path.startswith(_BESIDE):
            for name, who in _counted_as(request):
                done = count(f"{name}:{who}", MINUTE)
                if done.number > limits[name]:
                    return too_many(request, done.seconds_left)
        return self.get_response(request)


def too_many(request: HttpRequest, seconds: int = MINUTE) -> HttpResponse:
    """The answer to one request too many; builds and scripts get a sentence instead of a page."""
    sentence = f"Too many requests. Try again in {seconds} seconds."
    return later(request, 429, sentence, seconds, {"seconds": seconds})


def address_of(request: HttpRequest) -> str:
    """The caller's address; of IPv6 the network that one customer gets. "" behind a socket, where all count as one."""
    try:
        text = str(get_adapter(request).get_client_ip(request))
        address = ipaddress.ip_address(text)
    except (PermissionDenied, ValueError):
        return ""
    return str(ipaddress.ip_network(f"{text}/64", strict=False)) if address.version == 6 else text


def _counted_as(request: HttpRequest) -> list[tuple[str, str]]:
    """The limits that this request counts towards, with who it counts for."""
    address = address_of(request)
    found = [(door.name, address) for door in DOORS if door.is_at(request)]
    if request.path.startswith("/consent/") and not request.path.endswith(_STATUS):
        found.append(("consent", address))
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return found if request.path.startswith("/api/") else [*found, ("address", address)]
    if "download" in request.GET:
        found.append(("download", str(user.pk)))
    return [*found, ("user", str(user.pk))]
