"""The pages that set a repository up: its test, deploy key, host keys, webhook, and the projects in its branch."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from connectors.core.git import fingerprint, make_deploy_key
from connectors.models import Event, Placement, Project, Repository, RepositoryRun
from tests.admin.form_data import address, last_event, told
from tests.admin.html import Element, parse
from tests.factories import make_placement, make_repository
from tests.servers.git_http import GitServer
from tests.servers.git_repos import RepoMaker
from tests.servers.git_ssh import SshServer

SSH = "git@github.com:acme/apps.git"
HERE = {"apps/crm/base44/connectors/slack.jsonc": '{"type": "slack", "scopes": []}\n'}


@pytest.fixture
def repo(git_server: GitServer) -> RepoMaker:
    made = git_server.make("acme/apps")
    made.commit(HERE)
    return made


@pytest.fixture
def repository(git_server: GitServer, git_settings: Any, repo: RepoMaker, db: None) -> Repository:
    """A repository that answers, with a token that may write."""
    return make_repository("Apps", url=repo.url, token=git_server.token.get_secret_value())


@pytest.fixture
def looking(reader: User) -> Client:
    """The browser of somebody who may only look."""
    client = Client()
    client.force_login(reader)
    return client


def page_of(answer: Any) -> Element:
    assert answer.status_code == 200
    return parse(answer.content)


def post(browser: Client, page: str, row: Repository, **typed: Any) -> Any:
    return browser.post(address("repository", page, row.pk), typed, follow=True)


# --- Test --------------------------------------------------------------------------------------------------------


def test_opening_the_test_tries_nothing(browser: Client, repository: Repository, git_server: GitServer) -> None:
    browser.get(address("repository", "test", repository.pk))
    assert git_server.requests == []
    assert not Event.objects.exists()


def test_what_was_tried_is_shown_line_by_line(browser: Client, repository: Repository) -> None:
    page = page_of(post(browser, "test", repository))
    rows = [row for row in page.walk() if row.tag == "tr"][1:]
    said = {row.children[0].text: row.children[1].text.strip() for row in rows}
    assert (said["Connection"], said["Writing"], said["Projects"]) == ("Works", "Works", "To be looked at")


def test_what_does_not_work_leads_to_where_it_is_put_right(browser: Client, repository: Repository) -> None:
    Repository.objects.update(branch="gone")
    page = page_of(post(browser, "test", repository))
    links = {one.attributes["href"] for one in page.having("class", "pc-link")}
    assert address("repository", "change", repository.pk) in links
    assert "There is no branch gone." in page.text


# --- Deploy key --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_key_is_made_and_its_public_half_shown(browser: Client) -> None:
    row = make_repository(url=SSH, host="github")
    page = page_of(post(browser, "key", row, make="1"))
    row.refresh_from_db()
    assert row.deploy_public_key in page.text
    assert "Allow write access" in page.text
    assert last_event().verb == "repository.key_made"


@pytest.mark.django_db
def test_a_key_of_ones_own_is_taken_over(browser: Client) -> None:
    row, pair = make_repository(url=SSH), make_deploy_key("")
    answer = post(browser, "key", row, secret_key=pair.private.get_secret_value())
    row.refresh_from_db()
    assert fingerprint(row.deploy_public_key) == fingerprint(pair.public)
    assert "PRIVATE KEY" not in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("typed", [{}, {"secret_key": "   "}, {"secret_key": "no key at all"}])
def test_what_is_no_key_is_refused_and_not_repeated(typed: dict[str, str], browser: Client) -> None:
    row = make_repository(url=SSH)
    answer = post(browser, "key", row, **typed)
    assert b"private key" in answer.content
    assert b"no key at all" not in answer.content
    assert not Repository.objects.get().deploy_key


@pytest.mark.django_db
def test_a_key_is_forgotten(browser: Client) -> None:
    row = make_repository(url=SSH)
    post(browser, "key", row, make="1")
    assert "Remove it at the host as well" in told(post(browser, "key", row, forget="1"))
    assert not Repository.objects.get().deploy_key


@pytest.mark.django_db
def test_whoever_may_only_look_gets_no_buttons(looking: Client) -> None:
    row = make_repository(url=SSH)
    for page in ("test", "key", "hostkeys", "webhook"):
        shown = page_of(looking.get(address("repository", page, row.pk)))
        main = shown.having("class", "pp-page")[0]
        assert not [one for one in main.walk() if one.tag == "form"]


# --- Host keys ---------------------------------------------------------------------------------------------------


@pytest.mark.ssh
def test_a_looked_up_key_is_stored_once_it_is_confirmed(
    browser: Client, ssh_server: SshServer, git_settings: Any
) -> None:
    row = make_repository(url=ssh_server.make("acme/apps").url)
    page = page_of(post(browser, "hostkeys", row, look="1"))
    assert fingerprint(ssh_server.host_key) in page.text
    assert Repository.objects.get().known_hosts == ""
    lines = page.fields()["lines"]
    post(browser, "hostkeys", row, confirm="1", lines=lines)
    assert fingerprint(Repository.objects.get().known_hosts) == fingerprint(ssh_server.host_key)


@pytest.mark.ssh
def test_another_key_than_the_stored_one_is_a_warning(
    browser: Client, ssh_server: SshServer, git_settings: Any
) -> None:
    row = make_repository(url=ssh_server.make("acme/apps").url, known_hosts=ssh_server.known_hosts)
    ssh_server.change_host_key()
    page = page_of(post(browser, "hostkeys", row, look="1"))
    assert "another key than the one that is stored" in page.text


@pytest.mark.ssh
def test_the_stored_key_again_is_no_warning(browser: Client, ssh_server: SshServer, git_settings: Any) -> None:
    row = make_repository(url=ssh_server.make("acme/apps").url, known_hosts=ssh_server.known_hosts)
    page = page_of(post(browser, "hostkeys", row, look="1"))
    assert fingerprint(ssh_server.host_key) in page.text
    assert "than the one that is stored" not in page.text


@pytest.mark.django_db
def test_published_keys_need_no_looking_up(browser: Client) -> None:
    page = page_of(browser.get(address("repository", "hostkeys", make_repository(url=SSH).pk)))
    assert "This host publishes its keys" in page.text


@pytest.mark.django_db
@pytest.mark.parametrize("lines", ["", "git.example.com nonsense"])
def test_what_is_no_host_key_is_not_stored(lines: str, browser: Client) -> None:
    row = make_repository(url="git@git.example.com:acme/apps.git")
    post(browser, "hostkeys", row, confirm="1", lines=lines)
    assert Repository.objects.get().known_hosts == ""


@pytest.mark.django_db
def test_a_private_host_is_not_asked_for_its_key(browser: Client) -> None:
    answer = post(browser, "hostkeys", make_repository(url="git@127.0.0.1:acme/apps.git"), look="1")
    assert b"GIT_ALLOWED_PRIVATE_HOSTS" in answer.content


@pytest.mark.usefixtures("git_settings")
def test_a_server_is_asked_for_ssh_keys_over_ssh_only(
    browser: Client, repository: Repository, git_server: GitServer
) -> None:
    answer = post(browser, "hostkeys", repository, look="1")
    assert b"Only for an ssh address" in answer.content
    assert git_server.requests == []


# --- Webhook -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_webhooks_secret_is_shown_once(browser: Client) -> None:
    row = make_repository(host="github")
    made = post(browser, "webhook", row)
    row.refresh_from_db()
    secret = row.webhook_secret.reveal()
    assert secret in made.content.decode()
    assert secret not in browser.get(address("repository", "webhook", row.pk)).content.decode()
    assert "no-store" in made["Cache-Control"]


@pytest.mark.django_db
def test_the_webhooks_address_is_the_repositorys_own(browser: Client, settings: Any) -> None:
    settings.PORTAL_URL = "https://portal.example.com"
    row = make_repository(host="gitlab")
    page = page_of(browser.get(address("repository", "webhook", row.pk)))
    (shown,) = page.having("id", "webhook-address")
    assert shown.text == f"https://portal.example.com/api/git/{row.public_id}/"


@pytest.mark.django_db
def test_a_plain_server_sends_none(browser: Client) -> None:
    page = page_of(browser.get(address("repository", "webhook", make_repository(host="plain").pk)))
    assert "sends no webhooks" in page.text


# --- Find projects -----------------------------------------------------------------------------------------------


def found(client: Client, row: Repository) -> Element:
    return page_of(client.get(address("repository", "find_list", row.pk)))


def ticks(page: Element) -> list[str]:
    return [one.attributes["value"] for one in page.walk() if one.attributes.get("name") == "path"]


def test_projects_in_the_branch_are_offered(browser: Client, repository: Repository, project: Project) -> None:
    assert ticks(found(browser, repository)) == ["apps/crm"]


def test_the_page_itself_asks_no_server(browser: Client, repository: Repository, git_server: GitServer) -> None:
    browser.get(address("repository", "find", repository.pk))
    assert git_server.requests == []


def test_ticked_projects_are_added_and_read(browser: Client, repository: Repository, project: Project) -> None:
    answer = post(browser, "find", repository, path="apps/crm")
    assert Placement.objects.get().project == project
    assert "Added 1 project" in told(answer)
    assert RepositoryRun.objects.get().kind == "read"


def test_nothing_ticked_adds_nothing(browser: Client, repository: Repository, project: Project) -> None:
    assert b"Nothing is ticked" in post(browser, "find", repository).content
    assert not Placement.objects.exists()


def test_a_folder_without_a_project_is_not_added(browser: Client, repository: Repository, project: Project) -> None:
    assert b"no project at elsewhere" in post(browser, "find", repository, path="elsewhere").content
    assert not Placement.objects.exists()


def test_what_was_added_is_not_offered_again(browser: Client, repository: Repository, project: Project) -> None:
    make_placement(project, repository, "apps/crm")
    page = found(browser, repository)
    assert ticks(page) == []
    assert "Added already" in page.text


def test_whoever_may_only_look_can_tick_nothing(looking: Client, repository: Repository, project: Project) -> None:
    page = found(looking, repository)
    assert "apps/crm" in page.text
    assert ticks(page) == []


def test_why_the_branch_cannot_be_searched_is_said(browser: Client, repository: Repository) -> None:
    Repository.objects.update(branch="gone")
    assert "no branch of this name" in found(browser, repository).text


def test_no_page_shows_the_token(browser: Client, repository: Repository, git_server: GitServer) -> None:
    git_server.trouble(status=500, page=secrets.token_hex(8))
    token = git_server.token.get_secret_value()
    answers = [post(browser, "test", repository), browser.get(address("repository", "find_list", repository.pk))]
    assert not [answer for answer in answers if token in answer.content.decode()]
