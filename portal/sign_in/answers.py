"""Pages that a sign-in can end with."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

UNREACHED = "{name} does not answer as it should just now. Try again later, or log in in another way."
STRANGE = (
    "The answer of {name} cannot be used, so nobody was let in. Start again from the login page; if it stays so, "
    "whoever runs the portal can test the provider."
)
UNREADABLE = "The secret for {name} cannot be read any more: an administrator has to enter it again."


def refused(request: HttpRequest, text: str) -> HttpResponse:
    """Says why nobody was let in; the status is 403."""
    answer = render(request, "socialaccount/refused.html", {"text": text}, status=403)
    answer["Cache-Control"] = "no-store"
    return answer


def leaving(request: HttpRequest, address: str, provider: str) -> HttpResponse:
    """Leads to the provider. No redirect: the Content-Security-Policy lets no form end up at another host."""
    answer = render(request, "socialaccount/leaving.html", {"address": address, "provider": provider})
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "no-referrer"
    return answer
