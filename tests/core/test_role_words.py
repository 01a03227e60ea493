"""What roles allow is said in words, all of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from connectors.core.role_words import ABILITIES, ROLE_ABOUT, Level, abilities_of, ability_called
from connectors.core.roles import PERMISSIONS, Role

WIDTHS = {Level.PROJECT: "a project", Level.WORKSPACE: "a workspace", Level.EVERYWHERE: "everything"}


def test_every_permission_of_a_role_is_in_exactly_one_ability() -> None:
    said = Counter(codename for ability in ABILITIES for codename in ability.codenames)
    assert set(said) == set().union(*PERMISSIONS.values())
    assert set(said.values()) == {1}


@pytest.mark.parametrize("role", Role)
def test_a_role_has_all_of_an_ability_or_none_of_it(role: Role) -> None:
    parts = [ability.key for ability in ABILITIES if ability.codenames & PERMISSIONS[role]]
    assert parts == [ability.key for ability in abilities_of(PERMISSIONS[role])]


def test_every_role_has_a_sentence() -> None:
    assert set(ROLE_ABOUT) == set(Role)


def test_one_permission_of_several_is_no_ability() -> None:
    assert abilities_of({"add_connector"}) == []


def test_a_role_at_a_project_reaches_nothing_wider() -> None:
    keys = {ability.key for ability in abilities_of(PERMISSIONS[Role.OWNER], Level.PROJECT)}
    assert {"apply", "people"} <= keys
    assert keys.isdisjoint({"workspace", "clients", "rules"})
    assert "workspace" in {ability.key for ability in abilities_of(PERMISSIONS[Role.OWNER], Level.WORKSPACE)}


def test_an_ability_is_found_by_its_key_and_nothing_by_another() -> None:
    found = ability_called("apply")
    assert found is not None
    assert "change_project" in found.codenames
    assert ability_called("nothing") is None


def test_the_table_of_the_documentation_says_what_each_role_allows() -> None:
    text = (Path(__file__).parents[2] / "docs" / "people.md").read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    marked = [line for line in lines if len(line) == 7 and set(line[2:]) <= {"yes", ""}]
    told = {line[0]: (line[1], [cell == "yes" for cell in line[2:]]) for line in marked}
    assert told == {
        ability.text: (WIDTHS[ability.level], [ability.codenames <= PERMISSIONS[role] for role in Role])
        for ability in ABILITIES
    }


def test_the_documentation_says_each_role_in_the_same_sentence() -> None:
    text = (Path(__file__).parents[2] / "docs" / "people.md").read_text(encoding="utf-8")
    for role, about in ROLE_ABOUT.items():
        assert f"| {role.value.capitalize()} | {about} |" in text
