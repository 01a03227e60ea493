"""The page of an export to git: what it shows, what can be ticked, and what a press of the button asks for."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.admin.pages.repository_export import CHANGED_SINCE, MAX_REASON, NOTHING_CHOSEN
from connectors.models import Connector, Placement, Project, Repository, RepositoryFile, RepositoryRun
from tests.admin.html import parse
from tests.factories import make_connector, make_placement, make_project, make_repository, make_repository_file

READ, SEND, LABELS = "mail.read", "mail.send", "mail.labels"


@pytest.fixture
def placed(db: None) -> Placement:
    """The project shop in the folder apps/shop of a repository that was read a moment ago; nothing differs."""
    repository = make_repository("Apps", state="working", head="1f0c9a7be2" * 4, read_at=timezone.now())
    return make_placement(make_project("shop"), repository, "apps/shop", read_at=timezone.now())


def address(placed: Placement, query: str = "") -> str:
    return reverse("admin:connectors_repository_export", args=[placed.repository_id]) + query


def edited(placed: Placement, type_: str = "gmail") -> None:
    """The portal has added a scope since both sides agreed."""
    make_connector(placed.project, type_, [READ, SEND])
    make_repository_file(placed, type_, [READ], agreed=[READ])


def undeclared(placed: Placement) -> None:
    """The portal no longer asks for what the file says."""
    make_repository_file(placed, "slack", ["chat:write"], agreed=["chat:write"])


def conflicting(placed: Placement) -> None:
    """Each side has added another scope."""
    make_connector(placed.project, "gmail", [READ, SEND])
    make_repository_file(placed, "gmail", [READ, LABELS], agreed=[READ])


def incoming(placed: Placement) -> None:
    """Git has a scope more than both sides agreed on."""
    make_connector(placed.project, "gmail", [READ])
    make_repository_file(placed, "gmail", [READ, LABELS], agreed=[READ])


def press(browser: Client, placed: Placement, query: str = "", **ticks: Any) -> Any:
    """What a browser posts that has just shown the page."""
    form = parse(browser.get(address(placed, query)).content).having("id", "export-form")[0]
    return browser.post(address(placed, query), {**form.fields(), **ticks})


def test_a_changed_file_is_shown_as_it_would_differ(browser: Client, placed: Placement) -> None:
    edited(placed)
    text = parse(browser.get(address(placed)).content).text
    assert "apps/shop/base44/connectors/gmail.jsonc" in text
    assert f'+    "{SEND}"' in text
    assert "Commit 1 file" in text


def test_the_button_asks_for_exactly_what_was_shown_and_leads_to_the_run(browser: Client, placed: Placement) -> None:
    edited(placed)
    answer = press(browser, placed, reason=" Mail  goes out again. ")
    run = RepositoryRun.objects.get()
    assert answer["Location"] == reverse("admin:connectors_repository_run", args=[run.pk])
    assert (run.kind, run.reason, run.choices) == ("export", "Mail goes out again.", {})
    assert run.fingerprint


def test_a_removal_is_offered_and_not_ticked(browser: Client, placed: Placement) -> None:
    undeclared(placed)
    (box,) = parse(browser.get(address(placed)).content).having("name", "removals")
    assert box.attributes["value"] == f"{placed.project_id}:slack"
    assert "checked" not in box.attributes


def test_a_ticked_removal_is_asked_for(browser: Client, placed: Placement) -> None:
    undeclared(placed)
    press(browser, placed, removals=f"{placed.project_id}:slack")
    assert RepositoryRun.objects.get().choices == {"removals": {str(placed.project_id): ["slack"]}}


def test_without_a_tick_there_is_nothing_to_ask_for(browser: Client, placed: Placement) -> None:
    undeclared(placed)
    assert NOTHING_CHOSEN in press(browser, placed).content.decode()
    assert not RepositoryRun.objects.exists()


def sides(browser: Client, placed: Placement) -> list[list[tuple[str, str]]]:
    """Of the only file that is left alone, each side's scopes with how they changed."""
    ((row,),) = (one.left for one in browser.get(address(placed)).context["shown"].projects)
    return [[(chip.name, chip.change) for chip in side] for side in (row.portal, row.repository)]


def test_a_conflict_shows_what_each_side_has_changed(browser: Client, placed: Placement) -> None:
    conflicting(placed)
    assert sides(browser, placed) == [[(SEND, "add"), (READ, "")], [(LABELS, "add"), (READ, "")]]


def test_a_scope_that_one_side_has_taken_away_is_shown_as_such(browser: Client, placed: Placement) -> None:
    make_connector(placed.project, "gmail", [])
    make_repository_file(placed, "gmail", [READ, LABELS], agreed=[READ])
    assert sides(browser, placed) == [[(READ, "del")], [(LABELS, "add"), (READ, "")]]


def test_sides_that_never_agreed_are_marked_by_what_the_other_lacks(browser: Client, placed: Placement) -> None:
    make_connector(placed.project, "gmail", [READ, SEND])
    make_repository_file(placed, "gmail", [READ, LABELS])
    assert sides(browser, placed) == [[(SEND, "add"), (READ, "")], [(LABELS, "add"), (READ, "")]]


def test_a_conflict_is_written_only_when_that_is_ticked(browser: Client, placed: Placement) -> None:
    conflicting(placed)
    press(browser, placed, ours=f"{placed.project_id}:gmail")
    assert RepositoryRun.objects.get().choices == {"ours": {str(placed.project_id): ["gmail"]}}


