"""Addresses of repositories: what people paste, and what git must never be given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.core.git import Address, Fault, GitError, guess_host, parse_url


@pytest.mark.parametrize(
    ("url", "scheme", "user", "host", "port", "named"),
    [
        ("https://github.com/acme/shop.git", "https", "", "github.com", 443, ("acme", "shop")),
        ("https://GitLab.corp:8443/group/sub/shop", "https", "", "gitlab.corp", 8443, ("group/sub", "shop")),
        ("http://git.corp/acme/shop/", "http", "", "git.corp", 80, ("acme", "shop")),
        ("ssh://git@git.corp:2222/acme/shop.git", "ssh", "git", "git.corp", 2222, ("acme", "shop")),
        ("ssh://[2001:db8::1]/acme/shop", "ssh", "git", "2001:db8::1", 22, ("acme", "shop")),
        (" git@github.com:acme/shop.git\n", "ssh", "git", "github.com", 22, ("acme", "shop")),
        ("git@git.corp:/srv/git/shop.git", "ssh", "git", "git.corp", 22, ("srv/git", "shop")),
        ("https://azure.com/acme/My%20Shop/_git/shop", "https", "", "azure.com", 443, ("acme/My Shop/_git", "shop")),
    ],
)
def test_usual_addresses_are_taken_apart(
    url: str, scheme: str, user: str, host: str, port: int, named: tuple[str, str]
) -> None:
    address = parse_url(url)
    assert (address.scheme, address.user, address.host, address.port) == (scheme, user, host, port)
    assert address.owner_and_name == named


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/srv/git/shop.git",
        "shop.git",
        "--upload-pack=touch /tmp/x",
        "--upload-pack=id",
        "ext::sh%20-c%20id",
        "ext::sh",
        "git@ext::sh",
        "git://github.com/acme/shop.git",
        "ftp://github.com/acme/shop.git",
        "https://github.com",
        "https://github.com/",
        "https://github.com/acme/../shop",
        "https://github.com/acme/%2e%2e/shop",
        "https://github.com/acme/shop?x=1",
        "https://github.com/acme/shop#x",
        "https://github.com:0/acme/shop",
        "https://github.com:999999/acme/shop",
        "https://-oProxyCommand=id/acme/shop",
        "ssh://-oProxyCommand=id/acme/shop",
        "ssh://git@-oProxyCommand=id/acme/shop",
        "ssh://%2doProxyCommand=id/acme/shop",
        "ssh://-l@github.com/acme/shop",
        "git@-oProxyCommand=id:acme/shop",
        "-l@github.com:acme/shop",
        "git@github.com:-x",
        "git@github.com:../shop",
        "ssh://git@github.com/acme/sh%0aop",
        "https://github.com/acme/sh\nop",
        "https://github.com\\@evil.example/acme/shop",
        "https://exämple.com/acme/shop",
        "https://github.com./acme/shop",
        "ssh://git@github.com./acme/shop",
        "https://github.com/" + "a" * 500,
    ],
)
def test_other_texts_are_refused(url: str) -> None:
    with pytest.raises(GitError) as refusal:
        parse_url(url)
    assert refusal.value.fault is Fault.ADDRESS
    assert refusal.value.permanent


@pytest.mark.parametrize("before", ["mira:{}", "{}", "x-access-token:{}"])
def test_a_token_in_an_address_is_refused_and_not_repeated(before: str) -> None:
    with pytest.raises(GitError, match="fields of their own") as refusal:
        parse_url(f"https://{before.format('abcdef')}@github.com/acme/shop.git")
    assert "abcdef" not in str(refusal.value)


def test_a_password_for_ssh_is_refused() -> None:
    with pytest.raises(GitError, match="Leave out"):
        parse_url("ssh://git:abcdef@github.com/acme/shop.git")


def test_file_addresses_need_the_callers_word() -> None:
    with pytest.raises(GitError, match="GIT_ALLOW_FILE_URLS"):
        parse_url("file:///srv/git/shop.git")
    assert parse_url("file:///srv/git/shop.git", file_urls=True).path == "/srv/git/shop.git"


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("git@github.com:acme/shop.git", "https://github.com/acme/shop"),
        ("ssh://git@ssh.github.com:443/acme/shop.git", "https://github.com/acme/shop"),
        ("ssh://git@git.corp:2222/acme/shop.git", "https://git.corp/acme/shop"),
        ("https://git.corp:8443/acme/shop.git", "https://git.corp:8443/acme/shop"),
        ("http://[fd00::1]:8080/acme/shop", "http://[fd00::1]:8080/acme/shop"),
        ("file:///srv/git/shop.git", ""),
    ],
)
def test_the_web_address_is_where_people_look(url: str, page: str) -> None:
    assert parse_url(url, file_urls=True).web_url == page


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("git@github.com:acme/shop.git", "github"),
        ("ssh://git@ssh.github.com:443/acme/shop.git", "github"),
        ("https://gitlab.com/acme/shop.git", "gitlab"),
        ("https://gitlab.corp.example/acme/shop.git", "gitlab"),
        ("https://codeberg.org/acme/shop.git", "gitea"),
        ("https://forgejo.corp/acme/shop.git", "gitea"),
        ("https://github.com.evil.example/acme/shop.git", "plain"),
        ("https://git.corp/github.com/shop.git", "plain"),
        ("nonsense", "plain"),
    ],
)
def test_the_host_is_guessed_by_its_name_alone(url: str, host: str) -> None:
    assert guess_host(url) == host


def parsed(text: str) -> Address | None:
    try:
        return parse_url(text, file_urls=True)
    except GitError:
        return None


@given(st.text(alphabet=st.sampled_from("abc-:/@.%[]?#\\\n ~=0123"), max_size=40) | st.text(max_size=40))
def test_whatever_comes_through_holds_nothing_git_takes_for_an_option(text: str) -> None:
    found = [parsed(url) for url in (text, f"https://{text}", f"ssh://{text}", f"git@{text}")]
    for address in filter(None, found):
        assert not any(part.startswith("-") for part in (address.url, address.host, address.user, address.path))
        assert "::" not in address.url.partition("/")[0].partition("[")[0]
        assert address.url.isprintable()
        assert parsed(address.url) == address
