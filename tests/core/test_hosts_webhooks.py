"""Messages of hosts: taken when whoever sent them knows the secret, and then only for what is documented."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.core import webhooks as standard
from connectors.core.hosts import WebhookRefused
from connectors.core.hosts.webhooks import Ping, PullRequestChanged, Push, read_event, verify

SECRET = standard.new_secret()
OLD, NEW, NONE = "a" * 40, "b" * 40, "0" * 40
KINDS = ("github", "gitlab", "gitea", "plain")

PUSH = {"ref": "refs/heads/main", "before": OLD, "after": NEW, "commits": [], "repository": {"id": 1}}
GITLAB_PUSH = PUSH | {"object_kind": "push", "event_name": "push", "project": {"id": 1}}
PULL = {
    "action": "closed",
    "number": 7,
    "pull_request": {"number": 7, "state": "closed", "merged": True, "head": {"ref": "portal/all", "sha": NEW}},
}
MERGE_REQUEST = {
    "object_kind": "merge_request",
    "object_attributes": {"iid": 7, "id": 900, "source_branch": "portal/all", "state": "merged", "action": "merge"},
}


def signed(kind: str, body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The headers with which a host of this kind sends a body."""
    if kind == "gitlab":
        signature = standard.signature(secret, "1f0c", 1_800_000_000, body)
        return {"webhook-id": "1f0c", "webhook-timestamp": "1800000000", "webhook-signature": signature}
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if kind == "gitea":
        return {"X-Gitea-Signature": digest, "X-Gogs-Signature": digest}
    return {"X-Hub-Signature-256": f"sha256={digest}"}


def raw(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("kind", KINDS)
@given(body=st.binary(max_size=200))
def test_what_is_signed_with_the_secret_is_taken(kind: str, body: bytes) -> None:
    verify(kind, signed(kind, body), body, SecretStr(SECRET))


@pytest.mark.parametrize("kind", KINDS)
@given(body=st.binary(min_size=1, max_size=200), at=st.integers(0, 199), other=st.integers(1, 255))
def test_a_changed_byte_is_refused(kind: str, body: bytes, at: int, other: int) -> None:
    at %= len(body)
    changed = body[:at] + bytes([body[at] ^ other]) + body[at + 1 :]
    with pytest.raises(WebhookRefused):
        verify(kind, signed(kind, body), changed, SecretStr(SECRET))


@pytest.mark.parametrize("kind", KINDS)
def test_another_secret_is_refused(kind: str) -> None:
    body = raw(PUSH)
    with pytest.raises(WebhookRefused, match="not signed with this repository's webhook secret"):
        verify(kind, signed(kind, body, standard.new_secret()), body, SecretStr(SECRET))


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_signature_nothing_is_taken(kind: str) -> None:
    with pytest.raises(WebhookRefused):
        verify(kind, {}, b"{}", SecretStr(SECRET))


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_secret_nothing_is_taken(kind: str) -> None:
    with pytest.raises(WebhookRefused, match="has no webhook secret"):
        verify(kind, signed("github", b"{}", ""), b"{}", SecretStr(""))


def test_gitlabs_secret_token_is_compared_as_it_is() -> None:
    verify("gitlab", {"X-Gitlab-Token": SECRET}, b"{}", SecretStr(SECRET))
    with pytest.raises(WebhookRefused):
        verify("gitlab", {"X-Gitlab-Token": SECRET[:-1]}, b"{}", SecretStr(SECRET))


def test_any_secret_will_do_for_gitlabs_token_and_only_a_signing_token_signs() -> None:
    plain = secrets.token_urlsafe(24)
    verify("gitlab", {"X-Gitlab-Token": plain}, b"{}", SecretStr(plain))
    with pytest.raises(WebhookRefused):
        verify(
            "gitlab", {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,"}, b"", SecretStr(plain)
        )


def test_one_right_signature_of_several_is_enough() -> None:
    headers = signed("gitlab", b"{}")
    headers["webhook-signature"] = f"v1,AAAA {headers['webhook-signature']}"
    verify("gitlab", headers, b"{}", SecretStr(SECRET))


def test_forgejo_signs_in_a_header_of_its_own() -> None:
    digest = signed("gitea", b"{}")["X-Gitea-Signature"]
    verify("gitea", {"X-Forgejo-Signature": digest}, b"{}", SecretStr(SECRET))


def test_a_token_in_the_clear_is_no_signature_elsewhere() -> None:
    for kind in ("github", "gitea", "plain"):
        with pytest.raises(WebhookRefused):
            verify(kind, {"X-Gitlab-Token": SECRET}, b"{}", SecretStr(SECRET))


def test_no_refusal_tells_the_secret() -> None:
    with pytest.raises(WebhookRefused) as caught:
        verify("gitlab", {"X-Gitlab-Token": "almost"}, b"{}", SecretStr(SECRET))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "header", "event", "body"),
    [
        ("github", "X-GitHub-Event", "push", PUSH),
        ("plain", "X-GitHub-Event", "push", PUSH),
        ("gitea", "X-Gitea-Event", "push", PUSH),
        ("gitea", "X-Forgejo-Event", "push", PUSH),
        ("gitlab", "X-Gitlab-Event", "Push Hook", GITLAB_PUSH),
        ("gitlab", "X-Gitlab-Event", "System Hook", GITLAB_PUSH),
    ],
)
def test_a_push_names_branch_and_commits(kind: str, header: str, event: str, body: dict[str, Any]) -> None:
    assert read_event(kind, {header: event}, raw(body)) == Push("main", OLD, NEW)


