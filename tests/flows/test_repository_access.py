"""How a repository is reached: with the secret that its address needs, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.core.errors import Refused
from connectors.core.git import Fault, GitError
from connectors.flows.repository_access import access_of, cache_of, host_of, limits, opened
from connectors.models import Sealed
from tests.factories import make_repository
from tests.servers.git_http import GitServer

pytestmark = pytest.mark.django_db

HTTPS, SSH = "https://github.com/acme/apps.git", "git@github.com:acme/apps.git"


def test_over_https_the_token_goes_and_no_key() -> None:
    access = access_of(make_repository(url=HTTPS, token="t", deploy_key="k"))
    assert (access.token, access.deploy_key) == (SecretStr("t"), None)


def test_over_ssh_the_key_goes_and_no_token() -> None:
    access = access_of(make_repository(url=SSH, token="t", deploy_key="k", known_hosts="line"))
    assert (access.token, access.deploy_key, access.known_hosts) == (None, SecretStr("k"), "line")


def test_a_secret_that_is_not_needed_may_be_unreadable() -> None:
    repository = make_repository(url=HTTPS, token="t")
    repository.deploy_key = Sealed("of-no-key")
    assert access_of(repository).token == SecretStr("t")


@pytest.mark.parametrize(
    ("host", "user"),
    [("github", "x-access-token"), ("gitlab", "oauth2"), ("gitea", "x-access-token"), ("plain", "git")],
)
def test_a_token_goes_with_the_user_name_that_its_host_expects(host: str, user: str) -> None:
    assert access_of(make_repository(url=HTTPS, host=host)).username == user


def test_a_user_name_that_somebody_entered_goes_first() -> None:
    assert (
        access_of(make_repository(url=HTTPS, host="gitlab", token_user="deploy-token-7")).username == "deploy-token-7"
    )


def test_the_settings_bound_what_a_command_may_take(settings: Any) -> None:
    settings.GIT_TIMEOUT, settings.GIT_MAX_MB = 30, 2
    assert (limits().seconds, limits().bytes) == (30.0, 2 * 1024 * 1024)


def test_each_repository_has_a_cache_of_its_own(settings: Any, tmp_path: Path) -> None:
    settings.GIT_CACHE_DIR = str(tmp_path)
    first, second = make_repository(), make_repository()
    assert cache_of(first) == tmp_path / str(first.pk)
    assert cache_of(first) != cache_of(second)


def test_an_opened_repository_answers(git_server: GitServer, git_settings: Any) -> None:
    repo = git_server.make("acme/apps")
    repo.commit({"README.md": ""})
    with opened(make_repository(url=repo.url, token=git_server.token.get_secret_value())) as git:
        assert git.remote().default == "main"


def test_a_repository_that_is_in_use_is_busy(git_server: GitServer, git_settings: Any) -> None:
    repository = make_repository(url=git_server.make("acme/apps").url)
    with opened(repository), pytest.raises(GitError) as caught, opened(repository, wait=0.0):
        pass
    assert caught.value.fault == Fault.BUSY


@pytest.mark.parametrize(("host", "token"), [("plain", "t"), ("github", "")])
def test_without_a_host_or_a_token_there_are_no_pull_requests(host: str, token: str) -> None:
    with pytest.raises(Refused):
        host_of(make_repository(url=HTTPS, host=host, token=token))
