"""Revoking, looking up and naming a token, each with the answer that the provider documents."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.grant import Grant, read_grant
from connectors.core.oauth.inspect import Account, Introspection, introspect, revoke, who
from connectors.core.oauth.profile import Profile, Registration, profile_of
from tests.servers.scripted import Asked, Provider

ProfileFor = Callable[[str], Profile]
ACCESS, REFRESH = SecretStr(secrets.token_urlsafe(24)), SecretStr(secrets.token_urlsafe(24))
A, R = ACCESS.get_secret_value(), REFRESH.get_secret_value()


def lookup(profile: Profile, client: Registration) -> Introspection:
    return introspect(profile, client, ACCESS, REFRESH)


def revoked(profile: Profile, client: Registration, provider: Provider) -> Asked:
    """The request of a revocation that worked."""
    revoke(profile, client, ACCESS, REFRESH)
    (asked,) = provider.asked
    return asked


def grant_of(profile: Profile, answer: dict[str, Any]) -> Grant:
    grant = read_grant({"access_token": A, **answer}, profile.facts, now=0.0)
    assert grant is not None
    return grant


def test_the_refresh_token_is_revoked_with_the_clients_credentials(
    provider: Provider, client: Registration, profile_for: ProfileFor
) -> None:
    provider.answers(b"", 200)
    form = revoked(profile_for("gitlab"), client, provider).form
    assert (form["token"], form["token_type_hint"], form["client_id"]) == (R, "refresh_token", "client-1")


def test_without_a_refresh_token_the_access_token_is_revoked(
    provider: Provider, client: Registration, profile_for: ProfileFor
) -> None:
    provider.answers(b"", 200)
    revoke(profile_for("gitlab"), client, ACCESS, None)
    assert provider.asked[0].form["token"] == A
    assert provider.asked[0].form["token_type_hint"] == "access_token"


def test_google_revokes_without_the_client(provider: Provider, client: Registration, profile_for: ProfileFor) -> None:
    provider.answers({})
    asked = revoked(profile_for("gmail"), client, provider)
    assert (asked.form, asked.query) == ({"token": R}, {})


def test_a_token_that_had_ended_counts_as_revoked(
    provider: Provider, client: Registration, profile_for: ProfileFor
) -> None:
    provider.answers({"error": "invalid_token", "error_description": "Token expired or revoked"}, 400)
    revoke(profile_for("gmail"), client, ACCESS, REFRESH)


def test_a_refused_revocation_is_an_error(provider: Provider, client: Registration, profile_for: ProfileFor) -> None:
    provider.answers({"error": "invalid_client"}, 401)
    with pytest.raises(OAuthError) as caught:
        revoke(profile_for("gitlab"), client, ACCESS, REFRESH)
    assert caught.value.kind is Kind.CLIENT


def test_github_deletes_the_access_token(provider: Provider, client: Registration, profile_for: ProfileFor) -> None:
    provider.answers(b"", 204)
    asked = revoked(profile_for("github"), client, provider)
    assert (asked.method, asked.json) == ("DELETE", {"access_token": A})
    assert asked.basic == f"client-1:{client.client_secret.get_secret_value()}"


def test_github_knows_nothing_of_a_token_that_has_ended(
    provider: Provider, client: Registration, profile_for: ProfileFor
) -> None:
    provider.answers({"message": "Not Found"}, 404)
    revoke(profile_for("github"), client, ACCESS, None)
    assert lookup(profile_for("github"), client) == Introspection(active=False)


def test_square_wants_the_secret_in_a_header_of_its_own(
    provider: Provider, client: Registration, profile_for: ProfileFor
) -> None:
    provider.answers({"success": True})
    asked = revoked(profile_for("square"), client, provider)
    assert asked.headers["authorization"] == f"Client {client.client_secret.get_secret_value()}"
    assert asked.json == {"access_token": A, "client_id": "client-1"}


def test_supabase_takes_the_refresh_token_in_json(
    provider: Provider, client: Registration, profile_for: ProfileFor
) -> None:
    provider.answers(b"", 204)
    asked = revoked(profile_for("supabase"), client, provider)
    assert asked.json["refresh_token"] == R
    assert asked.json.keys() == {"refresh_token", "client_id", "client_secret"}


def test_supabase_has_nothing_to_revoke_without_a_refresh_token(
    provider: Provider, client: Registration, profile_for: ProfileFor
) -> None:
    with pytest.raises(OAuthError) as caught:
        revoke(profile_for("supabase"), client, ACCESS, None)
    assert (caught.value.code, provider.asked) == ("no_token", [])


@pytest.mark.parametrize(("type_", "answer"), [("dropbox", None), ("slack", {"ok": True, "revoked": True})])
def test_a_token_revokes_itself(
    provider: Provider, client: Registration, profile_for: ProfileFor, type_: str, answer: object
) -> None:
    provider.answers(answer)
    asked = revoked(profile_for(type_), client, provider)
    assert (asked.headers["authorization"], asked.body) == (f"Bearer {A}", b"")


@pytest.mark.parametrize("type_", ["notion", "quickbooks"])
def test_a_revocation_in_json_with_basic(
    provider: Provider, client: Registration, profile_for: ProfileFor, type_: str
) -> None:
    provider.answers({"request_id": "1"})
    asked = revoked(profile_for(type_), client, provider)
    assert asked.json == {"token": A if type_ == "notion" else R}
    assert asked.basic.startswith("client-1:")


def test_tiktok_revokes_with_its_client_key(provider: Provider, client: Registration, profile_for: ProfileFor) -> None:
    provider.answers(b"{}")
    form = revoked(profile_for("tiktok"), client, provider).form
    assert form == {"client_key": "client-1", "client_secret": client.client_secret.get_secret_value(), "token": A}


def test_hubspot_revokes_the_refresh_token_alone(
    provider: Provider, client: Registration, profile_for: ProfileFor
) -> None:
    provider.answers(b"", 204)
    assert revoked(profile_for("hubspot"), client, provider).form["token"] == R


def test_slack_says_no_to_a_revocation_with_http_200(
    provider: Provider, client: Registration, profile_for: ProfileFor
) -> None:
    provider.answers({"ok": False, "error": "token_expired"})
    with pytest.raises(OAuthError) as caught:
        revoke(profile_for("slack"), client, ACCESS, REFRESH)
    assert caught.value.code == "token_expired"


def test_a_provider_without_the_call_is_not_asked(client: Registration) -> None:
    bare = profile_of("airtable", Registration("client-1", client.client_secret))
    with pytest.raises(OAuthError) as caught:
        revoke(bare, client, ACCESS, REFRESH)
    assert (caught.value.kind, caught.value.code) == (Kind.REFUSED, "unsupported")


def test_a_standard_lookup(provider: Provider, client: Registration, profile_for: ProfileFor) -> None:
    provider.answers({"active": True, "scope": "api read_user", "exp": int(time.time()) + 500, "username": "ann"})
    found = lookup(profile_for("salesforce"), client)
    assert (found.active, found.scopes, found.account) == (True, ("api", "read_user"), "ann")
    assert found.expires_in is not None
    assert 400 < found.expires_in <= 500
    assert provider.asked[0].form["token"] == A


def test_a_lookup_of_a_token_that_has_ended(provider: Provider, client: Registration, profile_for: ProfileFor) -> None:
    provider.answers({"active": False})
    assert lookup(profile_for("gitlab"), client) == Introspection(active=False)


def test_google_looks_a_token_up_in_a_form(provider: Provider, client: Registration, profile_for: ProfileFor) -> None:
    provider.answers({"aud": "client-1", "scope": "openid x", "expires_in": "3000", "email": "ann@example.com"})
    found = lookup(profile_for("gmail"), client)
    assert found == Introspection(active=True, scopes=("openid", "x"), expires_in=3000.0, account="ann@example.com")
    assert (provider.asked[0].form, provider.asked[0].query) == ({"access_token": A}, {})


@pytest.mark.parametrize(
    ("type_", "answer", "status"),
    [
        ("gmail", {"error": "invalid_token", "error_description": "Invalid Value"}, 400),
        ("slack", {"ok": False, "error": "token_revoked"}, 200),
        ("slackbot", {"ok": False, "error": "token_expired"}, 200),
        ("square", {"errors": [{"category": "AUTHENTICATION_ERROR", "code": "UNAUTHORIZED"}]}, 401),
        ("airtable", {"error": "UNAUTHORIZED"}, 401),
        ("discord", {"message": "401: Unauthorized", "code": 0}, 401),
    ],
)
def test_a_refused_token_is_not_active(
    provider: Provider, client: Registration, profile_for: ProfileFor, type_: str, answer: object, status: int
) -> None:
    provider.answers(answer, status)
    assert lookup(profile_for(type_), client) == Introspection(active=False)


def test_slack_lists_the_scopes_in_a_header(provider: Provider, client: Registration, profile_for: ProfileFor) -> None:
    provider.answers({"ok": True, "user": "ann", "team": "Acme", "user_id": "U1"}, X_OAuth_Scopes="identify,chat:write")
    found = lookup(profile_for("slack"), client)
    assert found == Introspection(active=True, scopes=("identify", "chat:write"), account="ann")


@pytest.mark.parametrize(
    ("type_", "answer", "scopes", "account"),
    [
        ("airtable", {"id": "usr1", "scopes": ["a:read", "b:write"], "email": "ann@x.example"}, 2, "ann@x.example"),
        ("discord", {"scopes": ["guilds", "identify"], "user": {"username": "ann"}}, 2, "ann"),
        ("github", {"scopes": ["repo"], "user": {"login": "ann"}}, 1, "ann"),
        ("square", {"scopes": ["PAYMENTS_READ"], "merchant_id": "M1"}, 1, "M1"),
        ("hubspot", {"active": True, "scopes": ["oauth"], "hub_id": 62, "expires_in": 9}, 1, "62"),
        ("linkedin", {"active": True, "status": "active", "scope": "r_ads,w_ads"}, 2, ""),
        ("notion", {"active": True, "iat": 1}, 0, ""),
        ("wix", {"active": True, "instanceId": "i", "siteId": "s"}, 0, "s"),
    ],
)
def test_every_lookup_finds_scopes_and_account(
    provider: Provider,
    client: Registration,
    profile_for: ProfileFor,
    type_: str,
    answer: object,
    scopes: int,
    account: str,
) -> None:
    provider.answers(answer)
    found = lookup(profile_for(type_), client)
    assert (found.active, len(found.scopes or ()), found.account) == (True, scopes, account)


@pytest.mark.parametrize("type_", ["discord", "square", "github"])
def test_a_lookup_gives_the_end_of_the_token(
    provider: Provider, client: Registration, profile_for: ProfileFor, type_: str
) -> None:
    ends = datetime.fromtimestamp(time.time() + 5000, UTC).isoformat()
    provider.answers({"scopes": [], "expires": ends, "expires_at": ends})
    found = lookup(profile_for(type_), client).expires_in
    assert found is not None
    assert 4900 < found <= 5000


@pytest.mark.parametrize(
    ("type_", "answer", "id_", "label"),
    [
        ("gmail", {"sub": "1", "email": "ann@x.example", "name": "Ann"}, "1", "ann@x.example"),
        ("outlook", {"id": "1", "mail": None, "userPrincipalName": "ann@x.example"}, "1", "ann@x.example"),
        ("box", {"type": "user", "id": "1", "name": "Ann", "login": "ann@x.example"}, "1", "ann@x.example"),
        ("calendly", {"resource": {"uri": "u/1", "email": "ann@x.example"}}, "u/1", "ann@x.example"),
        ("clickup", {"user": {"id": 1, "username": "Ann", "email": "ann@x.example"}}, "1", "ann@x.example"),
        ("contentful", {"sys": {"id": "1"}, "email": "ann@x.example"}, "1", "ann@x.example"),
        ("databricks", {"id": "1", "userName": "ann@x.example"}, "1", "ann@x.example"),
        ("dropbox", {"account_id": "1", "email": "ann@x.example"}, "1", "ann@x.example"),
        ("github", {"id": 1, "login": "ann", "email": None}, "1", "ann"),
        ("instagram", {"user_id": "1", "username": "ann"}, "1", "ann"),
        ("linear", {"data": {"viewer": {"id": "1", "email": "ann@x.example"}}}, "1", "ann@x.example"),
        ("notion", {"id": "b", "bot": {"owner": {"user": {"id": "1", "name": "Ann"}}}}, "1", "Ann"),
        ("slack", {"ok": True, "user_id": "U1", "user": "ann", "team": "Acme"}, "U1", "ann"),
        ("splitwise", {"user": {"id": 1, "email": "ann@x.example"}}, "1", "ann@x.example"),
        ("square", {"merchant": {"id": "1", "business_name": "Acme"}}, "1", "Acme"),
        ("supabase", [{"id": "1", "name": "Acme"}], "1", "Acme"),
        ("tiktok", {"data": {"user": {"open_id": "1"}}, "error": {"code": "ok", "message": ""}}, "1", "1"),
        ("typeform", {"user_id": "1", "alias": "ann", "email": "ann@x.example"}, "1", "ann@x.example"),
    ],
)
def test_who_finds_id_and_name(
    provider: Provider, profile_for: ProfileFor, type_: str, answer: object, id_: str, label: str
) -> None:
    provider.answers(answer)
    assert who(profile_for(type_), ACCESS) == Account(id_, label)
    assert provider.asked[0].headers["authorization"] == f"Bearer {A}"


def test_linear_is_asked_by_a_query(provider: Provider, profile_for: ProfileFor) -> None:
    provider.answers({"data": {"viewer": {"id": "1", "name": "Ann"}}})
    who(profile_for("linear"), ACCESS)
    assert provider.asked[0].method == "POST"
    assert "viewer" in provider.asked[0].json["query"]


@pytest.mark.parametrize(
    ("type_", "answer", "account"),
    [
        ("hubspot", {"hub_id": 62, "user": "ann@x.example"}, Account("62", "ann@x.example")),
        ("snowflake", {"username": "ANN"}, Account("ANN", "ANN")),
        ("slackbot", {"bot_user_id": "U2", "team": {"name": "Acme", "id": "T1"}}, Account("U2", "Acme")),
        (
            "notion",
            {"owner": {"user": {"id": "1", "person": {"email": "ann@x.example"}}}},
            Account("1", "ann@x.example"),
        ),
    ],
)
def test_a_grant_that_names_the_account_spares_the_call(
    provider: Provider, profile_for: ProfileFor, type_: str, answer: dict[str, Any], account: Account
) -> None:
    profile = profile_for(type_)
    assert who(profile, ACCESS, grant=grant_of(profile, answer)) == account
    assert provider.asked == []


def test_the_id_of_the_grant_stands_when_the_provider_does_not_tell_more(
    provider: Provider, profile_for: ProfileFor
) -> None:
    provider.answers({"errors": [{"code": "INSUFFICIENT_SCOPES"}]}, 403)
    profile = profile_for("square")
    assert who(profile, ACCESS, grant=grant_of(profile, {"merchant_id": "M1"})) == Account("M1", "M1")


def test_asking_with_too_few_scopes_is_refused_and_not_held_against_the_client(
    provider: Provider, profile_for: ProfileFor
) -> None:
    for status in (401, 403):
        provider.answers({"message": "no"}, status)
    kinds = []
    for _ in range(2):
        with pytest.raises(OAuthError) as caught:
            who(profile_for("gmail"), ACCESS)
        kinds.append(caught.value.kind)
    assert kinds == [Kind.CONSENT, Kind.REFUSED]


def test_quickbooks_is_known_by_its_company(provider: Provider, profile_for: ProfileFor) -> None:
    provider.answers({"sub": "1", "email": "ann@x.example"})
    assert who(profile_for("quickbooks"), ACCESS, details={"realmId": "99"}) == Account("99", "ann@x.example")


def test_wrike_is_asked_at_the_host_of_its_account(provider: Provider, client: Registration) -> None:
    port = provider.url.rpartition(":")[2]
    profile = profile_of("wrike", Registration("c", client.client_secret, {"userinfo_url": f"http://localhost:{port}"}))
    assert profile_of("wrike", Registration("c", client.client_secret)).userinfo_url == (
        "https://{host}/api/v4/contacts?me=true"
    )
    provider.answers({"data": [{"id": "K1", "profiles": [{"email": "ann@x.example"}]}]})
    assert who(profile, ACCESS) == Account("K1", "ann@x.example")


@pytest.mark.parametrize("host", ["", "evil.example/path", "a@b.example", "evil.example?x", "a b"])
def test_a_host_that_is_none_is_not_asked(client: Registration, host: str) -> None:
    profile = profile_of("wrike", Registration("c", client.client_secret))
    with pytest.raises(OAuthError) as caught:
        who(profile, ACCESS, details={"host": host})
    assert caught.value.code == "no_host"


@pytest.mark.parametrize("type_", ["bamboohr", "snowflake"])
def test_nobody_is_named_where_nothing_tells(client: Registration, type_: str) -> None:
    bare = profile_of(type_, Registration("c", client.client_secret, {"subdomain": "acme"}))
    assert who(bare, ACCESS) is None


def test_a_token_that_fits_no_header_is_not_sent(provider: Provider, profile_for: ProfileFor) -> None:
    token = SecretStr(f"{A}\r\nX-Evil: 1")
    with pytest.raises(OAuthError) as caught:
        who(profile_for("gmail"), token)
    assert (caught.value.code, provider.asked) == ("unusable_token", [])
    assert A not in str(caught.value)
