"""The form of a repository: what is found out by itself, what is refused, and that no secret comes out of it."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.core.git import make_deploy_key
from connectors.models import Event, Placement, Project, Repository, RepositoryRun
from tests.admin.form_data import address, errors, last_event, shown, told
from tests.admin.html import parse
from tests.factories import make_placement, make_project, make_repository
from tests.servers.git_http import GitServer

URL = "https://github.com/acme/apps.git"
LIST_QUERIES = 8
"""Session, user, the sidebar's badges, the number of rows, and the rows of the page with their figures."""
NO_PLACES = {
    f"{prefix}-{name}": count
    for prefix in ("placements", "placements-2")
    for name, count in (("TOTAL_FORMS", 0), ("INITIAL_FORMS", 0))
}


def add(browser: Client, **typed: Any) -> Any:
    """Fills in the form for a new repository; a branch is given, so that no server is asked."""
    path = address("repository", "add")
    return browser.post(
        path, {**shown(browser, path), "name": "Apps", "url": URL, "branch": "main", **typed}, follow=True
    )


def change(browser: Client, repository: Repository, **typed: Any) -> Any:
    """Fills in the form of one that there is, its tables of projects left alone."""
    path = address("repository", "change", repository.pk)
    return browser.post(path, {**shown(browser, path), **NO_PLACES, **typed}, follow=True)


def place_rows(rows: list[dict[str, Any]], *, of: str = "placements-2", initial: int = 0) -> dict[str, Any]:
    """What a table of projects posts."""
    data = {f"{of}-{place}-{name}": value for place, row in enumerate(rows) for name, value in row.items()}
    return {f"{of}-TOTAL_FORMS": len(rows), f"{of}-INITIAL_FORMS": initial, **data}


# --- A new repository --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (URL, "github"),
        ("git@gitlab.example.com:acme/apps.git", "gitlab"),
        ("https://codeberg.org/acme/apps.git", "gitea"),
        ("ssh://git@git.example.com:2222/apps.git", "plain"),
    ],
)
def test_the_host_is_found_out_from_the_url(url: str, host: str, browser: Client) -> None:
    assert errors(add(browser, url=url)) == {}
    assert Repository.objects.get().host == host


def test_a_host_that_somebody_names_stays(browser: Client) -> None:
    add(browser, url="https://git.example.com/acme/apps.git", host="gitlab")
    assert Repository.objects.get().host == "gitlab"


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://gitlab.com/acme/apps.git", "gitlab"), ("https://git.example.com/acme/apps.git", "github")],
)
def test_a_host_follows_a_url_that_is_known_to_be_anothers(url: str, host: str, browser: Client) -> None:
    change(browser, make_repository(url=URL, host="github"), url=url)
    assert Repository.objects.get().host == host


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("git_settings")
def test_an_empty_branch_becomes_the_servers_main_one(browser: Client, git_server: GitServer) -> None:
    repo = git_server.make("acme/apps")
    repo.commit({"README.md": ""}, branch="trunk")
    repo.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    answer = add(browser, url=repo.url, branch="", access_token=git_server.token.get_secret_value())
    assert Repository.objects.get().branch == "trunk"
    assert "main branch is trunk" in told(answer)


@pytest.mark.usefixtures("git_settings")
def test_no_server_is_asked_while_it_keeps_others_from_writing(browser: Client, git_server: GitServer) -> None:
    git_server.count_anew()
    add(browser, url=f"{git_server.url}/acme/none.git", branch="")  # the test's own transaction never ends
    assert git_server.requests == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("git_settings")
def test_a_branch_that_nobody_can_tell_is_taken_to_be_main(browser: Client, git_server: GitServer) -> None:
    answer = add(browser, url=f"{git_server.url}/acme/none.git", branch="")
    assert Repository.objects.get().branch == "main"
    assert "taken to be main" in told(answer)


