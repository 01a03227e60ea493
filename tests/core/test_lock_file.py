"""The lock file says the same state in the same bytes, tells what changed, and keeps "none" and "not known" apart."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.core.errors import ConfigFileError
from connectors.core.lock_file import (
    LockedConnector,
    account_fingerprint,
    differences,
    lock_path,
    parse,
    render,
    renewed,
)

SCOPES = st.none() | st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=5).map(tuple)
LOCKED = st.builds(
    LockedConnector,
    at_base44=st.sampled_from([True, False, None]),
    registered=SCOPES,
    granted=SCOPES,
    account=st.sampled_from([None, account_fingerprint("app", "ann@example.com")]),
    connection_config=st.dictionaries(st.sampled_from(["subdomain", "login_host"]), st.sampled_from(["a", "ü b"])),
)
LOCKS = st.dictionaries(st.from_regex(r"\A[A-Za-z0-9_-]{1,8}\Z"), LOCKED, max_size=5)

SLACK = LockedConnector(True, ("chat:write", "im:read"), None, "sha256:00", {"subdomain": "acme"})


@given(LOCKS)
def test_what_is_rendered_reads_back_as_the_same(lock: dict[str, LockedConnector]) -> None:
    read = parse(render(lock))
    assert differences(read, lock) == {}
    assert render(read) == render(lock)


@given(LOCKS)
def test_the_order_of_what_is_known_does_not_show(lock: dict[str, LockedConnector]) -> None:
    def turned(scopes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if scopes is None else (*reversed(scopes), *scopes[:1])

    other = {
        type_: replace(row, registered=turned(row.registered), granted=turned(row.granted))
        for type_, row in reversed(lock.items())
    }
    assert render(other) == render(lock)


@given(LOCKS, LOCKS)
def test_differences_are_told_exactly_when_the_bytes_differ(
    old: dict[str, LockedConnector], new: dict[str, LockedConnector]
) -> None:
    assert bool(differences(old, new)) == (render(old) != render(new))


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_nothing_else_crashes_the_reader(raw: bytes) -> None:
    with pytest.raises(ConfigFileError):
        parse(raw)


def test_the_file_looks_like_this() -> None:
    lock = {"slack": replace(SLACK, registered=("im:read", "chat:write"))}
    assert render(lock).decode() == (
        "{\n"
        '  "connectors": {\n'
        '    "slack": {\n'
        '      "account": "sha256:00",\n'
        '      "atBase44": true,\n'
        '      "connectionConfig": {\n'
        '        "subdomain": "acme"\n'
        "      },\n"
        '      "granted": null,\n'
        '      "registered": [\n'
        '        "chat:write",\n'
        '        "im:read"\n'
        "      ]\n"
        "    }\n"
        "  },\n"
        '  "lockfileVersion": 1\n'
        "}\n"
    )


def test_not_known_and_none_are_two_things() -> None:
    unknown, none = {"slack": LockedConnector()}, {"slack": LockedConnector(registered=())}
    assert differences(unknown, none) == {"slack": ("registered at Base44: known now (no scopes)",)}
    assert differences(none, unknown) == {"slack": ("registered at Base44: not known any more",)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"registered": ("chat:write",)}, ("registered at Base44 no longer: im:read",)),
        ({"registered": ("chat:write", "im:read", "b", "a")}, ("registered at Base44 now: a, b",)),
        ({"granted": ("x",)}, ("granted: known now (x)",)),
        ({"account": "sha256:11"}, ("the account is another one",)),
        ({"account": None}, ("the account is not known any more",)),
        ({"at_base44": False}, ("Base44 does not have it any more",)),
        ({"at_base44": None}, ("whether Base44 has it is not known any more",)),
        ({"connection_config": {}}, ("connection config: subdomain is another one",)),
        ({}, ()),
    ],
)
def test_a_change_is_told_in_words(change: dict[str, object], said: tuple[str, ...]) -> None:
    assert differences({"slack": SLACK}, {"slack": replace(SLACK, **change)}).get("slack", ()) == said  # type: ignore[arg-type]


def test_connectors_that_come_and_go_are_told() -> None:
    found = differences({"slack": SLACK}, {"gmail": SLACK})
    assert found == {
        "gmail": ("it is new since the file was written",),
        "slack": ("the portal has no such connector any more",),
    }


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"lockfileVersion": 2, "connectors": {}}, "lockfileVersion: expected 1, found 2"),
        ({"connectors": {}}, "found null"),
        ({"lockfileVersion": 1}, "connectors: expected an object"),
        ({"lockfileVersion": 1, "connectors": {"a b": {}}}, "cannot be an integration type"),
        (
            {"lockfileVersion": 1, "connectors": {"slack": {"registered": []}}},
            'connectors["slack"]: expected an object',
        ),
    ],
)
def test_what_is_no_lock_file_is_refused_in_words(document: object, said: str) -> None:
    with pytest.raises(ConfigFileError) as refusal:
        parse(json.dumps(document).encode(), "base44/connectors.lock.json")
    assert said in str(refusal.value)
    assert str(refusal.value).startswith("base44/connectors.lock.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("account", 1),
        ("atBase44", "yes"),
        ("connectionConfig", {"subdomain": None}),
        ("granted", [1]),
        ("registered", "chat:write"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(key: str, value: object) -> None:
    document = json.loads(render({"slack": SLACK}))
    document["connectors"]["slack"][key] = value
    with pytest.raises(ConfigFileError, match=f"slack.*{key}: expected"):
        parse(json.dumps(document).encode())


def test_an_unfinished_merge_is_recognised() -> None:
    with pytest.raises(ConfigFileError, match="unfinished merge"):
        parse(b"{\n<<<<<<< HEAD\n" + render({"slack": SLACK}))


def test_a_file_that_says_the_same_keeps_its_formatting() -> None:
    before = json.dumps(json.loads(render({"slack": SLACK}))).replace("\n", "\r\n").encode()
    assert renewed(before, {"slack": SLACK}) is before


@pytest.mark.parametrize("before", [None, b"{", render({})])
def test_a_file_that_says_something_else_is_written_anew(before: bytes | None) -> None:
    assert renewed(before, {"slack": SLACK}) == render({"slack": SLACK})


@pytest.mark.parametrize(
    ("directory", "path"),
    [
        ("base44/connectors", "base44/connectors.lock.json"),
        ("apps/shop/base44/connectors", "apps/shop/base44/connectors.lock.json"),
        ("connectors", "connectors.lock.json"),
        ("", None),
    ],
)
def test_it_lies_beside_the_connectors_directory(directory: str, path: str | None) -> None:
    assert lock_path(directory) == path


def test_an_account_is_told_from_others_and_not_named() -> None:
    known = account_fingerprint("app-1", "Ann@Example.com")
    assert known == account_fingerprint("app-1", " ann@example.com ")
    assert known is not None
    assert "ann" not in known.lower()
    assert known != account_fingerprint("app-1", "bob@example.com")


def test_fingerprints_of_one_account_in_two_apps_differ() -> None:
    assert account_fingerprint("app-1", "ann@example.com") != account_fingerprint("app-2", "ann@example.com")


def test_an_account_that_is_not_known_has_no_fingerprint() -> None:
    assert account_fingerprint("app-1", "") is None
