"""Searching the list of connectors, and turning its pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from connectors.models import Connector
from tests.factories import make_connector, make_fleet, make_project

pytestmark = pytest.mark.django_db


def found(text: str) -> set[str]:
    return {f"{row.project.slug}/{row.integration_type_id}" for row in Connector.objects.matching(text)}


@pytest.fixture
def four_connectors(db: None) -> None:
    for slug, name in (("help", "Help desk"), ("shop", "Web shop")):
        project = make_project(slug, name=name)
        make_connector(project, "gmail")
        make_connector(project, "slackbot")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DESK", {"help/gmail", "help/slackbot"}),
        ("shop", {"shop/gmail", "shop/slackbot"}),
        ("mai", {"help/gmail", "shop/gmail"}),
        ("web slack", {"shop/slackbot"}),
        ("desk shop", set()),
        ("100%", set()),
    ],
)
@pytest.mark.usefixtures("four_connectors")
def test_every_word_must_stand_in_the_project_or_the_type(text: str, expected: set[str]) -> None:
    assert found(text) == expected


@pytest.mark.usefixtures("four_connectors")
def test_an_empty_search_finds_everything() -> None:
    assert len(found("  ")) == 4


def test_a_word_that_many_projects_share_finds_them_all() -> None:
    make_fleet(5_001, 1)
    assert Connector.objects.matching("fleet").count() == 5_001


@pytest.mark.usefixtures("four_connectors")
def test_the_list_shows_what_the_search_finds(client: Client, operator: User) -> None:
    client.force_login(operator)
    page = client.get(reverse("admin:connectors_connector_changelist"), {"q": "web slack"})
    assert [str(row) for row in page.context["cl"].result_list] == ["slackbot"]


@pytest.mark.usefixtures("four_connectors")
def test_a_search_without_hits_does_not_read_the_connectors() -> None:
    with CaptureQueriesContext(connection) as captured:
        list(Connector.objects.matching("nothing-like-it"))
    assert not [query for query in captured.captured_queries if 'FROM "connectors_connector"' in query["sql"]]


def test_a_later_page_holds_the_rows_that_come_next(client: Client, operator: User) -> None:
    make_fleet(12, 10)
    client.force_login(operator)
    pages = [client.get(reverse("admin:connectors_connector_changelist"), {"p": page}) for page in (1, 2, 3)]
    shown = [row.pk for page in pages for row in page.context["cl"].result_list]
    assert shown == list(Connector.objects.order_by("project_id", "integration_type_id").values_list("pk", flat=True))
