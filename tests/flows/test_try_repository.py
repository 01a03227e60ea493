"""Testing a repository says line by line what works, and what to do about what does not. Against real git servers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from connectors.core.git import make_deploy_key
from connectors.flows.repositories import make_webhook_secret
from connectors.flows.try_repository import Finding, Findings, Level, main_branch, try_repository
from connectors.models import Event, Project, Repository
from tests.factories import SHELL, make_placement, make_repository
from tests.servers.forge import Forge
from tests.servers.git_http import GitServer
from tests.servers.git_repos import RepoMaker
from tests.servers.git_ssh import SshServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("git_settings")]

FILE = {"apps/crm/base44/connectors/slack.jsonc": '{"type": "slack", "scopes": []}\n'}


@pytest.fixture
def repo(git_server: GitServer) -> RepoMaker:
    """A repository with one project in `apps/crm`."""
    made = git_server.make("acme/apps")
    made.commit(FILE)
    return made


@pytest.fixture
def repository(git_server: GitServer, repo: RepoMaker, project: Project) -> Repository:
    """The portal's row of it, with a token that may write, and the project in its place."""
    row = make_repository(url=repo.url, token=git_server.token.get_secret_value())
    make_placement(project, row, "apps/crm")
    return row


def found(repository: Repository) -> dict[str, Finding]:
    """What came of each thing that was tried, by its name."""
    return {line.title: line for line in try_repository(repository, SHELL).lines}


def level(repository: Repository, title: str) -> Level:
    return found(repository)[title].level


def test_everything_that_works_is_said(repository: Repository) -> None:
    lines = found(repository)
    working = {title for title, line in lines.items() if line.level == Level.OK}
    assert working == {"Connection", "Branch", "Writing", "Projects"}
    assert try_repository(repository, SHELL).works


def test_a_test_is_on_record_with_what_it_found(repository: Repository) -> None:
    findings = try_repository(repository, SHELL)
    event = Event.objects.get(verb="repository.tested")
    assert (event.note, event.target_id) == (findings.summary, str(repository.pk))


def test_nothing_is_written_by_a_test(repository: Repository, repo: RepoMaker) -> None:
    before = repo.head()
    try_repository(repository, SHELL)
    assert (repo.head(), repo.branches()) == (before, ["main"])


def test_an_unprotected_address_is_pointed_out(repository: Repository) -> None:
    line = found(repository)["Address"]
    assert (line.level, "read along" in line.text) == (Level.WARN, True)


def test_a_private_address_is_refused_with_the_setting_that_allows_it(repository: Repository, settings: Any) -> None:
    settings.GIT_ALLOWED_PRIVATE_HOSTS = []
    line = found(repository)["Connection"]
    assert (line.level, "GIT_ALLOWED_PRIVATE_HOSTS" in line.text) == (Level.BAD, True)


def test_a_wrong_token_comes_with_the_rights_that_it_needs(repository: Repository) -> None:
    other = make_repository(url=repository.url.replace(".git", ""), host="github", token="not-this-one")
    line = found(other)["Connection"]
    assert (line.level, line.fix) == (Level.BAD, "change")
    assert "Contents: Read and write" in line.advice


def test_without_a_token_a_public_repository_can_be_read(git_server: GitServer, repo: RepoMaker) -> None:
    git_server.is_public = True
    lines = found(make_repository(url=repo.url))
    assert (lines["Token"].level, lines["Connection"].level) == (Level.WARN, Level.OK)
    assert lines["Writing"].level == Level.BAD


def test_a_token_that_only_reads_is_told(git_server: GitServer, repo: RepoMaker) -> None:
    row = make_repository(url=repo.url, token=git_server.read_only_token.get_secret_value())
    lines = found(row)
    assert (lines["Connection"].level, lines["Writing"].level) == (Level.OK, Level.BAD)
    assert "reading and writing" in lines["Writing"].advice


