"""What roles allow is said in words, all of it."""

from __future__ import annotations

from collections import Counter

import pytest

from connectors.core.role_words import ABILITIES, ROLE_ABOUT, abilities_of, abilities_of_role, ability_called
from connectors.core.roles import PERMISSIONS, Role


def test_every_permission_of_a_role_is_in_exactly_one_ability() -> None:
    said = Counter(codename for ability in ABILITIES for codename in ability.codenames)
    assert set(said) == set().union(*PERMISSIONS.values())
    assert set(said.values()) == {1}


@pytest.mark.parametrize("role", Role)
def test_a_role_has_all_of_an_ability_or_none_of_it(role: Role) -> None:
    parts = [ability.key for ability in ABILITIES if ability.codenames & PERMISSIONS[role]]
    assert parts == [ability.key for ability in abilities_of_role(role)]


def test_every_role_has_a_sentence() -> None:
    assert set(ROLE_ABOUT) == set(Role)


def test_one_permission_of_several_is_no_ability() -> None:
    assert abilities_of({"add_connector"}) == []


def test_an_ability_is_found_by_its_key_and_nothing_by_another() -> None:
    found = ability_called("apply")
    assert found is not None
    assert "change_project" in found.codenames
    assert ability_called("nothing") is None
