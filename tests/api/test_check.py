"""POST /api/check/: who may ask, what is answered, and how, whatever is sent."""

from __future__ import annotations

import json
import secrets
import sys
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings

from connectors.api.check import WRONG_TOKENS
from connectors.core.config_files import zip_changes
from connectors.core.lock_file import render
from connectors.flows.lock_file import locks_of
from connectors.flows.repositories import make_check_token
from connectors.models import Connector, Placement, Project, Repository
from portal.error_report import Report
from tests.factories import SHELL, make_connector, make_placement, make_project, make_repository

pytestmark = pytest.mark.django_db

SLACK = b'{"type": "slack", "scopes": ["a"]}'
PATH = "apps/crm/base44/connectors/slack.jsonc"


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    cache.clear()


@pytest.fixture
def repository(db: None) -> Repository:
    return make_repository("Shops")


@pytest.fixture
def token(repository: Repository) -> str:
    return make_check_token(repository, SHELL).get_secret_value()


@pytest.fixture
def placement(project: Project, repository: Repository) -> Placement:
    """The project crm with a connector, in a folder of the repository."""
    make_connector(project, "slack", ["a"], registered=["a"], sync_state=Connector.SyncState.IN_SYNC)
    return make_placement(project, repository, "apps/crm")


def archive(**files: bytes) -> bytes:
    return zip_changes(files.items())


def ask(token: str, body: bytes, query: str = "", **headers: str) -> HttpResponse:
    """What the portal answers to an archive."""
    sent = {"Authorization": f"Bearer {token}", **headers}
    kind = "application/x-www-form-urlencoded"  # what curl --data-binary says of anything
    return Client().post(f"/api/check/{query}", body, content_type=kind, headers=sent)  # type: ignore[return-value]


def told(answer: HttpResponse) -> Any:
    return json.loads(answer.content)


def test_files_that_agree_are_answered_with_200(token: str, placement: Placement) -> None:
    answer = ask(token, archive(**{PATH: SLACK}), "?ref=main")
    assert (answer.status_code, answer["Cache-Control"].count("no-store")) == (200, 1)
    document = told(answer)
    assert (document["ok"], document["ref"], document["repository"]) == (True, "main", "Shops")
    row = document["projects"][0]["results"][0]
    assert (row["type"], row["action"], row["file"]) == ("slack", "same", PATH)
    assert (row["files"], row["base44"], row["lock"]) == ("same", "same", None)


def test_files_that_differ_are_answered_with_409(token: str, placement: Placement) -> None:
    answer = ask(token, archive(**{PATH: SLACK.replace(b'"a"', b'"b"')}))
    assert (answer.status_code, told(answer)["ok"]) == (409, False)
    assert "The file lacks a; the portal lacks b" in told(answer)["projects"][0]["results"][0]["reason"]


def test_a_project_whose_folder_is_not_there_is_a_problem(token: str, placement: Placement) -> None:
    answer = ask(token, archive(**{"apps/other/x.txt": b""}))
    assert answer.status_code == 409
    assert told(answer)["projects"][0]["problem"] == "There is no connectors directory in the folder apps/crm."


def test_a_project_whose_config_is_broken_leaves_the_others(
    token: str, placement: Placement, repository: Repository
) -> None:
    make_placement(make_project("shop"), repository, "apps/shop")
    answer = ask(token, archive(**{PATH: SLACK, "apps/shop/base44/config.jsonc": b"{"}))
    assert [(row["project"], row["ok"]) for row in told(answer)["projects"]] == [("crm", True), ("shop", False)]


def test_a_lock_file_is_compared_where_there_is_one(token: str, placement: Placement) -> None:
    files = {
        PATH: SLACK,
        "apps/crm/base44/connectors.lock.json": render(locks_of([placement.project])[placement.project_id]),
    }
    assert ask(token, archive(**files)).status_code == 200
    Connector.objects.update(registered_account="ann@example.com")
    answer = ask(token, archive(**files))
    assert (answer.status_code, told(answer)["projects"][0]["results"][0]["lock"]) == (409, "differs")


def test_a_lock_file_that_the_project_writes_has_to_be_there(token: str, placement: Placement) -> None:
    Placement.objects.update(writes_lock_file=True)
    assert ask(token, archive(**{PATH: SLACK})).status_code == 409


def test_nothing_is_told_of_projects_elsewhere(token: str, placement: Placement) -> None:
    make_placement(make_project("secret-project"), path="apps/other")
    answer = ask(token, archive(**{PATH: SLACK, "apps/other/base44/.app.jsonc": b'{"id": "app-secret-project"}'}))
    assert [row["project"] for row in told(answer)["projects"]] == ["crm"]
    assert b"secret" not in answer.content


def test_a_build_log_gets_lines(token: str, placement: Placement) -> None:
    answer = ask(token, archive(**{PATH: SLACK.replace(b'"a"', b'"b"')}), Accept="text/plain")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    first, second, last = answer.content.decode().splitlines()
    assert (first, last) == ("crm (apps/crm)", "Shops: 1 of 1 project differs.")
    assert second.startswith("  DIFFERS       slack: The file lacks a;")


