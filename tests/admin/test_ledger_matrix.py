"""The matrices: what each side says and from when, what follows, and what one may do about it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.models import CatalogueScope, Connector, LedgerEntry, Project
from tests.admin.html import parse
from tests.factories import keep_ledger, make_connector, make_project, make_token

pytestmark = pytest.mark.django_db

READ, SEND = "https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"


@pytest.fixture
def gmail(project: Project) -> Connector:
    """Declares two scopes; its file has one, Base44 both, and the token one."""
    found = make_connector(
        project,
        "gmail",
        [READ, SEND],
        registered=[READ, SEND],
        repository_scopes=[READ],
        repository_read_at=timezone.now(),
        source_path="gmail.jsonc",
    )
    make_token(found, granted_scopes=[READ], account="ops@acme.example", authorised_by_label="ada")
    return found


def page_of(browser: Client, connector: Connector) -> Any:
    return browser.get(reverse("admin:connectors_connector_ledger", args=[connector.pk]))


def heads(browser: Client, connector: Connector) -> dict[str, tuple[int | None, str]]:
    return {head.title: (head.count, head.origin) for head in page_of(browser, connector).context["matrix"].heads}


def steps(answer: Any) -> list[str]:
    return [step.label for step in answer.context["matrix"].steps]


def test_each_side_says_how_many_scopes_it_lists_and_where_that_is_from(gmail: Connector, browser: Client) -> None:
    found = heads(browser, gmail)
    assert found["Declared"] == (2, "What the portal asks for.")
    assert found["File"] == (1, "In gmail.jsonc.")
    assert found["Base44"] == (2, "What Base44 lists for the app.")
    assert found["Granted"][0] == 1
    assert "authorised by ada as ops@acme.example" in found["Granted"][1]


def test_a_file_from_git_names_its_commit_and_who_wrote_it(gmail: Connector, browser: Client) -> None:
    Connector.objects.update(repository_commit="1f0c9a7be2" * 4, repository_author="Mira <mira@acme.example>")
    assert heads(browser, gmail)["File"][1] == "In gmail.jsonc, as of commit 1f0c9a7b by Mira <mira@acme.example>."


def test_a_side_that_is_not_known_says_why(project: Project, browser: Client) -> None:
    found = heads(browser, make_connector(project, "github", ["repo"]))
    assert found["File"] == (None, "The project's files have not been read yet.")
    assert found["Base44"] == (None, "Base44 has not been asked yet.")
    assert found["Granted"][0] is None


def test_a_side_that_was_looked_at_and_has_nothing_is_not_called_unknown(project: Project, browser: Client) -> None:
    now = timezone.now()
    github = make_connector(project, "github", ["repo"], registered_at=now, repository_read_at=now)
    found = heads(browser, github)
    assert found["File"] == (0, "There was no file for it when the project's files were last read.")
    assert found["Base44"] == (0, "Base44 does not list this connector.")


def test_a_token_whose_consent_ended_grants_nothing(project: Project, browser: Client) -> None:
    github = make_connector(project, "github", ["repo"], registered=["repo"])
    make_token(github, granted_scopes=["repo"], state="needs_consent")
    assert heads(browser, github)["Granted"][0] == 0


def test_a_scope_has_its_marks_verdict_and_reason(gmail: Connector, browser: Client) -> None:
    keep_ledger()
    CatalogueScope.objects.update_or_create(
        provider="google", name=SEND, defaults={"team_note": "Ask the support team.", "team_sensitivity": 3}
    )
    answer = page_of(browser, gmail)
    table = parse(answer.content).having("class", "ledger-matrix")[0]
    row = next(row for row in table.walk() if row.tag == "tr" and SEND in row.text)
    text = " ".join(row.text.split())
    assert "Note: Ask the support team." in text
    assert "Critical" in text
    assert "will fail" in text
    marks = [(one.attributes["data-label"], one.text.strip()) for one in row.having("class", "ledger-side")]
    assert marks == [("Declared", "✓Yes"), ("File", "–No"), ("Base44", "✓Yes"), ("Granted", "–No")]
    assert "Missing" in str(answer.context["matrix"].worst)


def test_the_page_compares_what_is_so_now_and_not_what_the_ledger_has_kept(gmail: Connector, browser: Client) -> None:
    keep_ledger()
    Connector.objects.update(scopes=[READ], ledger_at=None)
    answer = page_of(browser, gmail)
    assert [line.found.verdict for line in answer.context["matrix"].lines] == ["agrees", "drift"]
    assert b"has not taken this connector in yet" in answer.content


def test_a_connector_that_nothing_was_compared_with_is_not_in_agreement(project: Project, browser: Client) -> None:
    answer = page_of(browser, make_connector(project, "github", ["repo"]))
    assert "Not compared yet" in str(answer.context["matrix"].worst)
    assert b"In agreement" not in answer.content


def test_what_to_do_next_follows_from_what_differs(gmail: Connector, browser: Client) -> None:
    assert steps(page_of(browser, gmail)) == [
        "Export the files",
        "Import the files",
        "Authorise again",
        "Ask a colleague",
        "Edit what is declared",
    ]
    Connector.objects.update(scopes=[READ], repository_read_at=None)
    gmail.token.granted_scopes = [READ, SEND]
    gmail.token.save()
    assert steps(page_of(browser, gmail)) == ["Review the plan", "Edit what is declared", "Look at the token"]


def test_where_nothing_differs_there_is_nothing_to_do(project: Project, browser: Client) -> None:
    answer = page_of(browser, make_connector(project, "github", ["repo"], registered=["repo"]))
    assert steps(answer) == []
    assert b"What to do next" not in answer.content


def test_whoever_may_only_look_is_offered_nothing_to_do(gmail: Connector) -> None:
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_connector"))
    client = Client()
    client.force_login(user)
    assert steps(page_of(client, gmail)) == []


def test_the_project_shows_every_connector_or_only_what_differs(
    gmail: Connector, project: Project, browser: Client
) -> None:
    make_connector(project, "github", ["repo"], registered=["repo"])
    path = reverse("admin:connectors_project_ledger", args=[project.pk])
    every, only = browser.get(path), browser.get(path, {"only": "differences"})
    assert [row.connector.integration_type_id for row in every.context["matrices"]] == ["github", "gmail"]
    assert [row.connector.integration_type_id for row in only.context["matrices"]] == ["gmail"]
    assert READ.encode() in every.content
    assert f">{READ}<".encode() not in only.content
    assert f">{SEND}<".encode() in only.content


def test_a_project_without_differences_says_so_when_asked_for_them(project: Project, browser: Client) -> None:
    make_connector(project, "github", ["repo"], registered=["repo"])
    path = reverse("admin:connectors_project_ledger", args=[project.pk])
    assert b"Nothing differs" in browser.get(path, {"only": "differences"}).content


def test_a_projects_matrix_costs_the_same_for_any_number_of_connectors(browser: Client) -> None:
    def cost(slug: str, types: list[str]) -> int:
        project = make_project(slug)
        for type_ in types:
            make_token(make_connector(project, type_, ["read"], registered=["read"]))
        keep_ledger()
        path = reverse("admin:connectors_project_ledger", args=[project.pk])
        browser.get(path)
        with CaptureQueriesContext(connection) as seen:
            assert browser.get(path).status_code == 200
        return len(seen)

    assert cost("small", ["gmail"]) == cost("large", ["gmail", "github", "slack", "notion", "hubspot", "linear"])


def test_connector_and_project_lead_to_their_ledgers(gmail: Connector, browser: Client) -> None:
    for kind, row in (("connector", gmail), ("project", gmail.project)):
        page = browser.get(reverse(f"admin:connectors_{kind}_change", args=[row.pk])).content.decode()
        assert reverse(f"admin:connectors_{kind}_ledger", args=[row.pk]) in page


def test_the_dashboard_counts_what_differs_and_leads_there(gmail: Connector, browser: Client) -> None:
    keep_ledger()
    cache.clear()  # the dashboard's numbers may be those of another test's user with the same key
    differing = LedgerEntry.objects.differing().count()
    answer = browser.get("/admin/")
    assert answer.context["oauth"]["differing"] == differing == 1
    assert b"/admin/connectors/ledgerentry/?verdict=differs" in answer.content
