"""The page of an import from git: what it shows, what can be ticked, and that exactly what was shown is taken over."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.admin.pages.repository_import import MAX_PROJECTS
from connectors.flows.declare import declare
from connectors.models import Connector, Placement, Project, Repository, RepositoryRun, SyncRun
from tests.admin.html import parse
from tests.factories import (
    SHELL,
    make_connector,
    make_fleet,
    make_placement,
    make_project,
    make_repository,
    make_repository_file,
    make_rule,
)
from tests.teams import browser_of

READ, SEND, LABELS = "mail.read", "mail.send", "mail.labels"
WHO = {"commit": "1f0c9a7be2" * 4, "author": "Mira Vale <mira@example.com>", "committed_at": timezone.now()}


@pytest.fixture
def placed(db: None) -> Placement:
    """The project shop in the folder apps/shop of a repository that was read a moment ago; nothing differs."""
    repository = make_repository("Apps", state="working", head="1f0c9a7be2" * 4, read_at=timezone.now())
    return make_placement(make_project("shop"), repository, "apps/shop", read_at=timezone.now())


def incoming(placed: Placement) -> None:
    """Git has a scope more than both sides agreed on."""
    make_connector(placed.project, "gmail", [READ])
    make_repository_file(placed, "gmail", [READ, LABELS], agreed=[READ], is_exact=True, **WHO)


def conflicting(placed: Placement) -> None:
    """Each side has added another scope."""
    make_connector(placed.project, "notion", [READ, SEND])
    make_repository_file(placed, "notion", [READ, LABELS], agreed=[READ], **WHO)


def removed(placed: Placement) -> None:
    """The file was taken out of git; the portal still asks for the connector."""
    make_connector(placed.project, "slack", [READ])
    make_repository_file(placed, "slack", None, agreed=[READ], **WHO)


def broken(placed: Placement) -> None:
    """A file cannot be read."""
    placed.problems = [{"path": "apps/shop/x.jsonc", "message": "expected a string", "line": 3, "kind": "file"}]
    placed.save()


def address(placed: Placement, query: str = "") -> str:
    return reverse("admin:connectors_repository_import", args=[placed.repository_id]) + query


def page(browser: Client, placed: Placement, query: str = "") -> Any:
    return parse(browser.get(address(placed, query)).content)


def press(browser: Client, placed: Placement, query: str = "", **ticks: Any) -> Any:
    """What a browser posts that has just shown the page."""
    form = page(browser, placed, query).having("id", "import-form")[0]
    return browser.post(address(placed, query), {**form.fields(), **ticks})


def declared(project: Project) -> dict[str, list[str]]:
    return dict(project.connectors.declared().values_list("integration_type_id", "scopes"))


def test_what_was_changed_in_git_is_shown_with_who_changed_it(browser: Client, placed: Placement) -> None:
    incoming(placed)
    text = page(browser, placed).text
    assert "Mira Vale" in text
    assert LABELS in text
    assert "Import 1 change" in text


def test_the_button_takes_over_what_was_shown_and_leads_to_the_run(browser: Client, placed: Placement) -> None:
    incoming(placed)
    answer = press(browser, placed)
    run = SyncRun.objects.get(kind=SyncRun.Kind.IMPORT)
    assert answer["Location"] == reverse("admin:connectors_syncrun_live", args=[run.pk])
    assert declared(placed.project) == {"gmail": [READ, LABELS]}


def test_where_nothing_waits_the_page_says_so_and_has_no_button(browser: Client, placed: Placement) -> None:
    found = page(browser, placed)
    assert "Nothing to import" in found.text
    assert not found.having("id", "import-form")


def test_a_conflict_shows_both_sides_and_its_tick_is_off(browser: Client, placed: Placement) -> None:
    conflicting(placed)
    found = page(browser, placed)
    (box,) = found.having("name", f"theirs-{placed.project_id}")
    assert "checked" not in box.attributes
    assert SEND in found.text
    assert LABELS in found.text


def test_a_conflict_stays_unless_the_repositorys_side_is_ticked(browser: Client, placed: Placement) -> None:
    incoming(placed)
    conflicting(placed)
    press(browser, placed)
    assert declared(placed.project)["notion"] == [READ, SEND]
    press(browser, placed, **{f"theirs-{placed.project_id}": "notion"})
    assert declared(placed.project)["notion"] == [READ, LABELS]


def test_a_removal_happens_only_when_it_is_ticked_and_confirmed(browser: Client, placed: Placement) -> None:
    removed(placed)
    incoming(placed)
    ticked = {f"remove-{placed.project_id}": "slack"}
    assert press(browser, placed, **ticked).context["confirm"]
    assert "slack" in declared(placed.project)
    press(browser, placed, **ticked, confirmed="1")
    assert declared(placed.project) == {"gmail": [READ, LABELS]}


def test_taking_a_removal_over_what_the_portal_changed_wants_confirming_too(browser: Client, placed: Placement) -> None:
    make_connector(placed.project, "slack", [READ, SEND])
    make_repository_file(placed, "slack", None, agreed=[READ])
    ticked = {f"theirs-{placed.project_id}": "slack"}
    assert press(browser, placed, **ticked).context["confirm"]
    press(browser, placed, **ticked, confirmed="1")
    assert declared(placed.project) == {}


def test_a_portal_that_changed_since_is_shown_anew_and_nothing_is_taken(browser: Client, placed: Placement) -> None:
    incoming(placed)
    form = page(browser, placed).having("id", "import-form")[0].fields()
    declare(placed.project, "github", ["repo"], {}, SHELL)
    answer = browser.post(address(placed), form)
    assert "has changed since" in answer.context["projects"][0].problem
    assert declared(placed.project)["gmail"] == [READ]


def test_a_newer_commit_since_is_shown_anew_and_nothing_is_taken(browser: Client, placed: Placement) -> None:
    incoming(placed)
    form = page(browser, placed).having("id", "import-form")[0].fields()
    placed.files.update(raw=b"{type: 'gmail', scopes: ['other']}", scopes=["other"])
    assert "has changed since" in browser.post(address(placed), form).context["projects"][0].problem


def test_a_broken_file_is_shown_with_its_line_and_holds_its_project_up(browser: Client, placed: Placement) -> None:
    incoming(placed)
    broken(placed)
    answer = browser.get(address(placed))
    assert "line 3" in parse(answer.content).text
    assert not answer.context["can_apply"]


def test_a_project_that_is_held_up_holds_up_no_other(browser: Client, placed: Placement) -> None:
    incoming(placed)
    broken(placed)
    other = make_placement(make_project("crm"), placed.repository, "apps/crm", read_at=timezone.now())
    incoming(other)
    press(browser, placed)
    assert (declared(placed.project), declared(other.project)) == ({"gmail": [READ]}, {"gmail": [READ, LABELS]})


def test_a_policy_that_stops_it_is_shown_and_nothing_can_be_imported(browser: Client, placed: Placement) -> None:
    make_rule("No mail")
    incoming(placed)
    answer = browser.get(address(placed))
    assert "No mail" in parse(answer.content).text
    assert not answer.context["can_apply"]


def test_a_policy_that_stops_a_chosen_conflict_is_told_beside_the_project(browser: Client, placed: Placement) -> None:
    make_rule("No mail")
    conflicting(placed)
    answer = press(browser, placed, **{f"theirs-{placed.project_id}": "notion"})
    assert "No mail" in answer.context["projects"][0].problem
    assert declared(placed.project) == {"notion": [READ, SEND]}


def test_several_projects_are_imported_at_once_and_counted(browser: Client, placed: Placement) -> None:
    other = make_placement(make_project("crm"), placed.repository, "apps/crm", read_at=timezone.now())
    incoming(placed)
    incoming(other)
    answer = press(browser, placed)
    assert [str(message) for message in get_messages(answer.wsgi_request)] == ["Imported into 2 projects."]
    assert answer["Location"] == reverse("admin:connectors_repository_change", args=[placed.repository_id])


def test_one_project_can_be_asked_for(browser: Client, placed: Placement) -> None:
    other = make_placement(make_project("crm"), placed.repository, "apps/crm", read_at=timezone.now())
    incoming(placed)
    incoming(other)
    press(browser, placed, f"?project={other.project_id}")
    assert (declared(placed.project), declared(other.project)) == ({"gmail": [READ]}, {"gmail": [READ, LABELS]})


def test_files_of_another_app_are_warned_of(browser: Client, placed: Placement) -> None:
    incoming(placed)
    placed.problems = [{"path": "", "message": "These files belong to the app X.", "line": None, "kind": "app"}]
    placed.save()
    assert "belong to the app X" in page(browser, placed).text


def test_projects_beyond_the_first_are_counted(browser: Client, placed: Placement) -> None:
    for project in make_fleet(MAX_PROJECTS + 2, 0, workspace=placed.project.workspace):
        make_repository_file(make_placement(project, placed.repository, project.slug), "gmail", [READ])
    answer = browser.get(address(placed))
    assert (len(answer.context["projects"]), answer.context["more"][:7]) == (MAX_PROJECTS, "2 more ")


def test_projects_in_which_nothing_waits_cost_no_queries(
    browser: Client, placed: Placement, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    incoming(placed)
    browser.get(address(placed))
    for project in make_fleet(20, 2, workspace=placed.project.workspace):
        make_placement(project, placed.repository, project.slug, read_at=timezone.now())
    with django_assert_num_queries(13):
        browser.get(address(placed))


# Read now


def read_now(browser: Client, placed: Placement) -> Any:
    return browser.post(reverse("admin:connectors_repository_read", args=[placed.repository_id]))


def test_read_now_queues_a_reading_and_leads_to_its_run(browser: Client, placed: Placement) -> None:
    answer = read_now(browser, placed)
    run = RepositoryRun.objects.get()
    assert answer["Location"] == reverse("admin:connectors_repository_run", args=[run.pk])
    assert (run.kind, run.actor_label) == ("read", "operator")


def test_pressing_it_twice_queues_one_reading(browser: Client, placed: Placement) -> None:
    assert read_now(browser, placed)["Location"] == read_now(browser, placed)["Location"]


def test_looking_at_its_address_reads_nothing(browser: Client, placed: Placement) -> None:
    answer = browser.get(reverse("admin:connectors_repository_read", args=[placed.repository_id]))
    assert (answer.status_code, RepositoryRun.objects.count()) == (405, 0)


# Who may


def test_whoever_may_only_look_sees_what_waits_and_can_press_nothing(reader: User, placed: Placement) -> None:
    incoming(placed)
    client = browser_of(reader)
    found = page(client, placed)
    assert LABELS in found.text
    assert "Import 1 change" not in found.text
    assert client.post(address(placed), {}).status_code == 403
    assert read_now(client, placed).status_code == 403


def test_importing_wants_the_permission_to_change_projects(reader: User, placed: Placement) -> None:
    reader.user_permissions.add(Permission.objects.get(codename="change_repository"))
    client = browser_of(reader)
    assert client.post(address(placed), {}).status_code == 403
    assert read_now(client, placed).status_code == 302


def test_for_staff_without_a_role_there_is_neither(viewer: User, placed: Placement) -> None:
    assert browser_of(viewer).get(address(placed)).status_code == 404


def test_a_repository_that_is_not_there_is_not_found(browser: Client, placed: Placement) -> None:
    Repository.objects.all().delete()
    assert browser.get(address(placed)).status_code == 404
    assert not Connector.objects.exists()
