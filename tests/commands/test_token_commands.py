"""list_tokens, refresh_tokens."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from connectors.models import OAuthClient, Project, Token
from tests.commands.conftest import Run
from tests.factories import make_connector, make_oauth_client, make_project, make_token
from tests.servers.token_endpoint import TokenServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def oauth_client(idp: TokenServer, db: None) -> OAuthClient:
    return make_oauth_client("google-main", settings={"token_url": f"{idp.url}/token"})


@pytest.fixture
def tokens(project: Project, oauth_client: OAuthClient, idp: TokenServer) -> list[Token]:
    """Gmail's is good for a while, that of Drive is due, and that of Docs needs consent."""
    past = timezone.now() - dt.timedelta(minutes=1)
    states: dict[str, dict[str, Any]] = {
        "gmail": {"granted_scopes": ["openid"], "account": "ada@acme.example"},
        "googledrive": {"refresh_at": past},
        "googledocs": {"state": "needs_consent", "last_error": "The consent has ended."},
    }
    return [
        make_token(make_connector(project, type_), oauth_client=oauth_client, refresh=idp.issue()[1], **values)
        for type_, values in states.items()
    ]


def test_tokens_are_listed_with_how_they_stand(run: Run, tokens: list[Token]) -> None:
    said = run("list_tokens", "--project", "crm", "--json")
    assert (said.code, said.actions()) == (0, {"gmail": "fresh", "googledocs": "needs_consent", "googledrive": "due"})


def test_granted_scopes_that_nobody_knows_are_null(run: Run, tokens: list[Token]) -> None:
    rows = {row["type"]: row for row in run("list_tokens", "--project", "crm", "--json").document["results"]}
    assert (rows["gmail"]["granted"], rows["googledrive"]["granted"]) == (["openid"], None)
    assert (rows["gmail"]["account"], rows["gmail"]["client"]) == ("ada@acme.example", "google-main")


@pytest.mark.parametrize(("state", "expected"), [("due", {"googledrive"}), ("attention", {"googledocs"})])
def test_tokens_are_listed_by_state(state: str, expected: set[str], run: Run, tokens: list[Token]) -> None:
    assert set(run("list_tokens", "--project", "crm", "--state", state, "--json").actions()) == expected


def test_all_projects_are_listed(run: Run, tokens: list[Token]) -> None:
    make_project("empty")
    found = run("list_tokens", "--all", "--json").document
    assert {row["project"]: len(row["results"]) for row in found} == {"crm": 3, "empty": 0}


def test_a_person_reads_why_a_token_needs_consent(run: Run, tokens: list[Token]) -> None:
    assert "needs_consent  googledocs   The consent has ended." in run("list_tokens", "--project", "crm").out


def test_no_text_of_a_token_is_printed(run: Run, tokens: list[Token]) -> None:
    texts = [sealed.reveal() for token in tokens for sealed in (token.access_token, token.refresh_token)]
    outputs = [run("list_tokens", "--all", *json) for json in ([], ["--json"])]
    outputs.append(run("refresh_tokens", "--project", "crm", "--json"))
    assert not [text for text in texts for said in outputs if text in said.out + said.err]


def test_what_is_due_is_refreshed(run: Run, tokens: list[Token], idp: TokenServer) -> None:
    said = run("refresh_tokens", "--due", "--json")
    assert (said.code, said.document, idp.refreshes) == (0, {"tried": 1}, 1)


def test_a_project_is_refreshed_whether_it_is_due_or_not(run: Run, tokens: list[Token], idp: TokenServer) -> None:
    said = run("refresh_tokens", "--project", "crm", "--json")
    assert said.actions() == {"gmail": "ok", "googledocs": "refused", "googledrive": "ok"}
    assert (said.code, idp.refreshes) == (1, 2)


def test_one_type_is_refreshed(run: Run, tokens: list[Token], idp: TokenServer) -> None:
    assert run("refresh_tokens", "--project", "crm", "--type", "gmail").code == 0
    assert idp.refreshes == 1


def test_a_refresh_that_fails_is_said_with_its_reason(run: Run, tokens: list[Token], idp: TokenServer) -> None:
    idp.fail_with(400, "invalid_grant")
    said = run("refresh_tokens", "--project", "crm", "--type", "gmail", "--json")
    assert (said.code, said.actions()) == (1, {"gmail": "consent"})
    assert said.document["results"][0]["reason"]


@pytest.mark.parametrize(
    "words",
    [
        ("refresh_tokens",),
        ("refresh_tokens", "--due", "--type", "gmail"),
        ("refresh_tokens", "--project", "nothing"),
        ("refresh_tokens", "--project", "crm", "--type", "gmail", "slack"),
        ("list_tokens", "--all", "--state", "nonsense"),
    ],
)
def test_wrong_use_is_said_and_nothing_is_done(
    words: tuple[str, ...], run: Run, tokens: list[Token], idp: TokenServer
) -> None:
    assert run(*words).error
    assert idp.forms == []
