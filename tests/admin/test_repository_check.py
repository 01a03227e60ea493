"""The page from which builds get their token and their workflow file."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from connectors.core.crypto import fingerprint
from connectors.models import Event, Repository
from tests.factories import make_placement, make_project, make_repository

WORKFLOW = ".github/workflows/connectors.yml"


@pytest.fixture
def repository(db: None) -> Repository:
    repository = make_repository("Apps", host="github")
    make_placement(make_project("shop"), repository, "apps/shop")
    return repository


def page(repository: Repository) -> str:
    return reverse("admin:connectors_repository_check", args=[repository.pk])


def test_the_token_is_shown_once_and_only_its_hash_is_kept(browser: Client, repository: Repository) -> None:
    shown = browser.post(page(repository)).content.decode()
    found = re.search(r'id="check-token"[^>]*>([^<]+)<', shown)
    assert found is not None
    token = found[1]
    repository.refresh_from_db()
    assert repository.check_token_hash == fingerprint(token)
    assert token not in browser.get(page(repository)).content.decode()


def test_looking_at_the_page_makes_no_token(browser: Client, repository: Repository) -> None:
    browser.get(page(repository))
    repository.refresh_from_db()
    assert repository.check_token_hash == ""


def test_making_a_token_is_put_on_record_without_it(browser: Client, repository: Repository) -> None:
    browser.post(page(repository))
    assert Event.objects.get(verb="repository.check_token_made").after == {"check_token": "set"}


def test_who_may_only_look_is_offered_no_button(reader: User, repository: Repository) -> None:
    client = Client()
    client.force_login(reader)
    assert client.get(page(repository)).status_code == 200
    assert "Make the token" not in client.get(page(repository)).content.decode()
    assert client.post(page(repository)).status_code == 403


@override_settings(PORTAL_URL="https://portal.example.com")
def test_the_files_name_the_address_that_others_use(browser: Client, repository: Repository) -> None:
    shown = browser.get(page(repository)).content.decode()
    assert shown.count("https://portal.example.com/api/check/?format=") == 3


@pytest.mark.parametrize(
    ("host", "first"), [("gitlab", ".gitlab-ci.yml"), ("gitea", ".gitea/workflows/connectors.yml")]
)
def test_the_file_for_the_repositorys_own_host_comes_first(
    browser: Client, repository: Repository, host: str, first: str
) -> None:
    Repository.objects.update(host=host)
    shown = browser.get(page(repository)).content.decode()
    names = re.findall(r"repository as <span class=\"pc-mono\">([^<]+)<", shown)
    assert (names[0], len(names)) == (first, 3)


def test_a_repository_without_projects_leads_to_finding_them(browser: Client, db: None) -> None:
    empty = make_repository("Empty", host="github")
    shown = browser.get(page(empty)).content.decode()
    assert reverse("admin:connectors_repository_find", args=[empty.pk]) in shown
    assert WORKFLOW not in shown


def test_a_folders_name_cannot_leave_its_place_in_the_page(browser: Client, repository: Repository) -> None:
    make_placement(make_project("odd"), repository, "</pre><script>alert(1)</script>")
    assert b"<script>alert" not in browser.get(page(repository)).content


def test_many_projects_cost_no_more_queries(
    browser: Client, repository: Repository, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        make_placement(make_project(), repository, f"apps/{number}")
    browser.get(page(repository))
    with django_assert_max_num_queries(6):
        browser.get(page(repository))
