"""The catalogue's addresses with a client's settings filled in."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from connectors.core.catalog import load_catalog
from connectors.core.errors import Refused
from connectors.core.oauth.profile import Profile, Registration, profile_of


def profile(type_: str, **settings: str) -> Profile:
    return profile_of(type_, Registration("client/1", SecretStr(""), settings))


def test_every_type_with_oauth_has_a_profile() -> None:
    settings = {"subdomain": "acme", "workspace_host": "dbc.cloud.databricks.com"}
    for type_, info in load_catalog().types.items():
        if info.oauth.token_url:
            found = profile(type_, **settings)
            assert "{" not in found.token_url
            assert not found.overridden


def test_a_setting_of_the_client_comes_before_one_of_the_connector() -> None:
    client = Registration("c", SecretStr(""), {"subdomain": "ours"})
    found = profile_of("snowflake", client, connection_config={"subdomain": "theirs"})
    assert found.token_url == "https://ours.snowflakecomputing.com/oauth/token-request"


def test_a_setting_of_the_connector_fills_in_where_the_client_has_none() -> None:
    found = profile_of("bamboohr", Registration("c", SecretStr("")), connection_config={"subdomain": "theirs"})
    assert found.token_url == "https://theirs.bamboohr.com/token.php?request=token"


@pytest.mark.parametrize(
    ("type_", "start"),
    [("outlook", "https://login.microsoftonline.com/common/"), ("salesforce", "https://login.sales")],
)
def test_settings_that_most_leave_out_have_a_default(type_: str, start: str) -> None:
    assert profile(type_).token_url.startswith(start)


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(Refused, match="Databricks needs the setting “workspace_host”"):
        profile("databricks")


@pytest.mark.parametrize("value", ["evil.example/x?", "a b", "https://a.example", "a@b", "..", "a..b", "-a"])
def test_a_setting_that_would_change_the_address_is_refused(value: str) -> None:
    client = Registration("c", SecretStr(""), {"login_host": value})
    with pytest.raises(Refused, match="login_host"):
        profile_of("salesforce", client)


def test_the_client_id_is_quoted_in_an_address() -> None:
    assert profile("github").revoke_url == "https://api.github.com/applications/client%2F1/token"


def test_an_address_of_the_clients_own_takes_the_place_of_the_catalogues() -> None:
    found = profile("gitlab", token_url="https://git.acme.example/oauth/token")
    assert (found.token_url, found.overridden) == ("https://git.acme.example/oauth/token", True)
    assert found.authorize_url == "https://gitlab.com/oauth/authorize"


@pytest.mark.parametrize("url", ["http://127.0.0.1:4000/token", "http://localhost/token", "http://[::1]:4000/token"])
def test_plain_http_is_for_this_machine(url: str) -> None:
    assert profile("gitlab", token_url=url).token_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/",
        "ftp://a.example",
        "https://",
        "https://u:p@a.example/",
        "https://a.example/#x",
        "x",
        "https://[",
    ],
)
def test_an_address_that_cannot_be_trusted_is_refused_by_the_settings_name(url: str) -> None:
    with pytest.raises(Refused, match="“revoke_url”"):
        profile("gitlab", revoke_url=url)


def test_another_issuer_is_spoken_to_by_the_book() -> None:
    facts = profile("slack", issuer="https://login.acme.example").facts
    assert (facts.wire.token_path, facts.revocation.auth, facts.granted_scopes_path) == (None, "client", "scope")


@pytest.mark.parametrize("type_", ["stripe", "no-such-type"])
def test_a_type_without_oauth_is_refused(type_: str) -> None:
    with pytest.raises(Refused):
        profile(type_)


def test_a_whole_host_is_never_the_connectors_to_say() -> None:
    client = Registration("c", SecretStr(""))
    with pytest.raises(Refused, match="workspace_host"):
        profile_of("databricks", client, connection_config={"workspace_host": "evil.example"})
    found = profile_of("salesforce", client, connection_config={"login_host": "evil.example"})
    assert found.token_url.startswith("https://login.salesforce.com/")


def test_what_a_connector_says_stays_below_the_providers_domain() -> None:
    for type_, info in load_catalog().types.items():
        config = {field.name: "evil.example" for field in info.connection_config_fields}
        try:
            found = profile_of(type_, Registration("c", SecretStr("")), connection_config=config)
        except Refused:
            continue
        for url in (found.authorize_url, found.token_url, found.revoke_url, found.introspect_url, found.userinfo_url):
            assert not (urlsplit(url or "").hostname or "").endswith("evil.example"), type_


def test_tokens_of_a_clients_own_server_go_to_no_address_of_the_catalogue() -> None:
    own = {"authorize_url": "https://git.acme.example/a", "token_url": "https://git.acme.example/t"}
    found = profile("gitlab", **own)
    assert (found.revoke_url, found.introspect_url, found.userinfo_url, found.issuer) == (None, None, None, None)
