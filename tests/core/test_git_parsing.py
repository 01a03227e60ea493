"""Folders and commits of any bytes: taken apart, or refused, but never more than that."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.core.git import Commit, Fault, GitError, history
from connectors.core.git.history import parse_commit
from connectors.core.git.objects import Object
from connectors.core.git.tree import Kind, folded, is_dangerous, parse_folder
from connectors.core.printable import one_line

OID, TREE = "a" * 40, "b" * 40
NAMES = st.binary(min_size=1, max_size=8).filter(lambda name: not set(name) & set(b"\0/"))
MODES = st.sampled_from([b"100644", b"100755", b"40000", b"040000", b"120000", b"160000"])


def parsed(raw: bytes) -> Commit | Fault:
    try:
        return parse_commit(OID, Object("commit", len(raw), raw)).commit
    except GitError as error:
        return error.fault


@given(st.binary(max_size=200))
def test_a_folder_of_any_bytes_is_usable_or_has_a_problem(content: bytes) -> None:
    folder = parse_folder(content, 10)
    assert folder.problem == "" or folder.nodes == {}


@given(st.dictionaries(NAMES, MODES, max_size=10))
def test_every_entry_of_a_folder_is_found_under_its_own_name(entries: dict[bytes, bytes]) -> None:
    names = {name.decode("utf-8", "surrogateescape"): mode for name, mode in entries.items()}
    content = b"".join(mode + b" " + name + b"\0" + bytes(20) for name, mode in entries.items())
    folder = parse_folder(content, 10)
    if any(map(is_dangerous, names)):
        assert "forbids" in folder.problem
    else:
        assert {name: node.mode for name, node in folder.nodes.items()} == {n: int(m, 8) for n, m in names.items()}
        assert all(isinstance(node.kind, Kind) for node in folder.nodes.values())


@given(st.lists(st.text(min_size=1, max_size=3), max_size=6, unique=True))
def test_two_names_clash_exactly_when_they_fold_into_one(names: list[str]) -> None:
    raw = [name.encode("utf-8", "replace").replace(b"/", b"-").replace(b"\0", b"-") for name in names]
    folder = parse_folder(b"".join(b"100644 " + name + b"\0" + bytes(20) for name in dict.fromkeys(raw)), 10)
    for name in folder.nodes:
        alone = sum(folded(other) == folded(name) for other in folder.nodes) == 1
        assert (name not in folder.clashes) is alone


@given(st.binary(max_size=200))
def test_a_commit_of_any_bytes_is_told_in_printable_words_or_refused(tail: bytes) -> None:
    for raw in (
        tail,
        b"tree " + TREE.encode() + b"\n" + tail,
        b"tree %s\nauthor %s\n\n%s" % (TREE.encode(), tail, tail),
    ):
        found = parsed(raw)
        if isinstance(found, Commit):
            assert found.tree == TREE
            assert all(text.isprintable() for text in (found.author_name, found.author_email, found.subject))
        else:
            assert found is Fault.HOSTILE


@pytest.mark.parametrize("encoding", [b"iso-8859-1", b"utf-8", b"no-such-encoding", b"\xff", b"base64"])
def test_a_commit_names_its_encoding_or_is_taken_for_utf_8(encoding: bytes) -> None:
    name = "Zoë".encode("iso-8859-1" if encoding == b"iso-8859-1" else "utf-8")
    person = name + b" <zoe@example.com> 86400 +0200"
    raw = b"tree %s\nauthor %s\ncommitter %s\nencoding %s\n\nHi\n" % (TREE.encode(), person, person, encoding)
    assert parsed(raw) == Commit(OID, TREE, "Zoë", "zoe@example.com", dt.datetime(1970, 1, 2, tzinfo=dt.UTC), "Hi")


@pytest.mark.parametrize("encoding", [b"utf-8", b"punycode", b"idna", b"unicode_escape", b"utf-7", b"undefined"])
def test_a_commit_with_endless_names_in_any_encoding_is_told_in_a_few_words(encoding: bytes) -> None:
    person = b"a-" * 400_000 + b" <zoe@example.com> 0 +0000"
    raw = b"tree %s\nauthor %s\ncommitter %s\nencoding %s\n\nHi\n" % (TREE.encode(), person, person, encoding)
    found = parsed(raw)
    assert isinstance(found, Commit)
    assert len(found.author_name) <= history.MAX_NAME


def test_a_commit_s_time_of_thousands_of_digits_becomes_1970() -> None:
    person = b"Zoe <zoe@example.com> " + b"9" * 5_000
    found = parsed(b"tree %s\nauthor %s\ncommitter %s\n\nHi\n" % (TREE.encode(), person, person))
    assert isinstance(found, Commit)
    assert found.at == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def test_a_name_that_no_disk_takes_is_refused_before_it_is_compared() -> None:
    endless = "\u0301\u0316".encode() * 200_000  # to bring these into order takes minutes
    folder = parse_folder(b"100644 %s\0%s100644 a\0%s" % (endless, bytes(20), bytes(20)), 10)
    assert "longer than any disk takes" in folder.problem
    assert folder.clashes == {}


@given(st.text(max_size=50), st.integers(1, 20))
def test_a_line_is_printable_and_not_longer_than_asked(text: str, longest: int) -> None:
    line = one_line(text, longest)
    assert line.isprintable()
    assert len(line) <= longest
