"""Every integration type of the catalogue has a way to be authorised, or says why not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter
from django.utils.module_loading import import_string

from connectors.core.catalog import IntegrationTypeInfo, load_catalog
from connectors.core.oauth.support import Level, settings_needed, support_of

TYPES = load_catalog().types
ROOT = Path(__file__).parents[3]
CLASSES = sorted({path for info in TYPES.values() if (path := support_of(info).allauth_class)})


def by_slug(info: IntegrationTypeInfo) -> str:
    return info.slug


@pytest.mark.parametrize("info", TYPES.values(), ids=by_slug)
def test_a_type_has_a_level_and_says_why_in_sentences(info: IntegrationTypeInfo) -> None:
    support = support_of(info)
    assert support.why[0].isupper()
    assert support.why.endswith(".")
    assert (support.allauth_class is not None) == (support.level == Level.ALLAUTH)


@pytest.mark.parametrize("info", TYPES.values(), ids=by_slug)
def test_allauth_serves_only_what_its_class_fits(info: IntegrationTypeInfo) -> None:
    assert support_of(info).level != Level.ALLAUTH or info.oauth.allauth_fit == "ok"


def test_only_stripe_and_wix_cannot_be_authorised_by_the_portal() -> None:
    assert {slug for slug, info in TYPES.items() if support_of(info).level == Level.NONE} == {"stripe", "wix"}


def test_most_types_go_through_allauth() -> None:
    by_allauth = {info.provider for info in TYPES.values() if support_of(info).level == Level.ALLAUTH}
    assert by_allauth == {
        *("box", "discord", "dropbox", "github", "gitlab"),
        *("google", "microsoft", "quickbooks", "salesforce", "tiktok"),
    }


@pytest.mark.parametrize("path", CLASSES)
def test_the_installed_allauth_has_the_class(path: str) -> None:
    found = import_string(path)
    assert issubclass(found, OAuth2Provider)
    assert issubclass(found.oauth2_adapter_class, OAuth2Adapter)


@pytest.mark.parametrize("info", [i for i in TYPES.values() if support_of(i).allauth_class], ids=by_slug)
def test_the_class_is_the_one_that_the_catalogue_names(info: IntegrationTypeInfo) -> None:
    assert import_string(support_of(info).allauth_class or "").id == info.oauth.allauth_provider


@pytest.mark.parametrize(("slug", "reason"), [("hubspot", "retires"), ("slack", "sign people"), ("linear", "none of")])
def test_a_type_that_allauth_does_not_fit_says_so(slug: str, reason: str) -> None:
    assert reason in support_of(TYPES[slug]).why


@pytest.mark.parametrize("slug", ["snowflake", "bamboohr", "databricks"])
def test_a_provider_with_addresses_per_customer_names_the_setting_that_it_needs(slug: str) -> None:
    (name,) = settings_needed(TYPES[slug])
    assert f"({name}) on the OAuth client" in support_of(TYPES[slug]).why


@pytest.mark.parametrize("slug", ["outlook", "salesforce", "github", "wrike", "gmail"])
def test_a_setting_with_a_usual_value_is_not_needed(slug: str) -> None:
    assert settings_needed(TYPES[slug]) == ()


def test_a_type_without_endpoints_is_not_supported_whoever_it_is() -> None:
    bare = replace(TYPES["github"], oauth=replace(TYPES["github"].oauth, token_url=None))
    assert support_of(bare).level == Level.NONE


def test_asking_imports_neither_allauth_nor_django() -> None:
    code = (
        "import sys; from connectors.core.oauth.support import support_of;"
        "from connectors.core.catalog import load_catalog; [support_of(i) for i in load_catalog().types.values()];"
        "assert not {'allauth', 'django'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
