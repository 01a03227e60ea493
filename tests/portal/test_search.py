"""The command palette."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests import factories

URL = "/admin/search/"


def titles(client: Client, term: str) -> list[str]:
    answer = client.get(URL, {"s": term, "extended": "1"})
    return [result.title for result in answer.context["results"]] if answer.context else []


@pytest.fixture
def as_operator(operator: User, client: Client) -> Client:
    client.force_login(operator)
    return client


def test_every_word_must_be_found_somewhere_in_a_connector(as_operator: Client) -> None:
    factories.make_connector(factories.make_project("shop"), "gmail")
    factories.make_connector(factories.make_project("desk"), "gmail")
    assert titles(as_operator, "gmail shop") == ["Gmail · Shop"]


def test_pages_are_found_by_their_title(as_operator: Client) -> None:
    assert titles(as_operator, "sync ru") == ["Sync runs"]


def test_one_letter_finds_nothing_and_asks_the_database_nothing(as_operator: Client) -> None:
    factories.make_project("shop")
    assert as_operator.get(URL, {"s": "s"}).content == b""


def test_a_repository_is_found_by_its_url(as_operator: Client) -> None:
    factories.make_repository("Apps", url="https://git.example.com/acme/monorepo.git")
    assert titles(as_operator, "monorepo") == ["Apps · main"]


def test_at_most_eight_rows_of_a_model(as_operator: Client) -> None:
    factories.make_fleet(20, 1)
    assert len([title for title in titles(as_operator, "fleet") if title.startswith("Fleet")]) == 8


def test_rows_of_a_model_without_permission_are_not_found(viewer: User, client: Client) -> None:
    viewer.user_permissions.set(Permission.objects.filter(codename="view_workspace"))
    client.force_login(viewer)
    factories.make_project("acme-shop", workspace=factories.make_workspace("Acme"))
    assert titles(client, "acme") == ["Acme"]


def test_access_that_is_withdrawn_ends_at_once(viewer: User, client: Client) -> None:
    viewer.user_permissions.set(Permission.objects.filter(codename="view_project"))
    client.force_login(viewer)
    factories.make_project("shop")
    assert titles(client, "shop") == ["Shop"]
    viewer.user_permissions.clear()
    assert titles(client, "shop") == []


def test_somebody_who_is_not_logged_in_is_sent_to_the_login_page(client: Client) -> None:
    assert client.get(URL, {"s": "shop"}).status_code == 302