@pytest.mark.parametrize(
    ("kind", "header", "event", "body"),
    [
        ("github", "X-GitHub-Event", "pull_request", PULL),
        ("gitea", "X-Gitea-Event", "pull_request", PULL),
        ("gitlab", "X-Gitlab-Event", "Merge Request Hook", MERGE_REQUEST),
        ("gitlab", "X-Gitlab-Event", "System Hook", MERGE_REQUEST),
    ],
)
def test_a_pull_requests_change_names_it(kind: str, header: str, event: str, body: dict[str, Any]) -> None:
    assert read_event(kind, {header: event}, raw(body)) == PullRequestChanged(7, "portal/all")


def test_a_branch_may_have_slashes_and_letters_of_any_language() -> None:
    body = raw(PUSH | {"ref": "refs/heads/team/größe"})
    assert read_event("github", {"X-GitHub-Event": "push"}, body) == Push("team/größe", OLD, NEW)


def test_a_new_branch_has_no_commit_before_and_a_deleted_one_none_after() -> None:
    headers = {"X-GitHub-Event": "push"}
    assert read_event("github", headers, raw(PUSH | {"before": NONE})) == Push("main", "", NEW)
    assert read_event("github", headers, raw(PUSH | {"after": NONE})) == Push("main", OLD, "")


def test_a_ping_is_a_ping() -> None:
    assert read_event("github", {"X-GitHub-Event": "ping"}, raw({"zen": "Keep it simple", "hook_id": 1})) == Ping()


@pytest.mark.parametrize(
    ("kind", "headers", "body"),
    [
        ("github", {"X-GitHub-Event": "issues"}, {}),
        ("github", {"X-GitHub-Event": "pull_request_review"}, PULL),
        ("github", {"X-GitHub-Event": "push"}, PUSH | {"ref": "refs/tags/v1"}),
        ("gitlab", {"X-Gitlab-Event": "Tag Push Hook"}, {"object_kind": "tag_push"}),
        ("gitlab", {"X-Gitlab-Event": "System Hook"}, {"object_kind": "user_create"}),
        ("gitea", {"X-Gitea-Event": "release"}, {}),
    ],
)
def test_what_is_of_no_interest_is_none(kind: str, headers: dict[str, str], body: dict[str, Any]) -> None:
    assert read_event(kind, headers, raw(body)) is None


def test_a_form_in_place_of_json_is_refused_with_what_to_choose() -> None:
    headers = {"X-GitHub-Event": "push", "Content-Type": "application/x-www-form-urlencoded"}
    with pytest.raises(WebhookRefused, match="choose application/json"):
        read_event("github", headers, b"payload=%7B%7D")


def test_a_message_of_another_kind_of_host_is_refused() -> None:
    with pytest.raises(WebhookRefused, match="does not say what it is about"):
        read_event("gitlab", {"X-GitHub-Event": "push"}, raw(PUSH))


@pytest.mark.parametrize("ref", ["refs/heads/", "refs/heads/a b", "refs/heads/a\nb", "refs/heads/" + "x" * 301])
def test_a_branch_that_cannot_be_one_is_refused(ref: str) -> None:
    with pytest.raises(WebhookRefused):
        read_event("github", {"X-GitHub-Event": "push"}, raw(PUSH | {"ref": ref}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
KEYS = [
    "ref",
    "before",
    "after",
    "object_kind",
    "object_attributes",
    "iid",
    "source_branch",
    "pull_request",
    "number",
    "head",
]
LIKELY = st.dictionaries(st.sampled_from(KEYS), JSON | st.dictionaries(st.sampled_from(KEYS), JSON), max_size=6)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "X-GitHub-Event",
            "X-Gitlab-Event",
            "X-Gitea-Event",
            "Content-Type",
            "X-Hub-Signature-256",
            "X-Gitea-Signature",
            "X-Gitlab-Token",
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        ]
    ),
    st.sampled_from(["push", "ping", "pull_request", "Push Hook", "System Hook", "Merge Request Hook"]) | st.text(),
)


@given(kind=st.sampled_from(KINDS), headers=HEADERS, body=st.binary() | (JSON | LIKELY).map(raw))
def test_no_message_crashes_the_reader(kind: str, headers: dict[str, str], body: bytes) -> None:
    try:
        event = read_event(kind, headers, body)
    except WebhookRefused:
        return
    assert event is None or isinstance(event, Push | PullRequestChanged | Ping)


@given(kind=st.sampled_from(KINDS), headers=HEADERS, body=st.binary())
def test_no_message_gets_through_without_the_secret(kind: str, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        verify(kind, headers, body, SecretStr(SECRET))


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"ref":' * 50_000, b'{"ref": "\\ud800"}', b"\xff\xfe"])
def test_a_body_made_to_break_parsers_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        read_event("github", {"X-GitHub-Event": "push"}, body)
