"""`POST /api/check/`: a build sends its files as a zip archive and learns whether portal and Base44 say the same."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from pydantic import SecretStr

from connectors.api.check_report import FORMATS, Report, render, render_problem
from connectors.core.errors import PortalError
from connectors.core.printable import printable
from connectors.flows.check_archive import check_archive, repository_with
from connectors.models import Repository

WRONG_TOKENS = 20
"""Wrong tokens that one address may send in a minute before nothing from there is looked at."""

LONGEST_REF = 200
_MINUTE = 60


class _Turned(Exception):
    """The request is not answered, with this status and for this reason."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers


@csrf_exempt  # no cookie counts here: the token is the credential
@login_not_required
@never_cache
def check(request: HttpRequest) -> HttpResponse:
    """200 when all projects of the token's repository agree with the archive, 409 when not; else why not, in words.

    The body is a zip archive made at the repository's top. `?format=` is json, text or github, `?ref=` is repeated in
    the answer. The token alone says which repository it is about, and nothing else is told of.
    """
    asked = _asked_format(request)
    style = asked if asked in FORMATS else FORMATS[0]
    try:
        if request.method != "POST":
            raise _Turned(405, "Send the archive with POST.", Allow="POST")
        if asked != style:
            raise _Turned(422, f"There is no format {asked[:20]}: choose one of {', '.join(FORMATS)}.")
        repository = _repository(request)
        places = check_archive(repository, _body(request), timezone.now())
    except _Turned as turned:
        return _answer(render_problem(str(turned), style), style, turned.status, turned.headers)
    except PortalError as error:
        return _answer(render_problem(str(error), style), style, 422)
    report = Report(repository.name, printable(request.GET.get("ref", ""))[:LONGEST_REF], places)
    return _answer(render(report, style), style, 200 if report.agrees else 409)


def _asked_format(request: HttpRequest) -> str:
    if asked := request.GET.get("format"):
        return asked
    return "text" if request.headers.get("Accept", "").startswith("text/plain") else "json"


@sensitive_variables("token", "given")
def _repository(request: HttpRequest) -> Repository:
    """The one that the token is for. Raises _Turned for a wrong one, and for any after too many wrong ones."""
    this_minute, last_minute = _wrong_from(request)
    if sum(cache.get_many([this_minute, last_minute]).values()) >= WRONG_TOKENS:
        raise _Turned(429, "Too many wrong tokens came from this address: wait a minute.", **{"Retry-After": "60"})
    given, _, token = request.headers.get("Authorization", "").partition(" ")
    repository = repository_with(SecretStr(token.strip())) if given.lower() == "bearer" and token.strip() else None
    if repository is None:
        cache.add(this_minute, 0, timeout=2 * _MINUTE)
        with suppress(ValueError):  # the cache threw it away meanwhile
            cache.incr(this_minute)
        text = "The check token is missing or is not the one that the portal made last."
        raise _Turned(401, text, **{"WWW-Authenticate": "Bearer"})
    return repository


def _wrong_from(request: HttpRequest) -> tuple[str, str]:
    """Under which keys the wrong tokens of a caller's address are counted: those of this minute and of the last."""
    try:
        address = get_adapter(request).get_client_ip(request)
    except PermissionDenied:  # behind a socket there may be none: then all callers count as one
        address = ""
    told = hashlib.sha256(str(address).encode()).hexdigest()[:32]
    minute = int(time.time()) // _MINUTE
    return f"check-tokens:{told}:{minute}", f"check-tokens:{told}:{minute - 1}"


def _body(request: HttpRequest) -> bytes:
    limit = settings.UPLOAD_MAX_BYTES
    too_large = f"The archive is larger than {limit // 1024 // 1024} MB: send only the folders of the projects."
    try:
        body = request.body
    except RequestDataTooBig:
        raise _Turned(413, too_large) from None
    except UnreadablePostError:
        raise _Turned(422, "The archive did not arrive whole.") from None
    if not body:
        raise _Turned(422, "There is no archive: send one made with git archive --format=zip as the body.")
    return body


def _answer(text: str, style: str, status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    kind = "application/json" if style == "json" else "text/plain; charset=utf-8"
    return HttpResponse(text, content_type=kind, status=status, headers=headers)
