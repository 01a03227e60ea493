"""Taking Base44's state into the portal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given

from connectors.core.plan import ActionKind, make_plan
from connectors.core.pull import ChangeKind, PullChange, make_pull
from connectors.core.scopes import ScopeRules
from connectors.core.specs import ConnectorSpec, RegisteredConnector, RegisteredState
from tests.core.test_plan_properties import Case, cases

RULES = ScopeRules(auto_added={"gmail": ["openid"]})
SEND = "https://www.googleapis.com/auth/gmail.send"
LABELS = "https://www.googleapis.com/auth/gmail.labels"


def spec(type_: str, *scopes: str) -> ConnectorSpec:
    return ConnectorSpec(type_, scopes)


def state(*connectors: RegisteredConnector, stripe: str | None = None) -> RegisteredState:
    return RegisteredState(connectors, stripe)


def listed(type_: str, *scopes: str, status: str = "active") -> RegisteredConnector:
    return RegisteredConnector(type_, status, scopes)


def test_a_new_connector_is_offered_without_the_auto_added_scopes() -> None:
    (change,) = make_pull([], state(listed("gmail", "openid", SEND)), rules=RULES)
    assert (change.kind, change.scopes_after, change.added) == (ChangeKind.NEW, (SEND,), (SEND,))


def test_a_change_keeps_the_declared_order_and_appends_what_base44_has_more() -> None:
    declared = [spec("slack", "c", "a", "b")]
    (change,) = make_pull(declared, state(listed("slack", "x", "b", "c")), rules=RULES)
    assert (change.added, change.removed, change.scopes_after) == (("x",), ("a",), ("c", "b", "x"))
    assert change.reason == "Base44 has x and lacks a."


def test_an_alias_and_an_auto_added_scope_are_no_change() -> None:
    declared = [spec("gmail", SEND, "email")]
    registered = state(listed("gmail", "openid", "https://www.googleapis.com/auth/userinfo.email", SEND))
    assert make_pull(declared, registered, rules=RULES) == ()


def test_an_alias_stays_as_written_when_something_else_changes() -> None:
    declared = [spec("gmail", "email", SEND)]
    registered = state(listed("gmail", "https://www.googleapis.com/auth/userinfo.email", LABELS))
    (change,) = make_pull(declared, registered, rules=RULES)
    assert change.scopes_after == ("email", LABELS)


def test_a_connector_that_base44_does_not_list_is_missing_and_destructive() -> None:
    (change,) = make_pull([spec("slack", "a")], state(), rules=RULES)
    assert (change.kind, change.destructive, change.removed) == (ChangeKind.MISSING, True, ("a",))


def test_an_expired_connector_is_pulled_and_says_so() -> None:
    (change,) = make_pull([], state(listed("slack", "a", status="expired")), rules=RULES)
    assert change.reason == "Base44 lists this connector (expired); the portal does not declare it."


@pytest.mark.parametrize(
    ("declared", "mode", "kinds"),
    [
        ([], "sandbox", [ChangeKind.NEW]),
        ([spec("stripe")], "", [ChangeKind.MISSING]),
        ([spec("stripe")], "live", []),
        ([], "", []),
        ([spec("stripe")], None, []),
    ],
)
def test_stripe_is_pulled_only_when_its_state_is_known(
    declared: list[ConnectorSpec], mode: str | None, kinds: list[ChangeKind]
) -> None:
    assert [change.kind for change in make_pull(declared, state(stripe=mode), rules=RULES)] == kinds


def take_in(declared: Sequence[ConnectorSpec], changes: Sequence[PullChange]) -> tuple[ConnectorSpec, ...]:
    """The declaration after the given changes were taken in, all or some: order and connection settings are kept."""
    by_type = {change.type: change for change in changes}
    kept = [spec for spec in declared if spec.type not in by_type or not by_type[spec.type].destructive]
    after = [
        ConnectorSpec(spec.type, by_type[spec.type].scopes_after, spec.connection_config)
        if spec.type in by_type
        else spec
        for spec in kept
    ]
    new = [ConnectorSpec(change.type, change.scopes_after) for change in changes if change.kind is ChangeKind.NEW]
    return (*after, *new)


def test_taking_in_one_change_leaves_the_others_alone() -> None:
    declared = [spec("slack", "a"), ConnectorSpec("share_point", ("b",), {"subdomain": "sites/x"}), spec("box")]
    registered = state(listed("slack", "x"), listed("share_point", "y"), listed("notion"))
    changes = {change.type: change for change in make_pull(declared, registered, rules=RULES)}
    assert take_in(declared, [changes["share_point"]]) == (
        declared[0],
        ConnectorSpec("share_point", ("y",), {"subdomain": "sites/x"}),
        declared[2],
    )
    assert [one.type for one in take_in(declared, [changes["box"], changes["notion"]])] == [
        "slack",
        "share_point",
        "notion",
    ]


@given(cases())
def test_after_taking_everything_in_only_dead_connections_are_left_to_do(case: Case) -> None:
    declared, registered, rules = case
    after = take_in(declared, make_pull(declared, registered, rules=rules))
    plan = make_plan(after, registered, rules=rules)
    assert {action.kind for action in plan.actions} <= {ActionKind.CONSENT}
    dead = {one.type for one in registered.connectors if one.status in {"expired", "disconnected"}}
    assert {action.type for action in plan.actions} <= dead


@given(cases())
def test_after_taking_everything_in_nothing_differs_any_more(case: Case) -> None:
    declared, registered, rules = case
    after = take_in(declared, make_pull(declared, registered, rules=rules))
    assert make_pull(after, registered, rules=rules) == ()


@given(cases())
def test_what_base44_adds_by_itself_is_never_taken_in(case: Case) -> None:
    declared, registered, rules = case
    for change in make_pull(declared, registered, rules=rules):
        assert rules.normalise(change.type, change.added).isdisjoint(rules.auto_added(change.type))