def test_a_missing_repository_is_told(git_server: GitServer) -> None:
    row = make_repository(url=f"{git_server.url}/acme/none.git", token=git_server.token.get_secret_value())
    line = found(row)["Connection"]
    assert (line.level, line.fix) == (Level.BAD, "change")


def test_a_missing_branch_comes_with_the_main_one(repository: Repository) -> None:
    repository.branch = "master"
    line = found(repository)["Branch"]
    assert (line.level, "called main" in line.advice) == (Level.BAD, True)


def test_an_empty_repository_is_fine(git_server: GitServer) -> None:
    row = make_repository(url=git_server.make("acme/new").url, token=git_server.token.get_secret_value())
    findings = try_repository(row, SHELL)
    assert findings.works
    assert "is empty" in {line.title: line for line in findings.lines}["Branch"].text


def test_a_folder_that_is_not_there_is_named(repository: Repository) -> None:
    repository.placements.update(path="apps/elsewhere")
    line = found(repository)["Projects"]
    assert (line.level, line.fix) == (Level.WARN, "find")
    assert "Crm (apps/elsewhere)" in line.text


def test_a_repository_without_projects_leads_to_finding_them(repository: Repository) -> None:
    repository.placements.all().delete()
    assert found(repository)["Projects"].fix == "find"


def test_a_server_that_is_away_is_told(repository: Repository, git_server: GitServer) -> None:
    git_server.trouble(status=503)
    line = found(repository)["Connection"]
    assert (line.level, try_repository(repository, SHELL).works) == (Level.BAD, False)


def test_a_secret_that_no_key_reads_is_told_and_not_raised(repository: Repository) -> None:
    repository.token.ciphertext = "of-no-key"
    line = found(repository)["Connection"]
    assert (line.level, "ENCRYPTION_KEYS" in line.text) == (Level.BAD, True)


def test_what_works_again_is_read_soon(repository: Repository) -> None:
    later = timezone.now() + dt.timedelta(hours=6)
    Repository.objects.update(state="failing", failures=5, next_read_at=later)
    try_repository(repository, SHELL)
    assert Repository.objects.due_to_read(timezone.now()).exists()


def test_the_token_stands_in_no_line_and_no_event(repository: Repository, git_server: GitServer) -> None:
    git_server.trouble(status=500, page="the token was wrong")
    token = git_server.token.get_secret_value()
    assert token not in str(found(repository))
    assert token not in str(list(Event.objects.values()))


def test_the_main_branch_is_asked_of_the_server(git_server: GitServer) -> None:
    repo = git_server.make("acme/old")
    repo.commit(FILE, branch="trunk")
    repo.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    assert main_branch(make_repository(url=repo.url, token=git_server.token.get_secret_value())) == "trunk"


def test_a_server_that_cannot_be_asked_names_no_main_branch(git_server: GitServer) -> None:
    assert main_branch(make_repository(url=f"{git_server.url}/acme/none.git")) == ""


# --- Pull requests -----------------------------------------------------------------------------------------------


@pytest.fixture
def hosted(repository: Repository, repo: RepoMaker, forge: Forge) -> Repository:
    """The repository at a host with GitHub's interface, to which changes go as pull requests."""
    forge.add("acme/apps", repo)
    repository.host, repository.mode = Repository.Host.GITHUB, Repository.Mode.PULL_REQUEST
    repository.api_url = forge.api("github")
    return repository


def with_token(repository: Repository, token: str) -> Finding:
    """What is said of pull requests with this token."""
    repository.token = make_repository(token=token).token
    return found(repository)["Pull requests"]


def test_pull_requests_can_be_opened(hosted: Repository, forge: Forge) -> None:
    line = with_token(hosted, forge.token.get_secret_value())
    assert (line.level, "portal-bot" in line.text) == (Level.OK, True)


