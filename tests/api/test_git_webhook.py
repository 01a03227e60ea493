"""POST /api/git/<id>/: only the host's signature has the repository read, and nothing else is told or done."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import uuid
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from connectors.core.hosts.webhooks import MAX_BODY
from connectors.models import Project, PullRequest, Repository, RepositoryRun, Sealed
from connectors.tasks import run_repository
from tests.factories import make_placement, make_repository
from tests.servers.git_http import GitServer

pytestmark = pytest.mark.django_db

PUSH = {"ref": "refs/heads/main", "before": "1" * 40, "after": "2" * 40}


@pytest.fixture(autouse=True)
def _nothing_was_refused() -> None:
    cache.clear()


@pytest.fixture
def secret() -> str:
    return secrets.token_urlsafe(32)


@pytest.fixture
def repository(db: None, secret: str) -> Repository:
    """On GitHub, with a webhook secret."""
    return make_repository("Shops", host=Repository.Host.GITHUB, webhook_secret=secret)


def send(repository: Repository, secret: str, what: Any, event: str = "push", **headers: str) -> HttpResponse:
    """What the portal answers to a message of GitHub's, signed with the secret."""
    body = what if isinstance(what, bytes) else json.dumps(what).encode()
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    sent = {"X-GitHub-Event": event, "X-Hub-Signature-256": signature, **headers}
    path = f"/api/git/{repository.public_id}/"
    return Client().post(path, body, content_type="application/json", headers=sent)  # type: ignore[return-value]


def told(answer: HttpResponse) -> Any:
    return json.loads(answer.content)


def test_a_signed_push_queues_a_read(repository: Repository, secret: str) -> None:
    answer = send(repository, secret, PUSH)
    assert (answer.status_code, told(answer)) == (202, {"queued": True})
    run = RepositoryRun.objects.get()
    assert (run.kind, run.actor_label, run.door) == ("read", "webhook of Shops", "api")


def test_no_second_read_is_queued_while_one_waits(repository: Repository, secret: str) -> None:
    send(repository, secret, PUSH)
    assert told(send(repository, secret, PUSH))["queued"] is False
    assert RepositoryRun.objects.count() == 1


@pytest.mark.parametrize(
    "values",
    [{"branch": "release"}, {"is_enabled": False}, {"head": "2" * 40}],
    ids=["another branch", "not in use", "known commit"],
)
def test_a_push_that_changes_nothing_here_queues_nothing(
    repository: Repository, secret: str, values: dict[str, Any]
) -> None:
    Repository.objects.update(**values)
    answer = send(repository, secret, PUSH)
    assert (answer.status_code, told(answer)["queued"]) == (202, False)
    assert not RepositoryRun.objects.exists()


def test_a_deleted_branch_is_read_so_that_somebody_learns_of_it(repository: Repository, secret: str) -> None:
    assert told(send(repository, secret, {**PUSH, "after": "0" * 40}))["queued"] is True


@pytest.mark.parametrize("event", ["ping", "star"])
def test_other_messages_are_answered_and_queue_nothing(repository: Repository, secret: str, event: str) -> None:
    answer = send(repository, secret, {"zen": "Keep it simple."}, event)
    assert (answer.status_code, told(answer)["queued"]) == (202, False)


def test_that_a_message_came_is_noted_and_clears_an_earlier_refusal(repository: Repository, secret: str) -> None:
    Repository.objects.update(webhook_note="refused")
    send(repository, secret, {}, "ping")
    repository.refresh_from_db()
    assert (repository.webhook_note, repository.webhook_at is None) == ("", False)


def test_a_message_signed_with_another_secret_is_refused_and_noted(repository: Repository) -> None:
    answer = send(repository, secrets.token_urlsafe(32), PUSH)
    repository.refresh_from_db()
    assert (answer.status_code, RepositoryRun.objects.count()) == (401, 0)
    assert "refused" in repository.webhook_note
    assert repository.webhook_at is None


def test_refusals_are_noted_at_most_once_a_minute(repository: Repository) -> None:
    send(repository, "wrong", PUSH)
    Repository.objects.update(webhook_note="")
    send(repository, "wrong", PUSH)
    repository.refresh_from_db()
    assert repository.webhook_note == ""


def test_without_a_secret_everything_is_refused(repository: Repository) -> None:
    Repository.objects.update(webhook_secret=Sealed())
    assert send(repository, "", PUSH).status_code == 401


def test_a_secret_that_cannot_be_decrypted_any_more_refuses(repository: Repository, secret: str) -> None:
    Repository.objects.update(webhook_secret=Sealed("lost"))
    assert send(repository, secret, PUSH).status_code == 401


def test_a_signed_message_that_is_none_is_said_to_be_none(repository: Repository, secret: str) -> None:
    assert send(repository, secret, b"{").status_code == 422


def test_an_unknown_repository_is_not_found(repository: Repository, secret: str) -> None:
    repository.public_id = uuid.uuid4()
    assert send(repository, secret, PUSH).status_code == 404


def test_nothing_but_post_is_answered(repository: Repository) -> None:
    assert Client().get(f"/api/git/{repository.public_id}/").status_code == 405


def test_a_message_above_the_limit_is_refused_unread(repository: Repository, secret: str) -> None:
    assert send(repository, secret, b" " * (MAX_BODY + 1)).status_code == 413


def test_a_message_as_large_as_hosts_send_is_taken(repository: Repository, secret: str) -> None:
    assert send(repository, secret, {**PUSH, "padding": "x" * (MAX_BODY - 300)}).status_code == 202


def test_a_changed_pull_request_of_the_portals_is_looked_at_soon(repository: Repository, secret: str) -> None:
    now = timezone.now()
    values = {"opened_at": now, "updated_at": now, "checked_at": now, "head": "3" * 40}
    ours = PullRequest.objects.create(repository=repository, key="all", number=7, title="t", branch="b", **values)
    send(repository, secret, {"pull_request": {"number": 7, "head": {"ref": "b"}}}, "pull_request")
    ours.refresh_from_db()
    assert ours.checked_at is None


def test_no_answer_repeats_what_was_sent(repository: Repository, secret: str) -> None:
    marked = {"ref": "refs/heads/canary-branch", "before": "canary", "after": "canary"}
    answers = [send(repository, secret, marked), send(repository, "wrong", marked), send(repository, secret, b"canary")]
    assert not [answer for answer in answers if b"canary" in answer.content or secret.encode() in answer.content]


def test_what_was_pushed_is_imported_by_itself_after_its_message(
    git_server: GitServer, git_settings: Any, project: Project, secret: str
) -> None:
    repo, token = git_server.make("acme/shop"), git_server.token.get_secret_value()
    after = repo.commit({"base44/connectors/slack.jsonc": '{"type": "slack", "scopes": ["chat:write"]}'})
    place = make_repository(url=repo.url, host=Repository.Host.GITHUB, token=token, webhook_secret=secret)
    make_placement(project, place, auto_import=True)
    send(place, secret, {**PUSH, "after": after})
    run_repository(RepositoryRun.objects.get().pk)
    assert list(project.connectors.declared().values_list("scopes", flat=True)) == [["chat:write"]]