def test_what_git_has_changed_is_left_to_the_import(browser: Client, placed: Placement) -> None:
    incoming(placed)
    page = browser.get(address(placed))
    assert page.context["shown"].plan.files == ()
    import_page = reverse("admin:connectors_repository_import", args=[placed.repository_id])
    assert f'href="{import_page}?project={placed.project_id}"' in page.content.decode()


def test_a_plan_that_has_changed_since_is_shown_anew_and_not_carried_out(browser: Client, placed: Placement) -> None:
    edited(placed)
    form = parse(browser.get(address(placed)).content).having("id", "export-form")[0].fields()
    Connector.objects.update(scopes=[READ, LABELS])
    answer = browser.post(address(placed), form).content.decode()
    assert CHANGED_SINCE in answer
    assert f"+    &quot;{LABELS}&quot;" in answer
    assert not RepositoryRun.objects.exists()


def test_a_conflict_that_has_changed_since_is_not_overwritten(browser: Client, placed: Placement) -> None:
    conflicting(placed)
    form = parse(browser.get(address(placed)).content).having("id", "export-form")[0].fields()
    RepositoryFile.objects.update(raw=b'{"type": "gmail", "scopes": ["mail.all"]}', scopes=["mail.all"])
    ticked = f"{placed.project_id}:gmail"
    answer = browser.post(address(placed), {**form, "ours": ticked})
    assert CHANGED_SINCE in answer.content.decode()
    (box,) = parse(answer.content).having("value", ticked)
    assert "checked" in box.attributes
    assert not RepositoryRun.objects.exists()


def test_a_project_with_a_file_that_cannot_be_read_is_left_out_and_says_why(browser: Client, placed: Placement) -> None:
    edited(placed)
    Placement.objects.update(problems=[{"path": "x.jsonc", "message": "a comma is missing", "line": 3, "kind": "file"}])
    page = browser.get(address(placed))
    assert "x.jsonc:3: a comma is missing" in page.content.decode()
    assert page.context["shown"].plan.files == ()


def test_a_part_of_the_projects_can_be_exported(browser: Client, placed: Placement) -> None:
    edited(placed)
    other = make_placement(make_project("desk"), placed.repository, "apps/desk", read_at=timezone.now())
    edited(other, "slack")
    press(browser, placed, f"?project={other.project_id}")
    assert RepositoryRun.objects.get().choices == {"projects": [other.project_id]}


def test_a_tick_for_a_project_elsewhere_does_nothing(browser: Client, placed: Placement) -> None:
    edited(placed)
    elsewhere = make_placement()
    make_repository_file(elsewhere, "slack", ["chat:write"], agreed=["chat:write"])
    shown = browser.get(address(placed)).context["shown"].plan.fingerprint
    press(browser, placed, removals=f"{elsewhere.project_id}:slack")
    assert RepositoryRun.objects.get().fingerprint == shown


@pytest.mark.parametrize("value", ["", "x", ":", "1", "99999999999999999999:gmail", "\0:gmail"])
def test_ticks_that_no_page_offers_are_passed_over(value: str, browser: Client, placed: Placement) -> None:
    edited(placed)
    assert press(browser, placed, ours=value, removals=value).status_code == 302


def test_a_long_reason_is_cut(browser: Client, placed: Placement) -> None:
    edited(placed)
    press(browser, placed, reason="x" * (MAX_REASON + 1))
    assert RepositoryRun.objects.get().reason == "x" * MAX_REASON


def test_a_project_that_nobody_has_read_can_be_exported_all_the_same(browser: Client, placed: Placement) -> None:
    Placement.objects.update(read_at=None)
    assert press(browser, placed).status_code == 302


def test_where_nothing_differs_there_is_nothing_to_press(browser: Client, placed: Placement) -> None:
    page = browser.get(address(placed)).content.decode()
    assert "Nothing to export" in page
    assert "export-form" not in page


def test_the_commits_message_is_shown_before_it_is_made(browser: Client, placed: Placement) -> None:
    edited(placed)
    assert "Update connectors of Shop: gmail.jsonc" in browser.get(address(placed)).context["message"]


def test_a_branch_that_others_have_pushed_to_is_replaced_only_when_that_is_ticked(
    browser: Client, placed: Placement
) -> None:
    edited(placed)
    Repository.objects.update(mode="pull_request")
    press(browser, placed, starts_over="yes")
    assert RepositoryRun.objects.get().choices == {"starts_over": True}


def test_a_reader_sees_the_plan_and_cannot_carry_it_out(client: Client, reader: User, placed: Placement) -> None:
    edited(placed)
    undeclared(placed)
    client.force_login(reader)
    page = parse(client.get(address(placed)).content)
    assert "gmail.jsonc" in page.text
    assert not page.having("name", "removals")
    assert "Commit 1 file" not in page.text
    assert client.post(address(placed)).status_code == 403
    assert not RepositoryRun.objects.exists()


@pytest.mark.parametrize("count", [1, 20])
def test_the_number_of_queries_does_not_grow(
    count: int, browser: Client, placed: Placement, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        row = make_placement(make_project(), placed.repository, f"apps/{number}", read_at=timezone.now())
        edited(row)
        undeclared(row)
    browser.get(address(placed))
    with django_assert_num_queries(22):
        browser.get(address(placed))
    assert Project.objects.count() == count + 1
