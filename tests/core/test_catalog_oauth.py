"""What the catalogue says about making an OAuth client, and about how long consent holds."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from connectors.core.catalog import IntegrationTypeInfo, load_catalog

WITH_OAUTH = [info for info in load_catalog().types.values() if info.oauth.token_url]
SETTINGS = [(info.slug, field) for info in WITH_OAUTH for field in info.oauth.client_settings]


def by_slug(info: IntegrationTypeInfo) -> str:
    return info.slug


@pytest.mark.parametrize("info", WITH_OAUTH, ids=by_slug)
def test_a_type_with_oauth_says_where_its_client_is_made_and_how_long_consent_holds(info: IntegrationTypeInfo) -> None:
    assert info.oauth.console_url
    assert info.oauth.lifetimes.note.endswith(".")


@pytest.mark.parametrize("info", [info for info in WITH_OAUTH if info.slug != "wix"], ids=by_slug)
def test_the_way_to_a_client_has_two_to_four_steps(info: IntegrationTypeInfo) -> None:
    assert 2 <= len(info.oauth.console_steps) <= 4
    assert any("redirect" in step.lower() for step in info.oauth.console_steps)


def test_types_of_one_provider_share_one_client_and_what_is_said_about_it() -> None:
    said: dict[str, tuple[object, ...]] = {}
    for info in WITH_OAUTH:
        facts = info.oauth
        about = (facts.issuer, facts.console_url, facts.console_steps, facts.client_settings, facts.lifetimes)
        assert said.setdefault(info.provider, about) == about, info.slug


@pytest.mark.parametrize("info", [info for info in WITH_OAUTH if info.oauth.issuer], ids=by_slug)
def test_an_issuer_has_no_query_and_no_slash_at_its_end(info: IntegrationTypeInfo) -> None:
    parts = urlsplit(info.oauth.issuer or "")
    assert (parts.query, parts.fragment) == ("", "")
    assert not parts.path.endswith("/")


def test_no_missing_issuer_is_held_against_a_provider_whose_issuer_is_not_known() -> None:
    assert [info.slug for info in WITH_OAUTH if info.oauth.issuer_in_response and not info.oauth.issuer] == []


def test_the_placeholder_of_a_client_setting_is_itself_valid() -> None:
    problems = {(slug, field.problem(field.placeholder)) for slug, field in SETTINGS}
    assert {(slug, problem) for slug, problem in problems if problem} == set()


@pytest.mark.parametrize("tenant", ["common", "organizations", "11111111-2222-3333-4444-555555555555", "acme.example"])
def test_a_tenant_is_an_id_a_domain_or_one_of_microsofts_words(tenant: str) -> None:
    (field,) = load_catalog().types["outlook"].oauth.client_settings
    assert field.problem(tenant) == ""
    assert field.problem(f"{tenant}/oauth2") != ""


@pytest.mark.parametrize("info", WITH_OAUTH, ids=by_slug)
def test_consent_holds_for_days_to_years(info: IntegrationTypeInfo) -> None:
    life = info.oauth.lifetimes
    spans = (life.refresh_s, life.idle_s, life.cap_s, life.testing_s, life.access_idle_s)
    assert all(86_400 < span <= 10 * 365 * 86_400 for span in spans if span is not None)


@pytest.mark.parametrize("slug", ["slack", "slackbot", "square", "tiktok", "linkedin"])
def test_pkce_is_not_sent_where_it_stands_in_the_place_of_the_secret(slug: str) -> None:
    # Slack takes it of public clients only; at Square it makes refresh tokens that are good once and for 90 days.
    assert load_catalog().types[slug].oauth.pkce == "none"
