"""Which side changed, whatever is in the three lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.core.three_way import Change, compare

A, AB, AC, ABC = ["a"], ["a", "b"], ["a", "c"], ["a", "b", "c"]

SIDES = st.none() | st.lists(st.sampled_from("abc"), max_size=4)


@pytest.mark.parametrize(
    ("agreed", "portal", "file", "change"),
    [
        (A, A, A, Change.SAME),
        (A, AB, AB, Change.SAME),
        (AB, ["b", "a", "a"], AB, Change.SAME),
        (None, None, None, Change.SAME),
        (A, AB, A, Change.OUTGOING),
        (A, None, A, Change.OUTGOING),
        (None, A, None, Change.OUTGOING),
        (A, A, AB, Change.INCOMING),
        (A, A, None, Change.INCOMING),
        (None, None, A, Change.INCOMING),
        (A, AB, AC, Change.CONFLICT),
        (A, AB, ABC, Change.CONFLICT),
        (A, None, AB, Change.CONFLICT),
        (A, AB, None, Change.CONFLICT),
        (None, A, AB, Change.CONFLICT),
        (None, [], None, Change.OUTGOING),
        ([], [], A, Change.INCOMING),
    ],
)
def test_the_side_that_left_what_both_had_is_the_one_that_changed(
    agreed: list[str] | None, portal: list[str] | None, file: list[str] | None, change: Change
) -> None:
    assert compare(agreed, portal, file) is change


@given(agreed=SIDES, portal=SIDES, file=SIDES)
def test_nothing_is_the_same_that_differs(
    agreed: list[str] | None, portal: list[str] | None, file: list[str] | None
) -> None:
    differs = (portal is None) != (file is None) or set(portal or ()) != set(file or ())
    assert (compare(agreed, portal, file) is not Change.SAME) == differs


MIRRORED = {Change.INCOMING: Change.OUTGOING, Change.OUTGOING: Change.INCOMING}


@given(agreed=SIDES, portal=SIDES, file=SIDES)
def test_seen_from_the_other_side_incoming_is_outgoing(
    agreed: list[str] | None, portal: list[str] | None, file: list[str] | None
) -> None:
    change = compare(agreed, portal, file)
    assert compare(agreed, file, portal) is MIRRORED.get(change, change)


@given(agreed=SIDES, portal=SIDES, file=SIDES)
def test_a_side_that_changed_is_never_overwritten_by_one_that_did_not(
    agreed: list[str] | None, portal: list[str] | None, file: list[str] | None
) -> None:
    change = compare(agreed, portal, file)
    if change is Change.OUTGOING and agreed is not None:
        assert file is not None
        assert set(file) == set(agreed)
    if change is Change.INCOMING and agreed is not None:
        assert portal is not None
        assert set(portal) == set(agreed)