def test_github_gets_annotations_at_the_file(token: str, placement: Placement) -> None:
    answer = ask(token, archive(**{PATH: b'{"type": "slack",\n"scopes": [1]}'}), "?format=github")
    first = answer.content.decode().splitlines()[0]
    assert first == f"::error file={PATH},line=2,title=crm::scopes%3A expected a string, found a number".replace(
        "%3A", ":"
    )


def test_a_file_cannot_give_orders_to_a_build(token: str, placement: Placement) -> None:
    hostile = json.dumps({"type": "slack", "scopes": ["a\n::stop-commands::x\r\n%0A::error::y"]}).encode()
    lines = ask(token, archive(**{PATH: hostile}), "?format=github&ref=%0A::error::z").content.decode().splitlines()
    assert len(lines) == 2
    assert "%250A::error::y" in lines[0]


def test_what_was_not_compared_is_said_and_does_not_fail(token: str, placement: Placement) -> None:
    Connector.objects.update(registered_at=None, sync_state=Connector.SyncState.UNKNOWN)
    answer = ask(token, archive(**{PATH: SLACK}), "?format=github")
    assert answer.status_code == 200
    assert answer.content.decode().startswith(f"::warning file={PATH},line=1,title=crm%3A slack::")
    assert "1 of 1 project could not be compared in full." in answer.content.decode()


@pytest.mark.parametrize("sent", ["", "Bearer ", "Basic abc", "Bearer portal_check_wrong"])
def test_without_the_right_token_nothing_is_looked_at(placement: Placement, token: str, sent: str) -> None:
    answer = Client().post("/api/check/", b"", content_type="application/zip", headers={"Authorization": sent})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


def test_a_replaced_token_is_void(placement: Placement, token: str, repository: Repository) -> None:
    make_check_token(repository, SHELL)
    assert ask(token, archive(**{PATH: SLACK})).status_code == 401


def test_no_token_matches_a_repository_that_has_none(placement: Placement) -> None:
    assert ask("", archive(**{PATH: SLACK})).status_code == 401


def test_many_wrong_tokens_are_no_longer_looked_at(placement: Placement, token: str) -> None:
    for _ in range(WRONG_TOKENS):
        ask(secrets.token_urlsafe(32), b"")
    answer = ask(secrets.token_urlsafe(32), b"")
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")


def test_right_tokens_are_not_counted(placement: Placement, token: str) -> None:
    statuses = {ask(token, archive(**{PATH: SLACK})).status_code for _ in range(WRONG_TOKENS + 1)}
    assert statuses == {200}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "There is no archive"),
        (b"PK\x03\x04 and then nothing", "not a zip archive"),
        (zip_changes([]), "The archive is empty"),
        (zip_changes([("../up.jsonc", b"{}")]), "leaves the archive"),
    ],
)
def test_what_is_no_archive_is_refused_in_words(token: str, placement: Placement, body: bytes, said: str) -> None:
    answer = ask(token, body)
    assert answer.status_code == 422
    assert said in told(answer)["problem"]


def test_a_repository_without_projects_has_nothing_to_compare(token: str) -> None:
    answer = ask(token, archive(**{PATH: SLACK}), Accept="text/plain")
    assert (answer.status_code, answer.content) == (
        422,
        b"No project of the portal has its place in Shops yet: add one there.\n",
    )


@override_settings(UPLOAD_MAX_BYTES=1024 * 1024, DATA_UPLOAD_MAX_MEMORY_SIZE=1024 * 1024)
def test_a_large_archive_is_refused_before_it_is_read(token: str, placement: Placement) -> None:
    answer = ask(token, b"x" * (1024 * 1024 + 1))
    assert (answer.status_code, "larger than 1 MB" in told(answer)["problem"]) == (413, True)


def test_an_unknown_format_is_named(token: str, placement: Placement) -> None:
    answer = ask(token, archive(**{PATH: SLACK}), "?format=xml")
    assert (answer.status_code, told(answer)["problem"]) == (
        422,
        "There is no format xml: choose one of json, text, github.",
    )


def test_only_post_is_answered(token: str) -> None:
    answer = Client().get("/api/check/", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_no_answer_repeats_the_token(token: str, placement: Placement) -> None:
    answers = [ask(token, archive(**{PATH: SLACK}), f"?format={style}") for style in ("json", "text", "github", "xml")]
    assert not any(token.encode() in answer.content for answer in answers)


def test_an_error_report_holds_no_token(token: str, placement: Placement) -> None:
    request = RequestFactory().post("/api/check/", headers={"Authorization": f"Bearer {token}"})
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        report = Report(request, *sys.exc_info()).get_traceback_text()
    assert "HTTP_AUTHORIZATION" in report
    assert token not in report
