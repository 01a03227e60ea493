"""A connector file is judged as the Base44 CLI judges it, and a refusal says where and why."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.config_files import MAX_BYTES, ConnectorFile, parse_connector, render_edited, render_new
from connectors.core.errors import ConfigFileError
from connectors.core.specs import ConnectorSpec
from tests.core.generated_connectors import GeneratedFile, generated_files

TYPES = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
SCOPES = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30), max_size=6)
SPECS = st.builds(ConnectorSpec, type=TYPES, scopes=SCOPES.map(tuple))


@settings(max_examples=300, deadline=None)
@given(SPECS)
def test_a_new_file_declares_what_it_was_made_of(spec: ConnectorSpec) -> None:
    assert parse_connector(render_new(spec), "x.jsonc") == spec


@settings(max_examples=200, deadline=None)
@given(generated_files(), SPECS)
def test_an_edited_file_declares_the_wanted_type_and_scopes(file: GeneratedFile, spec: ConnectorSpec) -> None:
    read = parse_connector(render_edited(file.text.encode(), spec), "x.jsonc")
    assert (read.type, set(read.scopes)) == (spec.type, set(spec.scopes))


@settings(max_examples=100, deadline=None)
@given(generated_files())
def test_scopes_in_another_order_leave_the_file_as_it_is(file: GeneratedFile) -> None:
    raw = file.text.encode()
    spec = ConnectorSpec("googlecalendar", tuple(sorted(file.scopes)) + tuple(file.scopes[:1]))
    assert render_edited(raw, spec) is raw


def test_a_new_file_is_json_with_two_spaces_and_a_final_newline() -> None:
    raw = render_new(ConnectorSpec("slack", ("chat:write", "ü")))
    assert raw.decode() == '{\n  "type": "slack",\n  "scopes": [\n    "chat:write",\n    "ü"\n  ]\n}\n'


@pytest.mark.parametrize(
    ("raw", "spec"),
    [
        (b"{type: 'slack'}", ConnectorSpec("slack")),
        (b"\xef\xbb\xbf{type: 'slack', scopes: ['a', 'a', ' '],}", ConnectorSpec("slack", ("a", "a", " "))),
        (b'{"type": "x", "type": "y", "scopes": 1, "scopes": ["a"]}', ConnectorSpec("y", ("a",))),
        (b'{"type": "Made_Up-1", "other": {"type": 1}}', ConnectorSpec("Made_Up-1")),
        (b'{"type": "x", "scopes": ["\xff"]}', ConnectorSpec("x", ("\ufffd",))),
        (b'// c\r\n{"type": /* t */ "x",\r\n}\r\n', ConnectorSpec("x")),
    ],
)
def test_what_the_cli_reads_is_read(raw: bytes, spec: ConnectorSpec) -> None:
    assert parse_connector(raw, "x.jsonc") == spec


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "x.jsonc:1:1: the file is empty"),
        (b"// nothing\n", "x.jsonc:2:1: expected a value, found the end of the file"),
        (b"[]", "x.jsonc:1:1: expected an object with a type and scopes, found a list"),
        (b"null", "x.jsonc:1:1: expected an object with a type and scopes, found null"),
        (b'{"scopes": []}', "x.jsonc:1:1: there is no type; expected an object with a type and scopes"),
        (b'{\n "type": 1}', "x.jsonc:2:10: type: expected a string, found a number"),
        (b'{"type": "a b"}', "x.jsonc:1:10: type: expected letters a to z, digits, _ and - only"),
        (b'{"type": ""}', "x.jsonc:1:10: type: expected letters a to z"),
        ('{"type": "\u017flack"}'.encode(), "x.jsonc:1:10: type: expected letters a to z"),
        (b'{"type": "a\\n"}', "x.jsonc:1:10: type: expected letters a to z"),
        (b'{"type": "a", "scopes": "x"}', "x.jsonc:1:25: scopes: expected a list of strings, found a string"),
        (b'{"type": "a", "scopes": null}', "x.jsonc:1:25: scopes: expected a list of strings, found null"),
        (b'{"type": "a",\n "scopes": ["x",\n  true]}', "x.jsonc:3:3: scopes: expected a string, found true"),
        (b'{"type": "a", "scopes": ["\\ud800"]}', "x.jsonc:1:26: scopes: the string holds a NUL or half a character"),
        (b'{"type": "a" "scopes": []}', "x.jsonc:1:14: expected ',' or '}', found '\"'"),
    ],
)
def test_what_the_cli_refuses_is_refused_with_its_place(raw: bytes, message: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        parse_connector(raw, "x.jsonc")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"<!DOCTYPE html>\n<html></html>", "this is HTML"),
        (b"\n  <html lang='en'>", "this is HTML"),
        (base64.b64encode(b'{"type": "slack", "scopes": []}'), "the content is base64"),
        (base64.encodebytes(b'{"type": "slack", "scopes": ["' + b"a" * 90 + b'"]}'), "the content is base64"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "this is a binary file"),
        (b"PK\x03\x04" + b"\0" * 30, "this is a zip archive"),
        ('{"type": "a"}'.encode("utf-16"), "the file is in UTF-16"),
        (b'{"type": "a"}' + b" " * MAX_BYTES, "the file is larger than 1024 KB"),
        (b"[" * 1000, "at most 200 lists and objects inside each other"),
        (b'{"name": "My app", "connectorsDir": "c"}', "this looks like the project's own config file"),
    ],
)
def test_what_is_no_connector_file_at_all_is_named(raw: bytes, message: str) -> None:
    with pytest.raises(ConfigFileError, match=message):
        parse_connector(raw, "x.jsonc")


def test_a_file_that_is_not_utf8_is_not_edited() -> None:
    raw = b'// caf\xe9\n{"type": "a", "scopes": ["x"]}'
    assert render_edited(raw, ConnectorSpec("a", ("x",))) is raw
    with pytest.raises(ConfigFileError, match=r"x\.jsonc:1: cannot be edited: it is not valid UTF-8"):
        render_edited(raw, ConnectorSpec("a", ("y",)), "x.jsonc")


def test_the_text_of_a_file_shows_bad_bytes_as_the_cli_sees_them() -> None:
    assert ConnectorFile("x.jsonc", ConnectorSpec("a"), b"{} // \xff").text == "{} // \ufffd"
