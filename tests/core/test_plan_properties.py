"""What holds for every plan: it ends, it is safe, and it does not depend on the order of its inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st

from connectors.core.catalog import load_catalog
from connectors.core.plan import ActionKind, Plan, make_plan
from connectors.core.scopes import ScopeRules
from connectors.core.specs import STRIPE, ConnectorSpec, RegisteredConnector, RegisteredState
from tests.core.simulate import simulate

TYPES = ["gmail", "github", "slack", "slackbot", "outlook", "notion", "share_point", "google_photos", "Slack", STRIPE]

Case = tuple[list[ConnectorSpec], RegisteredState, ScopeRules]


@cache
def scopes_of(type_: str) -> st.SearchStrategy[tuple[str, ...]]:
    known = [name for info in load_catalog().provider_scopes(type_)[:25] for name in (info.name, *info.aliases)]
    return st.lists(st.sampled_from([*known, "unheard:of", "Unheard:of", " "]), max_size=6).map(tuple)


@st.composite
def specs(draw: st.DrawFn, type_: str) -> ConnectorSpec:
    config = draw(st.sampled_from([{}, {"subdomain": "sites/team"}]))
    return ConnectorSpec(type_, draw(scopes_of(type_)), config)


@st.composite
def listings(draw: st.DrawFn, type_: str) -> RegisteredConnector:
    status = draw(st.sampled_from(["active", "active", "expired", "disconnected", "paused"]))
    return RegisteredConnector(type_, status, draw(scopes_of(type_)), draw(st.sampled_from(["", "ann@example.com"])))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    some_types = st.lists(st.sampled_from(TYPES), unique=True, max_size=6)
    declared = [draw(specs(type_)) for type_ in draw(some_types)]
    connectors = tuple(draw(listings(type_)) for type_ in draw(some_types) if type_ != STRIPE)
    added: Mapping[str, tuple[str, ...]] = {type_: draw(scopes_of(type_)) for type_ in draw(some_types)}
    stripe_mode = draw(st.sampled_from([None, "", "sandbox", "live"]))
    return declared, RegisteredState(connectors, stripe_mode), ScopeRules(auto_added=added)


def planned(case: Case) -> Plan:
    declared, registered, rules = case
    return make_plan(declared, registered, rules=rules)


def as_set(plan: Plan) -> tuple[set[str], set[str], set[str]]:
    """Actions, kept and warnings whatever their order."""
    actions = [action.as_json() | {"after": len(action.after)} for action in plan.actions]
    return {json.dumps(row) for row in actions}, {json.dumps(row.as_json()) for row in plan.kept}, set(plan.warnings)


@given(cases())
def test_applying_a_plan_and_planning_again_gives_an_empty_plan(case: Case) -> None:
    declared, registered, rules = case
    first = planned(case)
    assume(not first.problems)
    after = simulate(first, registered, rules=rules, chosen_removals=TYPES)
    assert make_plan(declared, after, rules=rules).is_empty


@given(cases())
def test_actions_with_a_problem_are_all_that_comes_back_beside_the_removals_they_block(case: Case) -> None:
    declared, registered, rules = case
    first = planned(case)
    after = simulate(first, registered, rules=rules, chosen_removals=TYPES)
    again = make_plan(declared, after, rules=rules)
    blocked = {action.type for action in first.destructive} if first.problems else set()
    assert {action.type for action in again.actions} == {action.type for action in first.problems} | blocked


@given(cases())
def test_without_ticks_and_consents_only_stripe_is_installed(case: Case) -> None:
    _, registered, rules = case
    after = simulate(planned(case), registered, rules=rules, consents=())
    assert set(after.connectors) == set(registered.connectors)
    assert after.stripe_mode in {registered.stripe_mode, "sandbox"}


@given(cases())
def test_consent_for_some_leaves_exactly_the_others(case: Case) -> None:
    declared, registered, rules = case
    first = planned(case)
    assume(not first.problems and first.actions)
    done, *others = [action.type for action in first.actions if not action.destructive] or [""]
    after = simulate(first, registered, rules=rules, chosen_removals=TYPES, consents=[done])
    again = make_plan(declared, after, rules=rules)
    assert {action.type for action in again.actions} == set(others) - {STRIPE}


@given(cases())
def test_what_is_deleted_is_always_destructive_undeclared_and_last(case: Case) -> None:
    declared, _, _ = case
    plan = planned(case)
    kinds = [action.kind.destructive for action in plan.actions]
    assert kinds == sorted(kinds)
    for action in plan.destructive:
        assert action.kind in {ActionKind.REMOVE, ActionKind.REMOVE_STRIPE}
        assert action.type.lower() not in {spec.type.lower() for spec in declared}
        assert action.after == tuple(range(len(plan.actions) - len(plan.destructive)))


@given(cases())
def test_every_declared_and_every_registered_type_stands_in_the_plan_once(case: Case) -> None:
    declared, registered, _ = case
    plan = planned(case)
    named = [action.type for action in plan.actions] + [kept.type for kept in plan.kept]
    stripe = {STRIPE} if registered.stripe_mode else set()
    assert len(named) == len(set(named))
    assert set(named) == {s.type for s in declared} | {c.type for c in registered.connectors} | stripe


@given(cases())
def test_an_active_connector_whose_scopes_agree_gets_no_action(case: Case) -> None:
    declared, registered, rules = case
    listed = {connector.type: connector for connector in registered.connectors}
    acted_on = {action.type for action in planned(case).actions}
    for spec in declared:
        now = listed.get(spec.type)
        if now and now.status == "active" and not rules.compare(spec.type, spec.scopes, now.scopes):
            assert spec.type not in acted_on


@given(cases())
def test_whatever_takes_a_scope_away_without_removing_the_connector_needs_consent(case: Case) -> None:
    for action in planned(case).actions:
        if action.removed and not action.destructive:
            assert action.needs_consent
            assert "consent" in action.reason


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_inputs_does_not_change_what_is_planned(case: Case, random: Random) -> None:
    declared, registered, rules = case
    connectors = list(registered.connectors)
    turned = random.sample(declared, len(declared))
    random.shuffle(connectors)
    first, second = planned(case), planned((turned, RegisteredState(tuple(connectors), registered.stripe_mode), rules))
    assert as_set(first) == as_set(second)
    assert first.fingerprint == second.fingerprint


@given(cases())
def test_every_plan_survives_json(case: Case) -> None:
    plan = planned(case)
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan


@given(cases())
def test_every_reason_is_a_sentence(case: Case) -> None:
    plan = planned(case)
    said = [action.reason for action in plan.actions] + [kept.reason for kept in plan.kept] + list(plan.warnings)
    assert [text for text in said if not text.endswith(".") or "  " in text or "None" in text] == []
