"""`POST /api/git/<id>/`: a repository's host says that something was pushed, and the repository is read."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, JsonResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from connectors.core.actor import Actor, Door
from connectors.core.hosts.errors import WebhookRefused
from connectors.core.hosts.webhooks import MAX_BODY
from connectors.flows.repository_webhook import hear
from connectors.models import Repository
from connectors.tasks import start_repository_read


@csrf_exempt  # no cookie counts here: the signature is the credential
@login_not_required
@never_cache
@require_POST
def git_webhook(request: HttpRequest, public_id: UUID) -> JsonResponse:
    """202 with whether a read was queued; 401 for what the repository's secret did not sign.

    Nothing that was sent is repeated in the answer, and nothing but the signature opens anything.
    """
    repository = Repository.objects.filter(public_id=public_id).first()
    if repository is None:
        raise Http404
    try:
        body = request.read(MAX_BODY + 1)
    except UnreadablePostError:
        return _answer(400, "The message did not arrive whole.")
    if len(body) > MAX_BODY:
        return _answer(413, f"The message is larger than {MAX_BODY // 2**20} MB.")
    try:
        heard = hear(repository, request.headers, body, timezone.now())
    except WebhookRefused as error:
        return _answer(401, str(error))
    except ValueError as error:
        return _answer(422, str(error))
    if not heard.reason:
        return _answer(202, heard.text)
    actor = Actor(f"webhook of {repository.name}", Door.API)
    _, is_new = start_repository_read(repository, actor, heard.reason)
    return _answer(202, "" if is_new else "A read waits already.", queued=is_new)


def _answer(status: int, text: str, *, queued: bool = False) -> JsonResponse:
    told = {"queued": queued} if status == 202 else {}
    return JsonResponse(told | ({"message": text} if text else {}), status=status)
