"""What the catalogue says about grants."""

from __future__ import annotations

import pytest

from connectors.core.catalog import GrantFacts, load_catalog

TYPES = list(load_catalog().types.values())


def test_types_of_one_provider_share_its_habits() -> None:
    said: dict[str, GrantFacts] = {}
    for info in TYPES:
        assert said.setdefault(info.provider, info.oauth.grants) == info.oauth.grants, info.slug


@pytest.mark.parametrize(
    ("slug", "reports"),
    [("gmail", True), ("square", True), ("hubspot", True), ("box", False), ("quickbooks", False), ("notion", False)],
)
def test_a_provider_reports_with_the_token_or_when_asked_about_it_or_not_at_all(slug: str, *, reports: bool) -> None:
    assert load_catalog().types[slug].oauth.reports_scopes is reports


def test_a_habit_is_explained_to_an_admin() -> None:
    peculiar = [info for info in TYPES if info.oauth.grants != GrantFacts() or not info.oauth.reports_scopes]
    assert [info.slug for info in peculiar if not info.oauth.grants.note] == ["stripe"]


def test_no_scope_known_by_its_beginning_alone_contains_others() -> None:
    # The ledger looks contained scopes up by the catalogue's names.
    infos = (info for type_ in TYPES for info in load_catalog().provider_scopes(type_.slug))
    assert [info.name for info in infos if info.name.endswith(":*") and info.implies] == []
