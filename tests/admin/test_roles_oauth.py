"""Roles and consent: the desk, links, tokens, the team's own clients, and the way to a provider and back."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from connectors.models import Authorisation, Connector, ConsentLink, Membership, OAuthClient, Project, Token
from tests.factories import make_connector, make_consent_link, make_membership, make_oauth_client, make_token
from tests.teams import FOREIGN, Teams, browser_of, page, said, two_teams

ACCOUNT = {"account": "bea@acme.example", "account_id": "42"}


@dataclass(frozen=True)
class Held:
    """A token in each project, all of one account and of one client that serves every workspace."""

    teams: Teams
    client: OAuthClient
    shop: Token
    crm: Token
    bank: Token


@pytest.fixture
def teams(db: None) -> Teams:
    return two_teams()


@pytest.fixture
def held(teams: Teams) -> Held:
    client = make_oauth_client("shared", provider="google", name="Shared client")
    rows = [make_token(of(project), oauth_client=client, **ACCOUNT) for project in (teams.shop, teams.crm, teams.bank)]
    return Held(teams, client, *rows)


def of(project: Project) -> Connector:
    return project.connectors.get()


# --- The desk and its links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("looker", 2), ("single", 1), ("other", 1), ("both", 3), ("idle", None)])
def test_the_desk_lists_what_one_may_see(teams: Teams, name: str, count: int | None) -> None:
    answer = browser_of(getattr(teams, name)).get(page("connector_desk"))
    assert answer.status_code == (403 if count is None else 200)
    assert count is None or answer.context["desk"].count == count
    assert (FOREIGN in said(answer)) == (name in ("other", "both"))


def ask(browser: Client, *projects: Project) -> Any:
    return browser.post(page("connector_desk"), {"need": [f"hosted-{of(project).pk}" for project in projects]})


def asked_of() -> set[Project]:
    return {link.connector.project for link in ConsentLink.objects.select_related("connector__project")}


def test_links_are_made_where_one_may_change_the_connector_and_the_rest_is_named_as_left_out(teams: Teams) -> None:
    answer = ask(browser_of(teams.both), teams.shop, teams.bank)
    assert asked_of() == {teams.bank}
    assert "1 of what was ticked was left out" in said(answer)


def test_asking_where_one_may_only_look_is_forbidden(teams: Teams) -> None:
    assert ask(browser_of(teams.both), teams.shop).status_code == 403
    assert ask(browser_of(teams.looker), teams.shop).status_code == 403
    assert asked_of() == set()


def test_asking_for_a_foreign_connector_is_like_ticking_nothing(teams: Teams) -> None:
    answer = ask(browser_of(teams.owner), teams.bank)
    assert "Nothing is ticked" in said(answer)
    assert asked_of() == set()


def test_the_desk_has_boxes_only_where_one_may_ask(teams: Teams) -> None:
    shown = said(browser_of(teams.both).get(page("connector_desk")))
    assert f'value="hosted-{of(teams.bank).pk}"' in shown
    assert f'value="hosted-{of(teams.shop).pk}"' not in shown


def test_who_opened_a_link_is_told_to_those_who_may_see_links(teams: Teams) -> None:
    make_consent_link(of(teams.shop), claimed_by=teams.owner)
    assert "Sent, not opened" not in said(browser_of(teams.looker).get(page("connector_desk")))
    assert "Sent, not opened" in said(browser_of(teams.auditor).get(page("connector_desk")))


@pytest.mark.parametrize(("name", "status"), [("auditor", 403), ("looker", 404), ("other", 404), ("grouped", 302)])
def test_a_link_is_withdrawn_by_those_who_may_change_its_connector(teams: Teams, name: str, status: int) -> None:
    link = make_consent_link(of(teams.shop))
    assert browser_of(getattr(teams, name)).post(page("consentlink_withdraw", link.pk)).status_code == status
    link.refresh_from_db()
    assert (link.revoked_at is not None) == (status == 302)


@pytest.mark.parametrize(("name", "status"), [("looker", 200), ("idle", 404), ("other", 404)])
def test_what_came_of_a_link_is_for_those_who_may_see_its_connector(teams: Teams, name: str, status: int) -> None:
    link = make_consent_link(of(teams.shop))
    answer = browser_of(getattr(teams, name)).get(reverse("consent_link_result", args=[link.pk]))
    assert answer.status_code == status


# --- Tokens -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["token_refresh", "token_introspect", "token_revoke"])
@pytest.mark.parametrize(("name", "status"), [("looker", 404), ("auditor", 403), ("other", 404)])
def test_a_token_is_handled_by_those_who_may_at_its_project(held: Held, address: str, name: str, status: int) -> None:
    answer = browser_of(getattr(held.teams, name)).post(page(address, held.shop.pk), {"how": "forget"})
    assert answer.status_code == status
    assert Token.objects.filter(pk=held.shop.pk, state="fresh").exists()


def test_the_token_of_a_connector_is_shown_to_those_who_may_see_tokens(held: Held) -> None:
    for address in ("connector_change", "connector_authorise"):
        path = page(address, of(held.teams.shop).pk)
        assert ACCOUNT["account"] not in said(browser_of(held.teams.looker).get(path))
        assert ACCOUNT["account"] in said(browser_of(held.teams.auditor).get(path))


def test_the_page_on_revoking_says_that_others_end_and_not_how_many_or_whose(held: Held) -> None:
    shown = said(browser_of(held.teams.owner).get(page("token_revoke", held.shop.pk)))
    assert (
        "And others, in projects that you can&#x27;t see" in shown or "And others, in projects that you can't" in shown
    )
    assert "Crm" in shown
    assert FOREIGN not in shown
    assert 'value="all"' not in shown


def test_all_tokens_of_an_account_are_ended_only_by_whoever_may_end_each(held: Held) -> None:
    make_membership(held.teams.single, "auditor", project=held.teams.crm)
    held.bank.delete()
    shown = said(browser_of(held.teams.single).get(page("token_revoke", held.shop.pk)))
    assert 'value="all"' not in shown
    forged = {"how": "all", "shown": [held.crm.pk]}
    assert "Choose how far to go" in said(
        browser_of(held.teams.single).post(page("token_revoke", held.shop.pk), forged)
    )
    assert Token.objects.filter(state="fresh").count() == 2
    assert 'value="all"' in said(browser_of(held.teams.grouped).get(page("token_revoke", held.shop.pk)))


def test_forgetting_a_token_takes_the_permission_at_its_project(held: Held) -> None:
    browser_of(held.teams.grouped).post(page("token_revoke", held.shop.pk), {"how": "forget"})
    assert Token.objects.filter(pk=held.shop.pk).exists()
    browser_of(held.teams.owner).post(page("token_revoke", held.shop.pk), {"how": "forget"})
    assert not Token.objects.filter(pk=held.shop.pk).exists()


@pytest.mark.parametrize(("name", "count"), [("auditor", 2), ("single", 1), ("other", 1)])
def test_the_forecast_counts_tokens_that_one_may_see(held: Held, name: str, count: int) -> None:
    Token.objects.update(state=Token.State.FAILING)
    OAuthClient.objects.update(state=OAuthClient.State.MISCONFIGURED)
    forecast = browser_of(getattr(held.teams, name)).get(page("token_forecast")).context["forecast"]
    assert forecast.failing_total == count
    assert [client.token_count for client in forecast.clients] == [count]


def test_the_forecast_leads_to_authorising_where_one_may(held: Held) -> None:
    OAuthClient.objects.update(is_testing=True)
    make_membership(held.teams.both, "auditor", workspace=held.teams.ours)
    found = browser_of(held.teams.both).get(page("token_forecast")).context
    assert {row.token.pk for row in found["forecast"].doomed} == {held.shop.pk, held.crm.pk, held.bank.pk}
    assert found["may_authorise"] == {held.bank.connector_id}


# --- The team's own clients ---------------------------------------------------------------------------------------


def test_a_shared_clients_number_of_tokens_is_of_those_that_one_may_see(held: Held) -> None:
    for name, count in (("auditor", 2), ("single", 1), ("other", 1)):
        (row,) = browser_of(getattr(held.teams, name)).get(page("oauthclient_changelist")).context["cl"].result_list
        assert row.token_count == count


def test_a_shared_client_is_seen_by_each_team_and_changed_by_none(held: Held) -> None:
    browser = browser_of(held.teams.owner)
    answer = browser.get(page("oauthclient_change", held.client.pk))
    assert answer.status_code == 200
    assert answer.context["has_change_permission"] is False
    assert FOREIGN not in said(answer)
    for address in ("oauthclient_check", "oauthclient_delete"):
        assert browser.post(page(address, held.client.pk), {"post": "yes"}).status_code == 403


def test_another_teams_client_is_seen_and_used_by_nobody_else(teams: Teams) -> None:
    client = make_oauth_client("zebra", provider="google", name=f"{FOREIGN} client", workspace=teams.theirs)
    browser = browser_of(teams.owner)
    assert FOREIGN not in said(browser.get(page("oauthclient_changelist")))
    assert browser.post(page("oauthclient_check", client.pk)).status_code == 404
    assert FOREIGN not in said(browser.get(page("connector_authorise", of(teams.shop).pk)))
    browser.post(reverse("oauth_start", args=[of(teams.shop).pk]), {"oauth_client": client.pk})
    assert not Authorisation.objects.exists()


NEW = {"provider": "google", "name": "New", "slug": "new", "client_id": "the-id"}


@pytest.mark.parametrize("where", ["theirs", "nowhere"])
def test_a_client_is_added_for_a_workspace_of_ones_own_and_not_for_all(teams: Teams, where: str) -> None:
    browser = browser_of(teams.owner)
    chosen = {"theirs": str(teams.theirs.pk), "nowhere": ""}[where]
    answer = browser.post(page("oauthclient_add"), {**NEW, "workspace": chosen})
    assert "workspace" in answer.context["adminform"].form.errors
    browser.post(page("oauthclient_add"), {**NEW, "workspace": str(teams.ours.pk)})
    assert OAuthClient.objects.get().workspace == teams.ours


def test_whoever_owns_one_project_has_nowhere_to_add_a_client(teams: Teams) -> None:
    make_membership(teams.single, "owner", project=teams.shop)
    assert browser_of(teams.single).get(page("oauthclient_add")).status_code == 403


def test_what_keeps_a_client_from_being_deleted_is_named_to_those_who_may_see_it(held: Held) -> None:
    Membership.objects.filter(user=held.teams.owner).delete()
    held.client.workspace = held.teams.ours
    held.client.save(update_fields=["workspace"])
    make_membership(held.teams.owner, "owner", workspace=held.teams.ours)
    shown = said(browser_of(held.teams.owner).post(page("oauthclient_delete", held.client.pk), {"post": "yes"}))
    assert "gmail in Shop" in shown
    assert "connectors that you can" in shown
    assert FOREIGN not in shown


# --- To the provider and back -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "status"), [("looker", 403), ("both", 403), ("other", 404), ("idle", 404)])
def test_nobody_leaves_for_a_provider_who_may_not_change_the_connector(held: Held, name: str, status: int) -> None:
    path = reverse("oauth_start", args=[of(held.teams.shop).pk])
    assert browser_of(getattr(held.teams, name)).post(path, {"oauth_client": held.client.pk}).status_code == status
    assert not Authorisation.objects.exists()


def test_an_answer_for_a_client_that_there_is_not_is_refused_like_one_for_another_teams(held: Held) -> None:
    browser, forged = browser_of(held.teams.idle), {"state": "made-up", "code": "made-up"}
    known = browser.get(reverse("oauth_callback", args=[held.client.slug]), forged)
    unknown = browser.get(reverse("oauth_callback", args=["nobodys"]), forged)
    assert (known.status_code, said(known)) == (unknown.status_code, said(unknown))


def test_an_answer_is_not_used_when_the_role_was_taken_meanwhile(held: Held) -> None:
    connector = make_connector(held.teams.shop, "googledrive", ["https://www.googleapis.com/auth/drive.readonly"])
    browser = browser_of(held.teams.single)
    left = browser.post(reverse("oauth_start", args=[connector.pk]), {"oauth_client": held.client.pk})
    (address,) = set(re.findall(r"https://accounts\.google\.com/[^\"' ]+", html.unescape(left.content.decode())))
    (state,) = parse_qs(urlsplit(address).query)["state"]
    Membership.objects.filter(user=held.teams.single).delete()
    browser.get(reverse("oauth_callback", args=[held.client.slug]), {"state": state, "code": "never-used"})
    trip = Authorisation.objects.get()
    assert (trip.outcome, trip.verifier.reveal() if trip.verifier else "") == (Authorisation.Outcome.CLIENT_ERROR, "")
    assert "may not authorise" in trip.message
    assert not Token.objects.filter(connector=connector).exists()
