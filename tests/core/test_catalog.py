"""The catalogue's data files hold together, and lookups know aliases, siblings and prefixes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from connectors.core.catalog import DATA, Catalog, ConfigField, ProviderScopes, Sensitivity, load_catalog

FILES = sorted((DATA / "scopes").glob("*.json"))
USERINFO_EMAIL = "https://www.googleapis.com/auth/userinfo.email"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def read(path: Path) -> ProviderScopes:
    return TypeAdapter(ProviderScopes).validate_json(path.read_bytes())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_scope_file_fits_the_schema_and_bears_its_providers_name(path: Path) -> None:
    assert read(path).provider == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_name_or_alias_means_two_scopes(path: Path) -> None:
    spellings = Counter(spelling for info in read(path).scopes for spelling in {info.name, *info.aliases})
    assert [spelling for spelling, count in spellings.items() if count > 1] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_implied_scopes_exist_never_name_themselves_and_are_transitive(path: Path) -> None:
    scopes = {info.name: info for info in read(path).scopes}
    for info in scopes.values():
        assert info.name not in info.implies
        for implied in info.implies:
            assert set(scopes[implied].implies) <= set(info.implies)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_types_of_a_scope_belong_to_its_provider(path: Path, catalog: Catalog) -> None:
    named = {type_ for info in read(path).scopes for type_ in info.types}
    assert {catalog.types[type_].provider for type_ in named} <= {path.stem}


def test_every_scope_file_belongs_to_a_type_and_only_stripe_has_none(catalog: Catalog) -> None:
    assert {info.provider for info in catalog.types.values()} - {path.stem for path in FILES} == {"stripe"}
    assert {path.stem for path in FILES} <= {info.provider for info in catalog.types.values()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_scope_that_is_overlooked_as_auto_added_gives_much_power(path: Path) -> None:
    overlooked = [info for info in read(path).scopes if info.auto_added]
    assert [info.name for info in overlooked if info.sensitivity.rank > Sensitivity.MEDIUM.rank] == []


def test_all_types_are_there_each_with_initials_and_a_description_of_its_own(catalog: Catalog) -> None:
    assert len(catalog.types) == 47
    assert len({info.initials for info in catalog.types.values()}) == 47
    assert len({info.description for info in catalog.types.values()}) == 47


def test_a_type_knows_its_slug_which_the_file_gives_as_key_alone(catalog: Catalog) -> None:
    rows = json.loads((DATA / "providers.json").read_text())
    assert [row for row in rows.values() if "slug" in row] == []
    assert all(info.slug == key for key, info in catalog.types.items())


def test_urls_hold_no_placeholder_that_nothing_fills(catalog: Catalog) -> None:
    for info in catalog.types.values():
        fields = (*info.connection_config_fields, *info.oauth.client_settings)
        fillable = {"client_id", "redirect_uri", "host", *(field.name for field in fields)}
        urls = [info.oauth.authorize_url, info.oauth.token_url, info.oauth.revoke_url, info.oauth.introspect_url]
        for url in filter(None, urls):
            assert {part.split("}")[0] for part in url.split("{")[1:]} <= fillable, info.slug


def test_a_connection_setting_is_required_only_when_base44s_own_name_for_it_is_known(catalog: Catalog) -> None:
    fields = [field for info in catalog.types.values() for field in info.connection_config_fields]
    assert {(field.name, field.confirmed) for field in fields if field.required} == {("subdomain", True)}


def test_the_placeholder_of_a_connection_setting_is_itself_valid(catalog: Catalog) -> None:
    fields = [field for info in catalog.types.values() for field in info.connection_config_fields]
    assert [field.problem(field.placeholder) for field in fields] == [""] * len(fields)


def test_scopes_for_gives_only_the_scopes_made_for_the_type(catalog: Catalog) -> None:
    names = {info.name for info in catalog.scopes_for("gmail")}
    assert "https://www.googleapis.com/auth/gmail.send" in names
    assert "https://www.googleapis.com/auth/calendar" not in names


def test_scope_resolves_an_alias_and_keeps_the_case(catalog: Catalog) -> None:
    found = catalog.scope("gmail", "email")
    assert found is not None
    assert found.name == USERINFO_EMAIL
    assert catalog.scope("gmail", "EMAIL") is None


def test_a_sibling_types_scope_is_known_with_its_sensitivity(catalog: Catalog) -> None:
    found = catalog.scope("gmail", "https://www.googleapis.com/auth/drive")
    assert found is not None
    assert "gmail" not in found.types
    assert found.sensitivity is Sensitivity.CRITICAL


def test_a_snowflake_role_is_known_by_its_beginning_but_keeps_its_name(catalog: Catalog) -> None:
    found = catalog.scope("snowflake", "session:role:ANALYST")
    assert found is not None
    assert found.name == "session:role:*"
    assert catalog.canonical("snowflake", "session:role:ANALYST") == "session:role:ANALYST"


def test_an_unknown_type_has_no_scopes_and_leaves_names_alone(catalog: Catalog) -> None:
    assert catalog.scopes_for("google_photos") == ()
    assert catalog.scope("google_photos", "email") is None
    assert catalog.canonical("google_photos", "email") == "email"


def test_sensitivities_rank_from_low_to_critical() -> None:
    assert sorted(Sensitivity, key=lambda level: level.rank) == ["low", "medium", "high", "critical"]


def test_a_required_setting_is_missed_and_a_pattern_is_checked(catalog: Catalog) -> None:
    (site,) = catalog.types["share_point"].connection_config_fields
    assert site.problem(" ") == "The connection setting “Site path” (subdomain) is missing."
    assert site.problem("sites/mysite") == ""
    assert site.problem("sites?x").endswith("is not valid. Use letters, digits, slashes, hyphens and underscores only.")


def test_an_optional_setting_may_be_empty() -> None:
    assert ConfigField(name="region", display_name="Region", validation_pattern="^[a-z]+$").problem("") == ""


def test_a_pattern_that_only_javascript_reads_lets_the_value_pass() -> None:
    assert ConfigField(name="a", display_name="A", validation_pattern="^(?<part>[a-z]+)$").problem("x1") == ""


def test_the_catalogue_is_read_once() -> None:
    assert load_catalog() is load_catalog()


def test_every_scope_says_where_its_facts_are_from_and_how_sure_they_are(catalog: Catalog) -> None:
    infos = [info for type_ in catalog.types for info in catalog.provider_scopes(type_)]
    assert len(infos) > 1300
    assert [info.name for info in infos if not info.source or not info.confidence] == []


def test_a_scopes_own_source_counts_before_its_providers(catalog: Catalog) -> None:
    ordinary, own = catalog.scope("dropbox", "files.content.read"), catalog.scope("dropbox", "contacts.read")
    assert ordinary is not None
    assert own is not None
    assert (ordinary.confidence, own.confidence) == ("high", "low")
    assert own.source != ordinary.source


def test_what_no_page_was_read_for_is_never_called_sure(catalog: Catalog) -> None:
    infos = [info for type_ in catalog.types for info in catalog.provider_scopes(type_)]
    assert {info.confidence for info in infos if "eneral knowledge" in (info.source or "")} == {"low"}


@pytest.mark.parametrize(
    "slip", [{"sensitivty": "low"}, {"sensitivity": "mild"}, {"types": "slack"}, {"confidence": "sure"}]
)
def test_a_slip_in_a_data_file_is_refused(tmp_path: Path, slip: dict[str, object]) -> None:
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "scopes" / "slack.json"
    content = json.loads(path.read_text())
    content["scopes"][0] |= slip
    path.write_text(json.dumps(content))
    with pytest.raises(ValidationError):
        Catalog(tmp_path).scopes_for("slack")


def test_one_providers_scopes_are_not_read_for_another(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    (tmp_path / "scopes" / "github.json").write_text("broken")
    assert Catalog(tmp_path).scopes_for("slack")


def test_importing_the_catalogue_loads_no_django_and_reads_no_file() -> None:
    code = (
        "import sys, connectors.core.catalog as c;"
        "assert c.load_catalog.cache_info().currsize == 0; assert 'django' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=DATA.parents[2])
