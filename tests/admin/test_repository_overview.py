"""What stands above a repository's form, and what a project's page says of its place in git."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from connectors.admin.repository_overview import RECENT, overview_of
from connectors.models import Placement, Project, PullRequest, Repository, RepositoryRun
from tests.admin.html import Element, parse
from tests.factories import make_placement, make_project, make_repository, make_repository_file

COMMIT = "1f0c9a7be2" * 4


@pytest.fixture
def repository(db: None) -> Repository:
    """A repository that was read a moment ago, with nothing in it."""
    return make_repository("Apps", state="working", read_at=timezone.now(), head=COMMIT, head_author="Mira")


def address(row: Repository | Project) -> str:
    return reverse(f"admin:connectors_{row._meta.model_name}_change", args=[row.pk])


def part(browser: Client, row: Repository | Project, name: str) -> Element:
    return parse(browser.get(address(row)).content).having("aria-labelledby", name)[0]


def request_of(user: User) -> HttpRequest:
    request = RequestFactory().get("/admin/")
    request.user = user
    return request


def make_run(repository: Repository, **values: Any) -> RepositoryRun:
    values = {"kind": "read", "state": "done", "actor_label": "ada", "door": "admin", **values}
    return RepositoryRun.objects.create(repository=repository, **values)


def make_request(repository: Repository, number: int, **values: Any) -> PullRequest:
    now = timezone.now()
    values = {"url": f"https://git.example.com/pull/{number}", "title": "Update connectors", **values}
    return PullRequest.objects.create(
        repository=repository, key=f"all-{number}", number=number, opened_at=now, updated_at=now, **values
    )


def test_the_last_commit_is_named_shortly_with_its_author(browser: Client, repository: Repository) -> None:
    text = part(browser, repository, "repository-state").text
    assert "1f0c9a7b by Mira" in text
    assert COMMIT not in text


def test_a_failing_repository_says_why(browser: Client, repository: Repository) -> None:
    Repository.objects.update(state="failing", problem="The host refused the key.", failing_since=timezone.now())
    assert "The host refused the key." in part(browser, repository, "repository-state").text


def test_a_problem_that_may_pass_is_told_before_the_repository_counts_as_failing(
    browser: Client, repository: Repository
) -> None:
    Repository.objects.update(problem="The host did not answer.")
    text = part(browser, repository, "repository-state").text
    assert "The last try did not work. The host did not answer." in text
    assert "Working" in text


def test_conflicts_of_all_projects_are_told_of(browser: Client, repository: Repository) -> None:
    make_placement(repository=repository, path="a", conflicts=2)
    make_placement(repository=repository, path="b", conflicts=1)
    assert "3 files were changed on both sides." in part(browser, repository, "repository-state").text


def test_projects_that_need_somebody_come_first(operator: User, repository: Repository) -> None:
    make_placement(make_project("fine"), repository, "a")
    make_placement(make_project("waiting"), repository, "b", outgoing=1)
    make_placement(make_project("conflict"), repository, "c", conflicts=1)
    make_placement(make_project("broken"), repository, "d", problems=[{"path": "x", "message": "broken", "line": 3}])
    lines = overview_of(repository, request_of(operator))["placements"]
    assert [line.placement.project.slug for line in lines] == ["broken", "conflict", "waiting", "fine"]


def test_a_problem_names_file_and_line(browser: Client, repository: Repository) -> None:
    problem = {"path": "apps/gmail.jsonc", "message": "a comma is missing", "line": 3}
    make_placement(repository=repository, problems=[problem], read_at=timezone.now())
    assert "apps/gmail.jsonc, line 3: a comma is missing" in part(browser, repository, "repository-projects").text


def test_an_open_request_comes_before_newer_ones_that_have_ended(operator: User, repository: Repository) -> None:
    for number, state in enumerate(("open", "merged", "closed"), 1):
        make_request(repository, number, state=state)
    lines = overview_of(repository, request_of(operator))["pull_requests"]
    assert [line.pull_request.number for line in lines] == [1, 3, 2]


def test_gitlab_calls_it_a_merge_request(browser: Client, repository: Repository) -> None:
    Repository.objects.update(host="gitlab", mode="pull_request")
    make_request(repository, 7)
    text = part(browser, repository, "repository-requests").text
    assert "Merge requests" in text
    assert "!7 Update connectors" in text


def test_an_address_of_a_request_that_is_none_of_the_web_is_no_link(browser: Client, repository: Repository) -> None:
    make_request(repository, 7, url="javascript:alert(1)")
    assert "javascript:" not in browser.get(address(repository)).content.decode()


def test_the_newest_runs_are_listed_each_with_its_page(browser: Client, repository: Repository) -> None:
    made = [make_run(repository, message=f"number {number}") for number in range(RECENT + 1)]
    links = [one.attributes["href"] for one in part(browser, repository, "repository-runs").walk() if one.tag == "a"]
    assert links == [reverse("admin:connectors_repository_run", args=[run.pk]) for run in reversed(made[1:])]


def test_a_run_that_waits_is_told_of(browser: Client, repository: Repository) -> None:
    run = make_run(repository, state="queued")
    assert f"Follow run #{run.pk}" in part(browser, repository, "repository-state").text


def test_a_reader_gets_no_button_that_makes_the_portal_act(
    client: Client, reader: User, repository: Repository
) -> None:
    client.force_login(reader)
    page = client.get(address(repository)).content.decode()
    assert reverse("admin:connectors_repository_read", args=[repository.pk]) not in page
    assert reverse("admin:connectors_repository_find", args=[repository.pk]) not in page


def test_a_stranger_sees_no_project_no_run_and_no_request(stranger: User, repository: Repository) -> None:
    make_placement(repository=repository, conflicts=1)
    make_run(repository)
    make_request(repository, 1)
    found = overview_of(repository, request_of(stranger))
    assert (found["placements"], found["runs"], found["pull_requests"], found["conflicts"]) == ([], [], [], 0)


def test_a_repository_to_be_added_has_no_overview(operator: User) -> None:
    assert overview_of(None, request_of(operator)) == {}


@pytest.mark.parametrize("count", [1, 30])
def test_the_number_of_queries_does_not_grow(
    count: int, operator: User, repository: Repository, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        row = make_placement(repository=repository, path=f"apps/{number}", conflicts=1)
        make_run(repository)
        make_request(repository, number).projects.add(row.project)
    with django_assert_num_queries(6):
        overview_of(repository, request_of(operator))


def test_a_project_says_that_it_is_not_in_git_yet(browser: Client, project: Project) -> None:
    assert "Not in git yet" in part(browser, project, "project-git").text


def test_a_project_says_where_it_is_in_git_and_what_waits(browser: Client, repository: Repository) -> None:
    row = make_placement(make_project("shop"), repository, "apps/shop", read_at=timezone.now(), incoming=1, outgoing=2)
    make_repository_file(row, "gmail", commit=COMMIT, author="Mira", committed_at=timezone.now())
    panel = part(browser, row.project, "project-git").text
    assert "Apps" in panel
    assert "apps/shop" in panel
    assert "Review import (1)" in panel
    assert "Export to git (2)" in panel
    assert "1f0c9a7b by Mira" in panel


def test_git_is_said_to_agree_only_when_it_was_read(browser: Client, repository: Repository) -> None:
    row = make_placement(make_project("shop"), repository)
    assert "Git says what the portal declares." not in part(browser, row.project, "project-git").text
    Placement.objects.update(read_at=timezone.now())
    assert "Git says what the portal declares." in part(browser, row.project, "project-git").text
