"""Token endpoints that depart from RFC 6749, each with the answer that its provider documents."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from connectors.core.catalog import load_catalog
from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.profile import Registration
from connectors.core.oauth.token_endpoint import TokenEndpoint
from tests.core.oauth.conftest import NOW, local_profile
from tests.servers.scripted import Provider

REDIRECT = "https://portal.example/connectors/oauth/c/callback/"
Endpoint = Callable[[str], TokenEndpoint]


def secret() -> SecretStr:
    return SecretStr(secrets.token_urlsafe(24))


def refusal(endpoint: TokenEndpoint) -> OAuthError:
    """The error of an exchange."""
    with pytest.raises(OAuthError) as caught:
        endpoint.exchange(secret(), REDIRECT)
    return caught.value


# https://docs.slack.dev/authentication/installing-with-oauth and .../using-token-rotation
SLACK = {
    "ok": True,
    "access_token": "bot",
    "token_type": "bot",
    "scope": "commands,chat:write",
    "bot_user_id": "U0KRQLJ9H",
    "app_id": "A0KRD7HC3",
    "expires_in": 43200,
    "refresh_token": "bot-refresh",
    "team": {"name": "Acme", "id": "T9TK3CUKW"},
    "authed_user": {
        "id": "U1234",
        "scope": "chat:write,identify",
        "access_token": "user",
        "token_type": "user",
        "refresh_token": "user-refresh",
        "expires_in": 43100,
    },
}


def test_slack_gives_a_users_token_further_down(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(SLACK)
    grant = endpoint("slack").exchange(secret(), REDIRECT)
    assert grant.access_token.get_secret_value() == "user"
    assert grant.refresh_token == SecretStr("user-refresh")
    assert (grant.token_type, grant.expires_in, grant.scopes) == ("user", 43100.0, ("chat:write", "identify"))
    assert grant.details == {"team.id": "T9TK3CUKW", "team.name": "Acme", "authed_user.id": "U1234"}


def test_slack_refreshes_a_users_token_at_top_level(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(
        {"ok": True, "access_token": "user2", "refresh_token": "r2", "token_type": "user", "scope": "chat:write"}
    )
    grant = endpoint("slack").refresh(secret(), secret())
    assert (grant.access_token.get_secret_value(), grant.scopes) == ("user2", ("chat:write",))


def test_slack_gives_a_bots_token_at_top_level(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(SLACK)
    grant = endpoint("slackbot").exchange(secret(), REDIRECT)
    assert grant.access_token.get_secret_value() == "bot"
    assert grant.scopes == ("commands", "chat:write")
    assert grant.details["team.id"] == "T9TK3CUKW"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_refresh_token", Kind.CONSENT),
        ("token_revoked", Kind.CONSENT),
        ("token_expired", Kind.CONSENT),
        ("invalid_auth", Kind.CONSENT),
        ("account_inactive", Kind.CONSENT),
        ("bad_client_secret", Kind.CLIENT),
        ("invalid_client_id", Kind.CLIENT),
        ("internal_error", Kind.TRANSIENT),
        ("missing_scope", Kind.REFUSED),
    ],
)
@pytest.mark.parametrize("type_", ["slack", "slackbot"])
def test_slack_says_no_with_http_200(provider: Provider, endpoint: Endpoint, type_: str, code: str, kind: Kind) -> None:
    provider.answers({"ok": False, "error": code})
    error = refusal(endpoint(type_))
    assert (error.kind, error.code, error.status) == (kind, code, 200)


# https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("bad_verification_code", Kind.CONSENT),
        ("bad_refresh_token", Kind.CONSENT),
        ("incorrect_client_credentials", Kind.CLIENT),
        ("redirect_uri_mismatch", Kind.REFUSED),
    ],
)
def test_github_says_no_with_http_200(provider: Provider, endpoint: Endpoint, code: str, kind: Kind) -> None:
    provider.answers({"error": code, "error_description": "...", "error_uri": "https://docs.github.com"})
    error = refusal(endpoint("github"))
    assert (error.kind, error.code) == (kind, code)


def test_github_gives_scopes_with_commas(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a1", "scope": "repo,gist", "token_type": "bearer"})
    assert endpoint("github").exchange(secret(), REDIRECT).scopes == ("repo", "gist")


def test_a_github_apps_empty_scope_says_nothing(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a1", "scope": "", "token_type": "bearer", "expires_in": 28800})
    assert endpoint("github").exchange(secret(), REDIRECT).scopes is None


def test_github_answers_with_a_form_when_a_proxy_drops_accept(provider: Provider, endpoint: Endpoint) -> None:
    form = b"access_token=a1&expires_in=28800&refresh_token=r1&refresh_token_expires_in=15811200&scope=repo%2Cgist"
    provider.answers(form, Content_Type="application/x-www-form-urlencoded")
    grant = endpoint("github").exchange(secret(), REDIRECT)
    assert (grant.expires_in, grant.refresh_expires_in, grant.scopes) == (28800.0, 15811200.0, ("repo", "gist"))


def test_a_form_with_an_error_is_an_error(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(b"error=bad_verification_code&error_description=The+code+is+incorrect")
    assert refusal(endpoint("github")).code == "bad_verification_code"


# https://developers.tiktok.com/doc/oauth-user-access-token-management
def test_tiktok_calls_the_client_a_key(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(
        {
            "access_token": "a1",
            "expires_in": 86400,
            "open_id": "afd97af1",
            "refresh_expires_in": 31536000,
            "refresh_token": "r1",
            "scope": "user.info.basic,video.list",
            "token_type": "Bearer",
        }
    )
    grant = endpoint("tiktok").exchange(secret(), REDIRECT)
    assert provider.asked[0].form["client_key"] == "client-1"
    assert "client_id" not in provider.asked[0].form
    assert (grant.refresh_expires_in, grant.scopes) == (31536000.0, ("user.info.basic", "video.list"))
    assert grant.details == {"open_id": "afd97af1"}


def test_tiktok_says_no_with_http_200(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"error": "invalid_grant", "error_description": "expired", "log_id": "2022"})
    assert refusal(endpoint("tiktok")).kind is Kind.CONSENT


# Linear and LinkedIn have been seen with each of these.
@pytest.mark.parametrize("scope", ["read,write", "read write", ["read", "write"], "read, write"])
@pytest.mark.parametrize("type_", ["linear", "linkedin"])
def test_scopes_come_with_commas_with_spaces_or_as_a_list(
    provider: Provider, endpoint: Endpoint, type_: str, scope: object
) -> None:
    provider.answers({"access_token": "a1", "expires_in": 86399, "scope": scope})
    assert endpoint(type_).exchange(secret(), REDIRECT).scopes == ("read", "write")


# https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide
def test_hubspot_takes_a_form_and_lists_the_scopes(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(
        {"access_token": "a1", "refresh_token": "r1", "expires_in": 1800, "scopes": ["oauth", "content"], "hub_id": 62}
    )
    grant = endpoint("hubspot").exchange(secret(), REDIRECT)
    assert provider.asked[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert (grant.scopes, grant.details) == (("oauth", "content"), {"hub_id": "62"})


def test_hubspot_names_an_error_in_its_status(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"status": "BAD_REFRESH_TOKEN", "message": "missing or unknown refresh token"}, 400)
    assert refusal(endpoint("hubspot")).kind is Kind.CONSENT


# https://developers.notion.com/reference/create-a-token
def test_notion_takes_json_with_basic_and_a_version(
    provider: Provider, endpoint: Endpoint, client: Registration
) -> None:
    provider.answers({"access_token": "a1", "refresh_token": None, "bot_id": "b3", "workspace_id": "w1", "owner": {}})
    grant = endpoint("notion").exchange(secret(), REDIRECT)
    (asked,) = provider.asked
    assert asked.json.keys() == {"grant_type", "code", "redirect_uri"}
    assert asked.basic == f"client-1:{client.client_secret.get_secret_value()}"
    assert asked.headers["notion-version"] == "2025-09-03"
    assert (grant.refresh_token, grant.expires_in, grant.scopes) == (None, None, None)
    assert grant.details == {"bot_id": "b3", "workspace_id": "w1"}


# https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0
def test_quickbooks_names_the_company_in_the_redirect(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(
        {"access_token": "a1", "refresh_token": "r1", "expires_in": 3600, "x_refresh_token_expires_in": 8726400}
    )
    callback = {"realmId": "1231434565", "iss": "https://oauth.platform.intuit.com"}
    grant = endpoint("quickbooks").exchange(secret(), REDIRECT, callback=callback)
    assert (grant.refresh_expires_in, grant.details) == (8726400.0, {"realmId": "1231434565"})
    assert provider.asked[0].basic.startswith("client-1:")


# https://developer.squareup.com/reference/square/o-auth-api/obtain-token
def test_square_says_when_a_token_ends_and_not_how_long_it_lasts(provider: Provider, endpoint: Endpoint) -> None:
    ends = datetime.fromtimestamp(NOW + 2_592_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    provider.answers({"access_token": "a1", "expires_at": ends, "merchant_id": "M1", "refresh_token": "r1"})
    grant = endpoint("square").exchange(secret(), REDIRECT)
    assert (grant.expires_in, grant.scopes, grant.details) == (2_592_000.0, None, {"merchant_id": "M1"})
    assert provider.asked[0].json["client_id"] == "client-1"


# https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_web_server_flow.htm
def test_salesforce_names_the_instance_and_no_end(provider: Provider, endpoint: Endpoint) -> None:
    answer = {"access_token": "a1", "instance_url": "https://acme.my.salesforce.com", "issued_at": "1278448101416"}
    provider.answers({**answer, "signature": "c2ln", "scope": "id api refresh_token"})
    grant = endpoint("salesforce").exchange(secret(), REDIRECT)
    assert (grant.expires_in, grant.details) == (None, {"instance_url": "https://acme.my.salesforce.com"})
    assert grant.scopes == ("id", "api", "refresh_token")


# https://developers.wrike.com/docs/oauth-20-authorization
def test_wrike_names_the_host_of_the_account(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a1", "refresh_token": "r1", "expires_in": 3600, "host": "www.wrike.com"})
    assert endpoint("wrike").exchange(secret(), REDIRECT).details == {"host": "www.wrike.com"}


# https://docs.gitlab.com/api/oauth2/
def test_gitlab_wants_the_redirect_uri_on_a_refresh_too(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a2", "refresh_token": "r2", "expires_in": 7200, "created_at": 1607635748})
    endpoint("gitlab").refresh(secret(), secret(), redirect_uri=REDIRECT)
    assert provider.asked[0].form["redirect_uri"] == REDIRECT


@pytest.mark.parametrize("type_", ["airtable", "snowflake", "supabase", "hugging_face", "calendly"])
def test_a_client_with_basic_keeps_its_secret_out_of_the_body(
    provider: Provider, endpoint: Endpoint, client: Registration, type_: str
) -> None:
    provider.answers({"access_token": "a2"}, 201)
    endpoint(type_).refresh(secret(), secret())
    (asked,) = provider.asked
    assert asked.basic == f"client-1:{client.client_secret.get_secret_value()}"
    assert asked.form.keys() == {"grant_type", "refresh_token"}


# https://airtable.com/developers/web/api/oauth-reference
def test_airtable_says_how_long_the_refresh_token_lasts(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(
        {"access_token": "a1", "refresh_token": "r1", "expires_in": 3600, "refresh_expires_in": 5184000, "scope": "x:y"}
    )
    grant = endpoint("airtable").refresh(secret(), secret())
    assert (grant.refresh_expires_in, grant.scopes) == (5184000.0, ("x:y",))


# https://documentation.bamboohr.com/docs/getting-started
def test_bamboohr_takes_json(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a1", "refresh_token": "r1", "expires_in": 3600, "companyDomain": "acme"})
    assert endpoint("bamboohr").refresh(secret(), secret()).details == {"companyDomain": "acme"}
    assert provider.asked[0].json["grant_type"] == "refresh_token"


def test_snowflake_says_error_null_when_all_is_well(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a1", "expires_in": 600, "scope": "", "error": None, "username": "ANN"})
    grant = endpoint("snowflake").refresh(secret(), secret())
    assert (grant.expires_in, grant.scopes) == (600.0, None)


# https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow
def test_microsoft_leaves_out_offline_access_which_the_catalogue_knows(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a1", "refresh_token": "r1", "expires_in": 3736, "scope": "Mail.Read"})
    assert endpoint("outlook").exchange(secret(), REDIRECT).scopes == ("Mail.Read",)
    known = load_catalog().scope("outlook", "offline_access")
    assert known is not None
    assert known.never_reported


# https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login
def test_instagram_makes_a_short_lived_token_long_lived(
    provider: Provider, endpoint: Endpoint, client: Registration
) -> None:
    permissions = "instagram_business_basic,instagram_business_manage_messages"
    provider.answers({"data": [{"access_token": "short", "user_id": "1020", "permissions": permissions}]})
    provider.answers({"access_token": "long", "token_type": "bearer", "expires_in": 5183944})
    grant = endpoint("instagram").exchange(secret(), REDIRECT)
    assert provider.asked[1].query == {
        "grant_type": "ig_exchange_token",
        "client_secret": client.client_secret.get_secret_value(),
        "access_token": "short",
    }
    assert (grant.access_token.get_secret_value(), grant.expires_in) == ("long", 5183944.0)
    assert grant.scopes == tuple(permissions.split(","))


def test_instagram_lists_permissions_at_top_level_too(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "short", "user_id": 1020, "permissions": ["instagram_business_basic"]})
    provider.answers({"access_token": "long", "expires_in": 5183944})
    assert endpoint("instagram").exchange(secret(), REDIRECT).scopes == ("instagram_business_basic",)


def test_instagram_renews_the_access_token_itself(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "renewed", "token_type": "bearer", "expires_in": 5184000})
    instagram, token = endpoint("instagram"), secret()
    assert instagram.can_refresh(None)
    assert instagram.refresh(None, token).access_token.get_secret_value() == "renewed"
    (asked,) = provider.asked
    assert (asked.method, asked.path) == ("GET", "/renew")
    assert asked.query == {"grant_type": "ig_refresh_token", "access_token": token.get_secret_value()}


@pytest.mark.parametrize(("code", "kind"), [(190, Kind.CONSENT), (4, Kind.TRANSIENT), (10, Kind.REFUSED)])
def test_instagram_numbers_its_errors(provider: Provider, endpoint: Endpoint, code: int, kind: Kind) -> None:
    provider.answers({"error": {"message": "Error", "type": "OAuthException", "code": code, "fbtrace_id": "x"}}, 400)
    with pytest.raises(OAuthError) as caught:
        endpoint("instagram").refresh(None, secret())
    assert (caught.value.kind, caught.value.code) == (kind, str(code))


def test_a_token_in_an_address_is_not_logged(
    provider: Provider, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="urllib3")
    provider.answers({"error": {"code": 190}}, 400)
    token = secret()
    with pytest.raises(OAuthError):
        endpoint("instagram").refresh(None, token)
    assert "/renew?…" in caplog.text
    assert token.get_secret_value() not in caplog.text


# https://dev.wix.com/docs/build-apps/develop-your-app/access/authentication/authenticate-using-oauth
def test_wix_mints_a_token_for_the_installation(provider: Provider, endpoint: Endpoint, client: Registration) -> None:
    provider.answers({"access_token": "a1", "token_type": "Bearer", "expires_in": 14400})
    wix = endpoint("wix")
    grant = wix.exchange(secret(), REDIRECT, callback={"instanceId": "i-1"})
    again = wix.refresh(None, grant.access_token, details=grant.details)
    assert wix.can_refresh(None)
    assert grant.details == again.details == {"instanceId": "i-1"}
    assert [asked.json for asked in provider.asked] == 2 * [
        {
            "grant_type": "client_credentials",
            "instance_id": "i-1",
            "client_id": "client-1",
            "client_secret": client.client_secret.get_secret_value(),
        }
    ]


def test_wix_needs_to_know_the_installation(provider: Provider, endpoint: Endpoint) -> None:
    with pytest.raises(OAuthError) as caught:
        endpoint("wix").refresh(None, secret(), details={})
    assert (caught.value.code, provider.asked) == ("no_installation", [])


def test_a_client_without_a_secret_only_says_its_name(provider: Provider, client: Registration) -> None:
    public = Registration("client-1", SecretStr(""), client.settings)
    provider.answers({"access_token": "a2"})
    TokenEndpoint(local_profile("airtable", public, provider), public).refresh(secret(), secret())
    assert provider.asked[0].form["client_id"] == "client-1"
    assert "authorization" not in provider.asked[0].headers
