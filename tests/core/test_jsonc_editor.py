"""Edits change the scopes they are asked to change and leave every other byte of the file alone."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.core.jsonc import EditError, edit, loads, scan
from connectors.core.jsonc.reader import Box
from tests.core.generated_connectors import NEW_SCOPES, GeneratedFile, faults, generated_files

ADDED = st.lists(st.sampled_from([*NEW_SCOPES, "email"]), max_size=3, unique=True)
many = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))

COMMENTED = """{
  "type": "googlecalendar", // shared calendar
  "scopes": [
    // read the free slots
    "calendar.readonly",
    "calendar.events", // book a slot
  ],
}
"""


@many
@given(generated_files(), ADDED, st.data())
def test_an_edit_touches_nothing_but_the_scopes_asked_for(
    file: GeneratedFile, add: list[str], data: st.DataObject
) -> None:
    remove = data.draw(st.lists(st.sampled_from(file.scopes), unique=True)) if file.scopes else []
    add = [scope for scope in add if scope not in remove]
    assert faults(file, add, remove, edit(file.text, add=add, remove=remove)) == []


@many
@given(generated_files())
def test_an_edit_with_nothing_to_do_gives_the_same_text(file: GeneratedFile) -> None:
    assert edit(file.text, add=file.scopes, remove=["absent"], new_type="googlecalendar") == file.text


@many
@given(generated_files(), ADDED.filter(bool))
def test_adding_and_removing_again_restores_the_file(file: GeneratedFile, add: list[str]) -> None:
    add = [scope for scope in add if scope not in file.scopes]
    # A list that was empty, or one item with no comma to show the style, has no layout to come back to.
    if file.scopes and not (file.layout == "leading commas" and len(file.scopes) == 1):
        assert edit(edit(file.text, add=add), remove=add) == file.text


@many
@given(generated_files(), st.sampled_from(["slack", "a'b", 'a"b', "ü"]))
def test_a_new_type_replaces_the_old_one_only(file: GeneratedFile, new_type: str) -> None:
    root = scan(file.text)
    assert isinstance(root, Box)
    node = root.last("type")
    assert node is not None
    out = edit(file.text, new_type=new_type)
    assert out.startswith(file.text[: node.start] + file.quote)
    assert out.endswith(file.quote + file.text[node.end :])
    assert loads(out)["type"] == new_type


def test_removing_the_last_scope_keeps_its_neighbours_comment() -> None:
    out = edit(COMMENTED, remove=["calendar.events"])
    assert out == COMMENTED.replace('    "calendar.events", // book a slot\n', "")


def test_removing_a_scope_takes_the_comment_above_it_along() -> None:
    out = edit(COMMENTED, remove=["calendar.readonly"])
    assert out == COMMENTED.replace('    // read the free slots\n    "calendar.readonly",\n', "")


def test_a_new_scope_goes_below_the_last_ones_comment() -> None:
    out = edit(COMMENTED, add=["openid"])
    assert out == COMMENTED.replace("// book a slot\n", '// book a slot\n    "openid",\n')


def test_a_comment_set_off_by_a_blank_line_stays_with_the_list() -> None:
    text = '{"type": "a", "scopes": [\n  // section\n\n  "x",\n  "y"\n]}'
    assert edit(text, remove=["x"]) == '{"type": "a", "scopes": [\n  // section\n\n  "y"\n]}'


def test_a_list_without_trailing_comma_gets_none_when_its_last_scope_goes() -> None:
    text = '{\n  "type": "a",\n  "scopes": [\n    "x", // why x\n    "y"\n  ]\n}\n'
    assert edit(text, remove=["y"]) == '{\n  "type": "a",\n  "scopes": [\n    "x" // why x\n  ]\n}\n'


def test_removing_every_scope_leaves_an_empty_list() -> None:
    assert edit('{type: "a", scopes: ["x", "y"]}', remove=["x", "y"]) == '{type: "a", scopes: []}'


def test_missing_scopes_are_added_in_the_files_own_style() -> None:
    out = edit("{\r\n\ttype: 'slack'\r\n}\r\n", add=["chat:write"])
    assert out == "{\r\n\ttype: 'slack',\r\n\tscopes: [\r\n\t\t'chat:write'\r\n\t]\r\n}\r\n"


def test_the_last_of_repeated_keys_is_edited() -> None:
    text = '{"type": "a", "scopes": ["x"], "scopes": ["y"]}'
    assert edit(text, add=["z"]) == '{"type": "a", "scopes": ["x"], "scopes": ["y", "z"]}'


def test_a_repeated_scope_is_removed_everywhere() -> None:
    assert edit('{"type": "a", "scopes": ["x", "y", "x"]}', remove=["x"]) == '{"type": "a", "scopes": ["y"]}'


def test_keys_written_with_escapes_are_found() -> None:
    assert edit('{t\\u0079pe: "a", "sc\\x6fpes": []}', add=["x"]) == '{t\\u0079pe: "a", "sc\\x6fpes": ["x"]}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "not an object"),
        ("{}", "no type"),
        ('{"type": "a", "scopes": "x"}', "not a list of strings"),
        ('{"type": "a", "scopes": ["x", 1]}', "not a list of strings"),
    ],
)
def test_a_file_of_another_shape_is_refused(text: str, reason: str) -> None:
    with pytest.raises(EditError, match=reason):
        edit(text, add=["y"])
