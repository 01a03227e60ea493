"""The page for somebody who leaves: who may see and do what, and that nothing is done before it was shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from connectors.models import ConsentLink, Event, OAuthClient, Project, Token
from tests.admin.html import parse
from tests.factories import make_connector, make_oauth_client, make_token, make_user
from tests.servers.token_endpoint import TokenServer

PAGE = "admin:connectors_ledgerentry_person"
SEND = "https://www.googleapis.com/auth/gmail.send"


@pytest.fixture
def oauth_client(idp: TokenServer) -> OAuthClient:
    return make_oauth_client(settings={"revoke_url": f"{idp.url}/revoke", "issuer": idp.url})


@pytest.fixture
def token(project: Project, oauth_client: OAuthClient) -> Token:
    """Grace's, through her own account."""
    make_user("grace")
    return make_token(
        make_connector(project, "gmail", [SEND]),
        oauth_client=oauth_client,
        account="grace@example.com",
        account_id="grace",
        authorised_by_label="grace",
        asked_scopes=[SEND],
    )


def address(name: str = "grace") -> str:
    return f"{reverse(PAGE)}?name={name}"


def text_of(answer: Any) -> str:
    return " ".join(parse(answer.content).text.split())


def with_permissions(*names: str) -> Client:
    user = make_user("limited", staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_ledgerentry", *names]))
    client = Client()
    client.force_login(user)
    return client


def test_without_a_name_people_are_suggested_with_how_much_they_authorised(token: Token, browser: Client) -> None:
    assert browser.get(reverse(PAGE)).context["found"] == [("grace", 1)]
    assert browser.get(reverse(PAGE), {"q": "nobody"}).context["found"] == []


def test_the_page_says_what_stops(token: Token, browser: Client) -> None:
    said = text_of(browser.get(address()))
    assert "It works through their own account grace@example.com: Crm loses access when that is closed." in said


def test_handing_over_is_suggested_where_something_stops(token: Token, browser: Client) -> None:
    (line,) = browser.get(address()).context["lines"]
    assert (line.suggested, line.may_hand, line.may_revoke) == ("hand", True, True)


def test_somebody_on_whom_nothing_hangs_is_said_to_be_free(browser: Client) -> None:
    assert "Nothing depends on them" in text_of(browser.get(address("nobody")))


@pytest.mark.parametrize("choice", ["hand", "revoke"])
def test_the_plan_is_shown_before_anything_is_done(choice: str, token: Token, browser: Client) -> None:
    answer = browser.post(address(), {f"do-portal-{token.connector_id}": choice})
    assert "Nothing has been done yet." in text_of(answer)
    assert not ConsentLink.objects.exists()
    assert not Event.objects.exists()
    assert Token.objects.get().state == Token.State.FRESH


def test_confirmed_a_link_is_made_for_any_account_and_the_token_stays(token: Token, browser: Client) -> None:
    answer = browser.post(address(), {f"do-portal-{token.connector_id}": "hand", "step": "do", "days": "7"})
    link = ConsentLink.objects.get()
    assert (link.connector, link.kind, link.allows_other_account) == (token.connector, "portal", True)
    assert len(answer.context["letters"]) == 1
    assert "grace@example.com" not in text_of(answer)
    assert "no-store" in answer["Cache-Control"]
    assert Token.objects.get().state == Token.State.FRESH


def test_confirmed_the_token_is_revoked(token: Token, browser: Client, idp: TokenServer) -> None:
    sent = {f"do-portal-{token.connector_id}": "revoke", "step": "do", "shown": str(token.pk)}
    assert browser.post(address(), sent).status_code == 302
    assert Token.objects.get().state == Token.State.REVOKED
    assert len(idp.revoked) == 1


def test_what_was_not_shown_is_not_ended_and_no_link_is_made(
    token: Token, project: Project, oauth_client: OAuthClient, browser: Client
) -> None:
    other = make_connector(project, "googledrive", [SEND])
    make_token(other, oauth_client=oauth_client, account="grace@example.com", account_id="grace")
    sent = {
        f"do-portal-{token.connector_id}": "revoke",
        f"do-portal-{other.pk}": "hand",
        "step": "do",
        "shown": str(token.pk),
    }
    assert "More tokens would end than you were shown." in text_of(browser.post(address(), sent))
    assert set(Token.objects.values_list("state", flat=True)) == {Token.State.FRESH}
    assert not ConsentLink.objects.exists()


def test_with_nothing_chosen_the_page_says_so(token: Token, browser: Client) -> None:
    answer = browser.post(address(), {f"do-portal-{token.connector_id}": "leave"})
    assert "Nothing is to be done" in text_of(answer)


@pytest.mark.parametrize(
    ("permission", "choice", "status"),
    [
        ("change_connector", "hand", 200),
        ("change_connector", "revoke", 403),
        ("change_token", "revoke", 200),
        ("change_token", "hand", 403),
        ("view_connector", "hand", 403),
    ],
)
def test_each_choice_asks_for_its_permission(permission: str, choice: str, status: int, token: Token) -> None:
    client = with_permissions(permission)
    assert client.post(address(), {f"do-portal-{token.connector_id}": choice}).status_code == status


def test_staff_without_the_permission_see_nothing(token: Token, viewer: User) -> None:
    client = Client()
    client.force_login(viewer)
    assert client.get(address()).status_code == 403


@pytest.mark.parametrize("kind", ["csv", "json", "xlsx", "print"])
def test_what_hangs_on_them_can_be_taken_along(kind: str, token: Token, browser: Client) -> None:
    answer = browser.get(f"{address()}&download={kind}")
    body = answer.getvalue()
    answer.close()
    assert answer.status_code == 200
    assert kind == "xlsx" or b"grace@example.com" in body


@pytest.mark.parametrize("name", ["%00", "%27%20OR%201%3D1", "x" * 500, "%3Cscript%3Ealert"])
def test_a_senseless_name_breaks_nothing(name: str, browser: Client) -> None:
    answer = browser.get(address(name))
    assert answer.status_code == 200
    assert b"<script>alert" not in answer.content
