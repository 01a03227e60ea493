"""Where a repository's API is: found from the address by which it is cloned."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from connectors.core.hosts import HostError, HostFault, host_for
from connectors.core.net import Allowed, Answer


def asked(kind: str, url: str, api_url: str = "") -> str:
    """The address that a call goes to."""
    seen: list[str] = []

    def transport(method: str, target: str, body: bytes | None, headers: object, **_: object) -> Answer:
        seen.append(target)
        return Answer(404, {}, b"{}")

    with pytest.raises(HostError):
        host_for(kind, url, api_url, SecretStr("t"), Allowed(), transport=transport).get(7)
    return seen[0]


@pytest.mark.parametrize(
    ("kind", "url", "expected"),
    [
        ("github", "https://github.com/acme/shop.git", "https://api.github.com/repos/acme/shop/pulls/7"),
        ("github", "git@github.com:acme/shop.git", "https://api.github.com/repos/acme/shop/pulls/7"),
        ("github", "ssh://git@ssh.github.com:443/acme/shop.git", "https://api.github.com/repos/acme/shop/pulls/7"),
        ("github", "https://acme.ghe.com/team/shop", "https://api.acme.ghe.com/repos/team/shop/pulls/7"),
        ("github", "https://git.corp:8443/acme/shop", "https://git.corp:8443/api/v3/repos/acme/shop/pulls/7"),
        ("github", "ssh://git@git.corp:2222/acme/shop", "https://git.corp/api/v3/repos/acme/shop/pulls/7"),
        (
            "gitlab",
            "https://gitlab.com/g/s/shop.git",
            "https://gitlab.com/api/v4/projects/g%2Fs%2Fshop/merge_requests/7",
        ),
        (
            "gitlab",
            "ssh://git@altssh.gitlab.com:443/g/shop",
            "https://gitlab.com/api/v4/projects/g%2Fshop/merge_requests/7",
        ),
        ("gitea", "https://codeberg.org/acme/shop.git", "https://codeberg.org/api/v1/repos/acme/shop/pulls/7"),
        ("gitea", "https://[2001:db8::1]/acme/shop", "https://[2001:db8::1]/api/v1/repos/acme/shop/pulls/7"),
        ("gitea", "https://git.corp/acme/a%20b", "https://git.corp/api/v1/repos/acme/a%20b/pulls/7"),
    ],
)
def test_the_api_is_found_from_the_address(kind: str, url: str, expected: str) -> None:
    assert asked(kind, url) == expected


def test_an_api_elsewhere_is_used_as_it_is_given() -> None:
    found = asked("gitlab", "https://git.corp/g/shop.git", "https://api.git.corp/api/v4/")
    assert found == "https://api.git.corp/api/v4/projects/g%2Fshop/merge_requests/7"


def test_a_host_below_a_path_of_its_server_has_that_path_in_clone_addresses_alone() -> None:
    found = asked("gitea", "https://corp.example.com/git/acme/shop.git", "https://corp.example.com/git/api/v1")
    assert found == "https://corp.example.com/git/api/v1/repos/acme/shop/pulls/7"


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("github", "https://github.com/shop.git"),
        ("github", "file:///srv/git/shop.git"),
        ("github", "not an address"),
        ("plain", "https://git.corp/acme/shop.git"),
    ],
)
def test_what_has_no_api_is_said_so(kind: str, url: str) -> None:
    with pytest.raises(HostError) as caught:
        host_for(kind, url, "", SecretStr("t"), Allowed())
    assert (caught.value.fault, caught.value.permanent) == (HostFault.ADDRESS, True)


def test_a_token_is_in_no_repr() -> None:
    host = host_for("gitea", "https://git.corp/acme/shop.git", "", SecretStr("hidden-token"), Allowed())
    assert "hidden-token" not in repr(host)
