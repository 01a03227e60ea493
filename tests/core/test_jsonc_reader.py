"""The reader agrees with npm json5 2.2.3 and says where and why it does not read a text."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.jsonc import MAX_DEPTH, Json5Error, loads, scan
from connectors.core.jsonc.identifiers import may_continue_key, may_start_key
from connectors.core.jsonc.reader import Box, place
from tests.core.generated_connectors import GeneratedFile, generated_files

RECORDED = Path(__file__).parent / "data" / "json5" / "cases.jsonl"


def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text("utf-8").splitlines()]


def same(ours: Any, theirs: Any) -> bool:
    """Whether our value is the recorded JavaScript value; -0, NaN and infinities included."""
    if isinstance(theirs, dict) and list(theirs) == ["$num"]:
        ours, theirs = float(ours), float(theirs["$num"].replace("Infinity", "inf"))
        return (math.isnan(ours) and math.isnan(theirs)) or (ours, math.copysign(1, ours)) == (
            theirs,
            math.copysign(1, theirs),
        )
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in theirs)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    if theirs is None or isinstance(theirs, bool | str):
        return type(ours) is type(theirs) and bool(ours == theirs)
    return isinstance(ours, int | float) and not isinstance(ours, bool) and float(ours) == float(theirs)


def verdict(text: str) -> tuple[bool, Any]:
    try:
        return True, loads(text, max_depth=None)
    except Json5Error:
        return False, None


def refusal(text: str) -> Json5Error | None:
    try:
        loads(text)
    except Json5Error as error:
        return error
    return None


def test_every_recorded_verdict_of_npm_json5_is_ours_too() -> None:
    wrong = []
    for case in recorded():
        ok, value = verdict(case["text"])
        if ok != case["json5"]["ok"] or (ok and not same(value, case["json5"]["value"])):
            wrong.append(case["text"])
    assert wrong == []


@settings(max_examples=300, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=20))
def test_all_json_is_read_as_json(value: Any) -> None:
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False, indent=1)) == value


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="{}[]:,'\"\\/*\n\r\u2028 \ufeffatrue0x1.eE+-nul$_é\u0301\ud800", max_size=40))
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    error = refusal(text)
    if error is not None:
        assert 0 <= error.position <= len(text)
        assert place(text, error.position) == (error.line, error.column)


@settings(max_examples=100, deadline=None)
@given(generated_files())
def test_offsets_are_those_of_the_source(file: GeneratedFile) -> None:
    root = scan(file.text)
    assert isinstance(root, Box)
    for key, node in zip(root.keys, root.items, strict=True):
        assert repr(loads(file.text[node.start : node.end])) == repr(node.value)
        assert key.end <= node.start
    assert all(comma is None or file.text[comma] == "," for comma in root.commas)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "expected a value, found the end of the file"),
        ('{\n  "type" "a"\n}', 2, 10, "expected ':' after the key, found '\"'"),
        ('{\r\n  "a": 1\r\n  "b": 2\r\n}', 3, 3, "expected ',' or '}', found '\"'"),
        ("{\r  a: [1 2]\r}", 2, 9, "expected ',' or ']', found '2'"),
        ("[1,,2]", 1, 4, "expected a value or ']', found ','"),
        ("{,}", 1, 2, "expected a key or '}', found ','"),
        ("{a: }", 1, 5, "expected a value, found '}'"),
        ('{a: "x\ny"}', 1, 7, 'expected the closing " of the string, found a line break'),
        ("{} x", 1, 4, "expected the end of the file, found 'x'"),
        ("'\\u12'", 1, 6, 'expected 4 hexadecimal digits after \\u, found "\'"'),
        ("{a: 1} /* b", 1, 12, "expected */ at the end of a comment, found the end of the file"),
        ("\x07", 1, 1, "expected a value, found the character U+0007"),
    ],
)
def test_an_error_says_where_and_what_was_expected(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(Json5Error) as caught:
        loads(text)
    assert (caught.value.line, caught.value.column, str(caught.value)) == (line, column, message)


def test_depth_is_capped() -> None:
    assert loads("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    with pytest.raises(Json5Error, match="at most 200 lists and objects inside each other"):
        loads("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize("opening", ["[", '{"a":', "[{b:"])
def test_thousands_of_open_brackets_are_an_error_and_no_crash(opening: str) -> None:
    with pytest.raises(Json5Error):
        loads(opening * 30_000)
    with pytest.raises(Json5Error):
        loads(opening * 30_000, max_depth=None)


@pytest.mark.parametrize(
    "text", ["'" + "x" * 1_000_000 + "'", "1 //" + "/" * 1_000_000, "1 /*" + "*" * 1_000_000 + "*/"]
)
def test_a_million_characters_are_read(text: str) -> None:
    assert loads(text) in ("x" * 1_000_000, 1)


MARKS_TURNED_LETTERS = ("\u1cf2", "\u1cf3")  # category Mc in Unicode 10, Lo since 12


def test_what_may_start_a_key_is_a_letter_to_this_python_too() -> None:
    chars = filter(may_start_key, map(chr, range(0x110000)))
    assert {unicodedata.category(char) for char in chars if char not in "$_"} == {"Lu", "Ll", "Lt", "Lm", "Lo", "Nl"}


def test_what_may_only_continue_a_key_is_a_mark_digit_or_joiner() -> None:
    chars = (char for char in map(chr, range(0x110000)) if may_continue_key(char) and not may_start_key(char))
    categories = {unicodedata.category(char) for char in chars if char not in MARKS_TURNED_LETTERS}
    assert categories == {"Mn", "Mc", "Nd", "Pc", "Cf"}


def test_letters_of_unicode_3_may_stand_in_a_key() -> None:
    old = (char for char in map(chr, range(0x110000)) if unicodedata.ucd_3_2_0.category(char)[0] == "L")
    assert [hex(ord(char)) for char in old if not may_continue_key(char)] == []


ASK_NPM = """
const JSON5 = require("json5"); console.warn = () => {};
const texts = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const ok = (text) => { try { JSON5.parse(text); return true } catch { return false } };
console.log(JSON.stringify(texts.map(ok)));
"""


@pytest.mark.cli
def test_npm_json5_gives_the_recorded_verdicts(tmp_path: Path) -> None:
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "json5@2.2.3"]
    if subprocess.run(install, cwd=tmp_path, check=False, capture_output=True, timeout=120).returncode:
        pytest.skip("json5 could not be installed from npm")
    cases = recorded()
    (tmp_path / "ask.js").write_text(ASK_NPM)
    texts = json.dumps([case["text"] for case in cases])
    run = subprocess.run(["node", "ask.js"], cwd=tmp_path, input=texts, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [case["json5"]["ok"] for case in cases]