def test_a_token_that_opens_none_comes_with_the_rights_that_it_needs(hosted: Repository, forge: Forge) -> None:
    line = with_token(hosted, forge.read_only_token.get_secret_value())
    assert (line.level, "Pull requests: Read and write" in line.advice) == (Level.BAD, True)


def test_a_token_that_the_host_does_not_know_is_told(hosted: Repository) -> None:
    assert with_token(hosted, "not-this-one").level == Level.BAD


def test_pull_requests_that_nobody_wants_stand_in_no_way(hosted: Repository) -> None:
    hosted.mode = Repository.Mode.DIRECT
    assert with_token(hosted, "not-this-one").level == Level.NOTE


def test_a_server_without_pull_requests_cannot_take_any(repository: Repository) -> None:
    repository.mode = Repository.Mode.PULL_REQUEST
    assert level(repository, "Pull requests") == Level.BAD


# --- The webhook -------------------------------------------------------------------------------------------------


def test_without_a_webhook_the_interval_is_named(repository: Repository) -> None:
    line = found(repository)["Webhook"]
    assert (line.level, "every 15 minutes" in line.text) == (Level.NOTE, True)


def test_with_neither_webhook_nor_interval_nobody_notices_a_change(repository: Repository) -> None:
    repository.read_minutes = 0
    assert level(repository, "Webhook") == Level.WARN


def test_a_webhook_that_never_came_is_to_be_looked_at(repository: Repository) -> None:
    make_webhook_secret(repository, SHELL)
    assert level(repository, "Webhook") == Level.WARN


def test_a_webhook_that_comes_works(repository: Repository) -> None:
    make_webhook_secret(repository, SHELL)
    repository.webhook_at = timezone.now()
    assert level(repository, "Webhook") == Level.OK


def test_why_a_webhook_was_refused_is_said(repository: Repository) -> None:
    make_webhook_secret(repository, SHELL)
    repository.webhook_note = "The signature was wrong."
    line = found(repository)["Webhook"]
    assert (line.level, line.text) == (Level.WARN, "The signature was wrong.")


# --- ssh ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def over_ssh(ssh_server: SshServer) -> Repository:
    repo = ssh_server.make("acme/apps")
    repo.commit(FILE)
    key = ssh_server.key.get_secret_value()
    return make_repository(url=repo.url, deploy_key=key, known_hosts=ssh_server.known_hosts)


@pytest.mark.ssh
def test_a_deploy_key_opens_the_repository(over_ssh: Repository) -> None:
    lines = found(over_ssh)
    assert (lines["Connection"].level, lines["Writing"].level) == (Level.OK, Level.OK)


@pytest.mark.ssh
def test_an_unknown_host_leads_to_its_key(over_ssh: Repository) -> None:
    over_ssh.known_hosts = ""
    line = found(over_ssh)["Connection"]
    assert (line.level, line.fix) == (Level.BAD, "hostkeys")


@pytest.mark.ssh
def test_a_key_that_the_host_does_not_know_comes_with_where_it_goes(over_ssh: Repository) -> None:
    over_ssh.deploy_key = make_repository(deploy_key=make_deploy_key("").private.get_secret_value()).deploy_key
    line = found(over_ssh)["Connection"]
    assert (line.level, line.fix, "authorized_keys" in line.advice) == (Level.BAD, "key", True)


def test_without_a_deploy_key_nobody_gets_in_over_ssh() -> None:
    line = found(make_repository(url="git@github.com:acme/apps.git"))["Deploy key"]
    assert (line.level, line.fix) == (Level.BAD, "key")


# --- In a sentence -----------------------------------------------------------------------------------------------


def test_the_summary_names_what_does_not_work() -> None:
    lines = (Finding(Level.OK, "Connection", ""), Finding(Level.BAD, "Branch", ""), Finding(Level.WARN, "Webhook", ""))
    assert Findings(lines).summary == "Does not work: Branch."
    assert Findings(lines[:1]).summary == "Everything works."
    assert Findings((lines[0], lines[2])).summary == "Works; to be looked at: Webhook."
