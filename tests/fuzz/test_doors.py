"""The doors that machines and strangers come through, with a valid secret and nonsense behind it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from connectors.core.config_files import zip_changes
from connectors.flows.repositories import make_check_token
from connectors.models import Connector, OAuthClient, Project, Repository
from tests.factories import SHELL, make_connector, make_oauth_client, make_placement, make_repository
from tests.fuzz.conftest import FEW
from tests.fuzz.strange import TEXTS

pytestmark = pytest.mark.django_db

text = st.sampled_from([value for value in TEXTS if len(value) < 5000]) | st.text(max_size=30)
plain: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | st.floats() | text
document = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=4))
push = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("ref", "before", "after", "commits", "pull_request", "action", "number"), document),
)


@pytest.fixture
def repository(db: None) -> Repository:
    return make_repository("Shops", host=Repository.Host.GITHUB, webhook_secret="s" * 32)


@pytest.fixture
def token(repository: Repository, project: Project) -> str:
    make_placement(project, repository, "apps/crm")
    return make_check_token(repository, SHELL).get_secret_value()


@pytest.fixture
def oauth_client(db: None) -> OAuthClient:
    return make_oauth_client("team")


@pytest.fixture
def connector(project: Project) -> Connector:
    return make_connector(project, "gmail", ["a"])


def test_a_signed_webhook_may_say_anything(repository: Repository) -> None:
    @FEW
    @given(push | document, st.sampled_from(["push", "pull_request", "ping", "\x01", ""]))
    def send(said: object, event: str) -> None:
        cache.clear()
        body = json.dumps(said).encode()
        signature = "sha256=" + hmac.new(b"s" * 32, body, hashlib.sha256).hexdigest()
        headers = {"X-GitHub-Event": event, "X-Hub-Signature-256": signature}
        answer = Client().post(f"/api/git/{repository.public_id}/", body, "application/json", headers=headers)
        assert answer.status_code < 500

    send()


def test_the_check_takes_any_archive(token: str) -> None:
    names = st.sampled_from(["apps/crm/base44/connectors/slack.jsonc", "../x.jsonc", "base44/connectors/a.json"]) | text
    contents = st.binary(max_size=80) | document.map(lambda value: json.dumps(value).encode())
    files = st.dictionaries(names.filter(lambda name: "\x00" not in name), contents, max_size=4)

    @FEW
    @given(files.map(lambda made: zip_changes(list(made.items()))) | st.binary(max_size=100), text)
    def ask(body: bytes, format_: str) -> None:
        cache.clear()
        headers = {"Authorization": f"Bearer {token}"}
        answer = Client().post(
            f"/api/check/?{urlencode({'format': safe(format_)})}", body, "application/zip", headers=headers
        )
        assert answer.status_code < 500

    ask()


def test_a_callback_may_bring_anything(oauth_client: OAuthClient, operator: Any) -> None:
    browser = Client()
    browser.force_login(operator)
    names = st.sampled_from(["code", "state", "error", "error_description", "iss", "scope"])

    @FEW
    @given(st.dictionaries(names, text, max_size=5))
    def come_back(brought: dict[str, str]) -> None:
        answer = browser.get(
            f"/oauth/{oauth_client.slug}/callback/", {name: safe(one) for name, one in brought.items()}
        )
        assert answer.status_code < 500

    come_back()


def test_a_consent_link_may_be_anything(operator: Any) -> None:
    browser = Client()

    @FEW
    @given(text | st.just(secrets.token_urlsafe(32)))
    def open_link(token: str) -> None:
        cache.clear()
        answer = browser.get(f"/consent/{safe(token)}/".replace("?", "%3F").replace("#", "%23"))
        assert answer.status_code < 500

    open_link()


def safe(value: str) -> str:
    """Without halves of characters, which no browser can send."""
    return value.encode("utf-8", "replace").decode()