def test_with_ssh_the_next_page_makes_the_key(browser: Client) -> None:
    answer = add(browser, url="git@github.com:acme/apps.git")
    assert answer.redirect_chain[-1][0] == address("repository", "key", Repository.objects.get().pk)


def test_with_https_the_next_page_is_the_test(browser: Client) -> None:
    answer = add(browser, access_token="a-token")
    assert answer.redirect_chain[-1][0] == address("repository", "test", Repository.objects.get().pk)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"url": "ext::sh -c true"}, "url"),
        ({"url": "https://user:password@github.com/acme/apps.git"}, "url"),
        ({"url": "file:///srv/git/apps.git"}, "url"),
        ({"url": "--upload-pack=true"}, "url"),
        ({"branch": "-delete"}, "branch"),
        ({"branch": "a..b"}, "branch"),
        ({"access_token": "two words"}, "access_token"),
        ({"api_url": "http://github.example.com/api"}, "api_url"),
        ({"known_hosts": "example.com no-key"}, "known_hosts"),
        ({"message_template": "Costs $5"}, "message_template"),
        ({"message_template": "By $someone"}, "message_template"),
        ({"mode": "pull_request"}, "access_token"),
        ({"mode": "pull_request", "url": "https://git.example.com/a/b", "access_token": "t"}, "mode"),
        ({"export_when": "schedule", "export_hours": 0}, "export_hours"),
        ({"author_email": "nobody"}, "author_email"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(typed: dict[str, Any], field: str, browser: Client) -> None:
    answer = add(browser, **typed)
    if field == "known_hosts":  # asked for once the repository is there
        answer = change(browser, Repository.objects.get(), **typed)
    assert list(errors(answer)) == [field]


def test_the_same_branch_of_the_same_repository_is_taken_once(browser: Client) -> None:
    make_repository(url=URL)
    assert "in the portal already" in str(errors(add(browser)))


# --- Change one --------------------------------------------------------------------------------------------------


def test_a_change_is_recorded_with_who_made_it(browser: Client, operator: User) -> None:
    change(browser, make_repository(url=URL), read_minutes=5)
    event = last_event()
    assert (event.verb, event.user, event.after) == ("repository.changed", operator, {"read_minutes": 5})


def test_opening_and_saving_changes_nothing(browser: Client) -> None:
    repository = make_repository(url=URL, host="github", token="kept", message_template="$summary\n\n$changes")
    assert errors(change(browser, repository)) == {}
    assert not Event.objects.exists()


def test_who_opened_the_form_before_another_saved_is_told(browser: Client) -> None:
    repository = make_repository(url=URL)
    data = shown(browser, address("repository", "change", repository.pk))
    Repository.objects.update(read_minutes=1)
    answer = browser.post(address("repository", "change", repository.pk), {**data, **NO_PLACES})
    assert "Somebody has changed this repository" in str(errors_of(answer))


def errors_of(answer: Any) -> Any:
    return answer.context["adminform"].form.errors


def test_another_server_asks_for_the_token_again(browser: Client) -> None:
    repository = make_repository(url=URL, token="of-github")
    answer = change(browser, repository, url="https://evil.example.com/acme/apps.git")
    assert list(errors(answer)) == ["access_token"]
    assert Repository.objects.get().url == URL


def test_a_token_is_replaced_or_forgotten_but_not_both(browser: Client) -> None:
    repository = make_repository(url=URL, token="old")
    assert list(errors(change(browser, repository, access_token="new", forget_token="on"))) == ["forget_token"]
    change(browser, repository, forget_token="on")
    assert not Repository.objects.get().token


def test_no_secret_comes_out_of_any_page(browser: Client, reader: User) -> None:
    hidden = [secrets.token_urlsafe(24) for _ in range(3)]
    pair = make_deploy_key("")
    row = make_repository(
        url=URL, token=hidden[0], webhook_secret=hidden[1], deploy_key=pair.private.get_secret_value()
    )
    Repository.objects.update(deploy_public_key=pair.public)
    looking = Client()
    looking.force_login(reader)
    for client in (browser, looking):
        for page in ("change", "key", "hostkeys", "test", "find", "history"):
            shown_page = client.get(address("repository", page, row.pk)).content.decode()
            assert not [one for one in (*hidden, row.token.ciphertext) if one in shown_page]
            assert "PRIVATE KEY-----\n" not in shown_page


def test_whoever_may_only_look_sees_no_fields_for_secrets(reader: User) -> None:
    client = Client()
    client.force_login(reader)
    page = client.get(address("repository", "change", make_repository(url=URL, token="t").pk)).content
    assert b"access_token" not in page
    assert b"Sealed" not in page


# --- Projects in it ----------------------------------------------------------------------------------------------


def test_a_project_is_put_into_it(browser: Client, project: Project) -> None:
    repository = make_repository(url=URL)
    typed = place_rows([{"project": project.pk, "path": "/apps/crm/", "auto_import": "on"}])
    assert errors(change(browser, repository, **typed)) == {}
    row = Placement.objects.get()
    assert (row.project, row.path, row.auto_import) == (project, "apps/crm", True)
    assert last_event().verb == "placement.added"


def test_what_a_new_projects_files_say_is_read(browser: Client, project: Project) -> None:
    repository = make_repository(url=URL, read_minutes=0)
    change(browser, repository, read_minutes="0", **place_rows([{"project": project.pk, "path": "apps/crm"}]))
    assert RepositoryRun.objects.get().kind == "read"


def test_without_another_project_or_folder_nothing_is_read(browser: Client, project: Project) -> None:
    row = make_placement(project, make_repository(url=URL), "apps/crm")
    typed = {"id": row.pk, "repository": row.repository_id, "path": "apps/crm", "auto_import": "on"}
    change(browser, row.repository, **place_rows([typed], of="placements", initial=1))
    assert Placement.objects.get().auto_import
    assert not RepositoryRun.objects.exists()


def test_its_folder_is_changed(browser: Client, project: Project) -> None:
    row = make_placement(project, make_repository(url=URL), "old")
    typed = place_rows([{"id": row.pk, "repository": row.repository_id, "path": "new"}], of="placements", initial=1)
    change(browser, row.repository, **typed)
    assert Placement.objects.get().path == "new"
    assert (last_event().before, last_event().after) == ({"path": "old"}, {"path": "new"})


def test_a_project_is_taken_out(browser: Client, project: Project) -> None:
    row = make_placement(project, make_repository(url=URL), "old")
    gone = {"id": row.pk, "repository": row.repository_id, "path": "old", "DELETE": "on"}
    change(browser, row.repository, **place_rows([gone], of="placements", initial=1))
    assert not Placement.objects.exists()
    assert last_event().verb == "placement.removed"


@pytest.mark.parametrize("path", ["../outside", "a//b", "a/./b", "a\\b"])
def test_a_folder_stays_inside_the_repository(path: str, browser: Client, project: Project) -> None:
    answer = change(browser, make_repository(url=URL), **place_rows([{"project": project.pk, "path": path}]))
    assert b"Enter a folder inside the repository" in answer.content
    assert not Placement.objects.exists()


def test_two_projects_in_one_folder_are_refused(browser: Client, project: Project) -> None:
    repository = make_repository(url=URL)
    rows = [{"project": project.pk, "path": "same"}, {"project": make_project().pk, "path": "same"}]
    change(browser, repository, **place_rows(rows))
    assert not Placement.objects.exists()


def test_a_folder_that_is_taken_is_refused(browser: Client, project: Project) -> None:
    repository = make_repository(url=URL)
    make_placement(make_project(), repository, "taken")
    answer = change(browser, repository, **place_rows([{"project": project.pk, "path": "taken"}]))
    assert b"Another project has this folder" in answer.content


def test_a_project_that_lies_elsewhere_is_refused(browser: Client, project: Project) -> None:
    make_placement(project, make_repository())
    repository = make_repository(url=URL)
    answer = change(browser, repository, **place_rows([{"project": project.pk, "path": ""}]))
    assert b"has a place in a repository already" in answer.content


def test_what_the_two_tables_say_together_is_refused_as_a_whole(browser: Client, project: Project) -> None:
    row = make_placement(make_project(), make_repository(url=URL), "old")
    moved = place_rows([{"id": row.pk, "repository": row.repository_id, "path": "new"}], of="placements", initial=1)
    answer = change(browser, row.repository, **moved, **place_rows([{"project": project.pk, "path": "new"}]))
    assert "belongs to" in told(answer)
    assert [place.path for place in Placement.objects.all()] == ["old"]


def test_many_projects_cost_no_query_more(browser: Client) -> None:
    few, many = make_repository(), make_repository()
    for repository, count in ((few, 2), (many, 40)):
        for number in range(count):
            make_placement(make_project(), repository, f"apps/{number}")
    assert queries(browser, address("repository", "change", few.pk)) == queries(
        browser, address("repository", "change", many.pk)
    )


# --- The list and the end ----------------------------------------------------------------------------------------


def queries(browser: Client, path: str) -> int:
    cache.clear()
    with CaptureQueriesContext(connection) as seen:
        assert browser.get(path).status_code == 200
    return len(seen)


def test_the_list_costs_the_same_for_many(browser: Client, project: Project) -> None:
    make_placement(project, make_repository(), incoming=1, outgoing=1, conflicts=1)
    one = queries(browser, address("repository", "changelist"))
    for _ in range(20):
        make_placement(make_project(), make_repository(), incoming=1, outgoing=1, conflicts=1)
    assert queries(browser, address("repository", "changelist")) == one == LIST_QUERIES


def test_the_list_shows_what_waits_and_why_one_fails(browser: Client, project: Project) -> None:
    row = make_repository("Apps", url=URL, state="failing", problem="Nobody lets us in.", read_at=timezone.now())
    make_placement(project, row, incoming=2, conflicts=1)
    page = parse(browser.get(address("repository", "changelist")).content)
    badges = {one.text: one.attributes.get("title", "") for one in page.having("class", "pc-badge")}
    assert badges["Failing"] == "Nobody lets us in."
    assert {"1 in conflict", "2 to import"} <= set(badges)
    assert "github.com/acme/apps" in [one.text for one in page.having("class", "pc-cell__sub")]


def test_the_empty_list_says_what_a_repository_is_for(browser: Client) -> None:
    assert b"No repository yet" in browser.get(address("repository", "changelist")).content


def test_deleting_says_what_stays(browser: Client, project: Project) -> None:
    row = make_placement(project).repository
    page = browser.get(address("repository", "delete", row.pk)).content
    assert b"Nothing happens in git" in page
    browser.post(address("repository", "delete", row.pk), {"post": "yes"})
    assert not Repository.objects.exists()
    assert Event.objects.filter(verb="repository.deleted").exists()


def test_one_that_is_worked_on_is_not_deleted(browser: Client) -> None:
    row = make_repository()
    RepositoryRun.objects.create(repository=row, kind="export", state="running", actor_label="x", door="task")
    answer = browser.post(address("repository", "delete", row.pk), {"post": "yes"}, follow=True)
    assert "Wait for that" in told(answer)
    assert Repository.objects.exists()


def test_a_field_of_the_form_links_to_the_page_that_helps(browser: Client) -> None:
    row = make_repository(url="git@git.example.com:acme/apps.git")
    page = browser.get(address("repository", "change", row.pk)).content.decode()
    for name in ("key", "hostkeys", "webhook"):
        assert reverse(f"admin:connectors_repository_{name}", args=[row.pk]) in page
