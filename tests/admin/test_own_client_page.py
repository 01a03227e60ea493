"""The part of the Authorise page for the team's own OAuth clients: which are offered, and what is said beforehand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from connectors.models import Connector, Project
from tests.factories import make_connector, make_oauth_client, make_token, make_workspace

Queries = Callable[[int], AbstractContextManager[Any]]


@pytest.fixture
def connector(project: Project) -> Connector:
    return make_connector(project, "gmail", ["https://www.googleapis.com/auth/gmail.send"])


def shown(browser: Client, connector: Connector) -> str:
    answer = browser.get(reverse("admin:connectors_connector_authorise", args=[connector.pk]))
    return " ".join(answer.content.decode().split())


def test_the_button_names_the_company_where_one_signs_in(browser: Client, connector: Connector) -> None:
    make_oauth_client("acme", provider="google")
    assert "Authorise at Google</button>" in shown(browser, connector)


def test_only_clients_of_the_provider_and_the_workspace_are_offered(browser: Client, connector: Connector) -> None:
    make_oauth_client("ours", workspace=connector.project.workspace)
    make_oauth_client("of-others", workspace=make_workspace("Elsewhere"))
    make_oauth_client("of-slack", provider="slack")
    page = shown(browser, connector)
    assert "Ours (Acme)</option>" in page
    assert "Of Others" not in page
    assert "Of Slack" not in page


def test_without_a_client_the_page_leads_to_a_new_one_of_that_provider(browser: Client, connector: Connector) -> None:
    assert f"{reverse('admin:connectors_oauthclient_add')}?provider=google" in shown(browser, connector)


def test_domains_that_are_allowed_are_said_before_anybody_leaves(browser: Client, connector: Connector) -> None:
    make_oauth_client("acme")
    connector.project.workspace.allowed_account_domains = ["acme.example", "acme.test"]
    connector.project.workspace.save()
    assert "Only accounts of acme.example or acme.test are taken." in shown(browser, connector)


def test_a_service_that_nobody_can_authorise_says_why(browser: Client, project: Project) -> None:
    page = shown(browser, make_connector(project, "stripe"))
    assert "Base44 provisions it" in page
    assert "Authorise at" not in page


def test_a_token_that_lacks_a_declared_scope_is_no_good_news(browser: Client, connector: Connector) -> None:
    make_token(
        connector, account="alice@acme.example", granted_scopes=["https://www.googleapis.com/auth/gmail.readonly"]
    )
    page = shown(browser, connector)
    assert "The token is of alice@acme.example. It lacks https://www.googleapis.com/auth/gmail.send." in page
    assert "pc-notice--success" not in page


@pytest.mark.parametrize("clients", [1, 20])
def test_the_page_takes_the_same_number_of_queries_for_many_clients(
    browser: Client, connector: Connector, clients: int, django_assert_num_queries: Queries
) -> None:
    made = [make_oauth_client(f"own-{number}", workspace=connector.project.workspace) for number in range(clients)]
    make_token(connector, oauth_client=made[0])
    browser.get(reverse("admin:index"))  # counts the badges of the navigation, which are kept for a while
    with django_assert_num_queries(9):
        shown(browser, connector)
