"""The page of a run on a repository: it follows the work, and says what came of each project."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.models import PullRequest, Repository, RepositoryRun
from tests.factories import make_project, make_repository

State = RepositoryRun.State


@pytest.fixture
def repository(db: None) -> Repository:
    return make_repository("Apps")


def make_run(repository: Repository, **values: Any) -> RepositoryRun:
    values = {"kind": "export", "actor_label": "ada", "door": "admin", **values}
    return RepositoryRun.objects.create(repository=repository, **values)


def page(run: RepositoryRun) -> str:
    return reverse("admin:connectors_repository_run", args=[run.pk])


def state(run: RepositoryRun) -> str:
    return reverse("admin:connectors_repository_run_state", args=[run.pk])


@pytest.mark.parametrize("word", RepositoryRun.OPEN_STATES)
def test_an_open_run_asks_for_itself(browser: Client, repository: Repository, word: str) -> None:
    run = make_run(repository, state=word, started_at=timezone.now())
    assert f'hx-get="{state(run)}"' in browser.get(page(run)).content.decode()
    assert f'hx-get="{state(run)}"' in browser.get(state(run)).content.decode()


@pytest.mark.parametrize("word", [word for word in State if word not in RepositoryRun.OPEN_STATES])
def test_a_run_that_is_over_is_asked_for_no_more(browser: Client, repository: Repository, word: str) -> None:
    answer = browser.get(state(make_run(repository, state=word, message="What came of it"))).content.decode()
    assert "hx-get" not in answer
    assert "What came of it" in answer


def test_a_run_that_is_tried_again_says_why(browser: Client, repository: Repository) -> None:
    run = make_run(repository, message="The host did not answer. Tried again in a minute.")
    assert "Tried again in a minute." in browser.get(page(run)).content.decode()


def outcomes(browser: Client, run: RepositoryRun) -> dict[str, tuple[str, ...]]:
    return {found.project.name: found.lines for found in browser.get(page(run)).context["outcomes"]}


def test_what_was_written_removed_and_left_alone_is_listed_by_project(browser: Client, repository: Repository) -> None:
    told = {
        "written": ["shop/gmail.jsonc"],
        "removed": ["shop/slack.jsonc"],
        "left": [{"path": "shop/notion.jsonc", "reason": "It was changed on both sides."}],
        "conflicts": ["shop/notion.jsonc"],
        "problem": "",
    }
    run = make_run(repository, state=State.PARTIAL, detail={"projects": {make_project("shop").pk: told}})
    assert outcomes(browser, run)["Shop"] == (
        "Written: shop/gmail.jsonc",
        "Removed: shop/slack.jsonc",
        "Left alone: shop/notion.jsonc. It was changed on both sides.",
    )


def test_a_project_of_which_nothing_could_be_written_says_why(browser: Client, repository: Repository) -> None:
    told = {"problem": "shop/gmail.jsonc:3: a comma is missing"}
    run = make_run(repository, state=State.FAILED, detail={"projects": {make_project("shop").pk: told}})
    assert outcomes(browser, run)["Shop"] == ("shop/gmail.jsonc:3: a comma is missing",)


def test_a_project_that_is_gone_is_left_out(browser: Client, repository: Repository) -> None:
    run = make_run(repository, state=State.DONE, detail={"projects": {"999999": {"written": ["a"]}}})
    assert outcomes(browser, run) == {}


def test_the_pull_request_of_an_export_is_linked(browser: Client, repository: Repository) -> None:
    now, url = timezone.now(), "https://git.example.com/pull/7"
    request = PullRequest.objects.create(
        repository=repository, key="all", number=7, url=url, title="Update", opened_at=now, updated_at=now
    )
    run = make_run(repository, state=State.DONE, pull_request=request)
    assert f'href="{url}"' in browser.get(page(run)).content.decode()


def test_for_staff_without_a_role_there_is_no_run(client: Client, viewer: User, repository: Repository) -> None:
    client.force_login(viewer)
    assert client.get(page(make_run(repository))).status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_projects(
    browser: Client, repository: Repository, django_assert_max_num_queries: Any
) -> None:
    told = {str(make_project().pk): {"written": ["a"]} for _ in range(30)}
    run = make_run(repository, state=State.DONE, detail={"projects": told})
    with django_assert_max_num_queries(4):
        assert len(browser.get(state(run)).context["outcomes"]) == 30
