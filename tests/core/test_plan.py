"""A plan says what would happen at Base44, why, and what cannot happen by mistake."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from connectors.core.catalog import ConfigField
from connectors.core.errors import Refused
from connectors.core.plan import Action, ActionKind, Plan, make_plan
from connectors.core.scopes import ScopeRules
from connectors.core.specs import ConnectorSpec, RegisteredConnector, RegisteredState

SEND = "https://www.googleapis.com/auth/gmail.send"
RULES = ScopeRules(auto_added={"gmail": ["openid"]})


def spec(type_: str, *scopes: str, **config: str) -> ConnectorSpec:
    return ConnectorSpec(type_, scopes, config)


def listed(type_: str, *scopes: str, status: str = "active", account: str = "ann@example.com") -> RegisteredConnector:
    return RegisteredConnector(type_, status, scopes, account)


def plan(
    declared: Sequence[ConnectorSpec],
    registered: Sequence[RegisteredConnector] = (),
    *,
    stripe: str | None = "",
    offered: Mapping[str, Sequence[ConfigField]] | None = None,
    known_config: Mapping[str, Mapping[str, str]] | None = None,
    last_set: Mapping[str, Sequence[str]] | None = None,
    acting: str = "",
) -> Plan:
    state = RegisteredState(tuple(registered), stripe)
    return make_plan(
        declared,
        state,
        rules=RULES,
        offered=offered,
        known_config=known_config,
        last_set=last_set,
        acting_account=acting,
    )


def only(found: Plan) -> Action:
    (action,) = found.actions
    return action


# What is set, and why


def test_a_new_connector_is_set_and_needs_consent() -> None:
    action = only(plan([spec("slack", "chat:write", "", "chat:write")]))
    assert (action.kind, action.scopes, action.added) == (ActionKind.SET, ("chat:write",), ("chat:write",))
    assert action.needs_consent
    assert action.reason == "New at Base44: someone must give consent to chat:write."


def test_what_agrees_gets_no_action_and_says_what_only_seems_to_differ() -> None:
    found = plan([spec("gmail", SEND)], [listed("gmail", "openid", SEND)])
    assert found.is_empty
    assert found.kept[0].reason == "Same scopes: openid is added by Base44 by itself."
    assert found.warnings == ()


def test_adding_a_scope_says_that_the_old_connection_serves_until_consent() -> None:
    action = only(plan([spec("slack", "chat:write", "im:read")], [listed("slack", "chat:write")]))
    assert (action.added, action.removed, action.status_before) == (("im:read",), (), "active")
    assert action.reason == "Adds im:read: someone must give consent; until then the connection keeps what it has."


def test_narrowing_says_that_it_needs_consent_too() -> None:
    action = only(plan([spec("slack", "chat:write")], [listed("slack", "chat:write", "im:read")]))
    assert (action.removed, action.needs_consent, action.destructive) == (("im:read",), True, False)
    assert action.reason.startswith("Takes away im:read: narrowing needs consent, too;")


def test_all_scopes_are_sent_whatever_differs() -> None:
    action = only(plan([spec("slack", "im:read", "chat:write")], [listed("slack", "chat:write")]))
    assert action.scopes == ("im:read", "chat:write")


@pytest.mark.parametrize(("status", "words"), [("expired", "has expired"), ("disconnected", "is disconnected")])
def test_a_dead_connection_with_the_same_scopes_needs_consent_again(status: str, words: str) -> None:
    action = only(plan([spec("slack", "chat:write")], [listed("slack", "chat:write", status=status)]))
    assert (action.kind, action.needs_consent, action.scopes) == (ActionKind.CONSENT, True, ("chat:write",))
    assert action.reason == f"Same scopes, but the connection {words}: someone must give consent again."


def test_a_dead_connection_with_other_scopes_is_set() -> None:
    action = only(plan([spec("slack", "im:read")], [listed("slack", "chat:write", status="expired")]))
    assert action.kind is ActionKind.SET
    assert action.reason.endswith("until then the connection stays expired.")


def test_an_unknown_status_with_the_same_scopes_is_left_alone_and_said() -> None:
    found = plan([spec("slack", "chat:write")], [listed("slack", "chat:write", status="paused")])
    assert found.is_empty
    assert "“paused”" in found.warnings[0]


def test_changing_a_colleagues_connection_says_whose_it_will_be() -> None:
    action = only(plan([spec("slack", "im:read")], [listed("slack")], acting="bob@example.com"))
    assert action.reason.endswith("ann@example.com made the connection; it will belong to whoever gives consent.")
    assert action.account == "ann@example.com"


def test_ones_own_connection_is_known_in_any_capitals() -> None:
    action = only(plan([spec("slack", "im:read")], [listed("slack")], acting="Ann@Example.com"))
    assert "belong" not in action.reason


def test_a_colleagues_expired_connection_warns_of_a_refusal() -> None:
    now = [listed("slack", "im:read", status="expired")]
    action = only(plan([spec("slack", "im:read")], now, acting="bob@example.com"))
    assert action.reason.endswith("ann@example.com connected it: Base44 may refuse the same scopes from anybody else.")


def test_a_scope_that_base44_dropped_last_time_is_said_so_that_nobody_loops_unknowingly() -> None:
    now = [listed("slack", "chat:write")]
    found = plan([spec("slack", "chat:write", "admin")], now, last_set={"slack": ["chat:write", "admin"]})
    assert only(found).not_kept == ("admin",)
    assert only(found).reason.endswith("Base44 did not keep admin when it was last set.")
    assert found.warnings[0].startswith("slack: Base44 did not keep admin")


def test_many_scopes_are_counted_in_the_reason_and_listed_in_the_action() -> None:
    action = only(plan([spec("slack", *"abcdefg")]))
    assert "a, b, c, d and 3 more" in action.reason
    assert len(action.added) == 7


# Connection settings


def test_a_missing_required_setting_is_a_problem_that_names_the_field() -> None:
    found = plan([spec("share_point", "Sites.Read.All")])
    assert only(found).problem == "The connection setting “Site path” (subdomain) is missing."
    assert found.problems == found.actions


def test_a_required_setting_that_is_given_is_sent() -> None:
    action = only(plan([spec("share_point", "Sites.Read.All", subdomain=" sites/team ", other="")]))
    assert (action.problem, action.connection_config) == ("", {"subdomain": "sites/team"})


def test_base44s_own_list_of_settings_counts_more_than_the_catalogue() -> None:
    offered = {"slack": [ConfigField("team", "Team", required=True)], "share_point": []}
    found = plan([spec("slack"), spec("share_point")], offered=offered)
    assert [action.problem for action in found.actions] == ["The connection setting “Team” (team) is missing.", ""]


def test_a_changed_setting_is_set_though_the_scopes_agree() -> None:
    declared, now = [spec("share_point", "Sites.Read.All", subdomain="b")], [listed("share_point", "Sites.Read.All")]
    action = only(plan(declared, now, known_config={"share_point": {"subdomain": "a"}}))
    assert action.reason.startswith("Changes the connection setting subdomain:")


def test_an_unknown_setting_at_base44_is_not_compared_and_said() -> None:
    declared, now = [spec("share_point", "Sites.Read.All", subdomain="b")], [listed("share_point", "Sites.Read.All")]
    found = plan(declared, now)
    assert found.is_empty
    assert found.kept[0].reason.endswith("these were not compared.")


# Removals and their guard rails


def test_an_undeclared_connector_is_a_removal_that_must_be_ticked_and_comes_last() -> None:
    found = plan([spec("gmail", SEND), spec("slackbot")], [listed("slack", "im:read"), listed("gmail", "openid")])
    assert [(action.type, action.kind, action.destructive) for action in found.actions] == [
        ("gmail", ActionKind.SET, False),
        ("slackbot", ActionKind.SET, False),
        ("slack", ActionKind.REMOVE, True),
    ]
    assert found.actions[2].removed == ("im:read",)
    assert "made by ann@example.com" in found.actions[2].reason


def test_a_failed_set_blocks_every_removal_and_nothing_else() -> None:
    found = plan([spec("slackbot"), spec("gmail")], [listed("slack"), listed("box")])
    assert [action.blocked_by({1}) for action in found.actions] == [(), (), (1,), (1,)]
    assert [action.blocked_by(set()) for action in found.actions] == [()] * 4


def test_a_failed_removal_blocks_no_other_removal() -> None:
    found = plan([], [listed("slack"), listed("box")])
    assert [action.blocked_by({0}) for action in found.actions] == [(), ()]


def test_nothing_declared_warns_that_everything_would_go() -> None:
    found = plan([], [listed("slack"), listed("gmail")])
    assert found.removes_everything
    assert found.warnings[0].startswith("Every connector that Base44 lists for this app (2) would be removed")


def test_a_wrong_folder_that_matches_nothing_warns_too() -> None:
    found = plan([spec("notion")], [listed("slack")])
    assert found.removes_everything
    assert "nothing that is declared matches" in found.warnings[0]


def test_one_removal_among_connectors_that_stay_is_no_wave() -> None:
    found = plan([spec("gmail", SEND)], [listed("gmail", SEND), listed("slack")])
    assert not found.removes_everything
    assert found.warnings == ()


def test_a_slip_of_capitals_removes_nothing_and_sets_nothing() -> None:
    found = plan([spec("Slack", "im:read")], [listed("slack", "im:read")])
    assert only(found).problem == (
        "The type Slack differs only by capital letters from slack, which Base44 takes for another one."
    )
    assert found.kept[0].reason.startswith("slack is not removed: the declared type Slack differs")
    assert not found.removes_everything


def test_a_known_type_in_wrong_capitals_is_a_problem_even_when_base44_lists_neither() -> None:
    assert "from gmail" in only(plan([spec("GMail", SEND)])).problem


def test_a_declared_type_in_the_right_capitals_is_set_though_base44_lists_an_odd_twin() -> None:
    found = plan([spec("slack", "im:read")], [listed("Slack", "im:read")])
    assert (only(found).kind, only(found).problem) == (ActionKind.SET, "")
    assert found.kept[0].type == "Slack"


def test_an_odd_type_that_base44_really_lists_is_compared_as_it_is() -> None:
    assert plan([spec("Slack", "im:read")], [listed("Slack", "im:read")]).is_empty


def test_an_unknown_type_is_planned_with_a_warning() -> None:
    found = plan([spec("google_photos")])
    assert only(found).problem == ""
    assert found.warnings == ("google_photos is not a known integration type. Base44 decides whether it accepts it.",)


def test_what_base44_offers_counts_as_known_and_nothing_else() -> None:
    found = plan([spec("slack"), spec("google_photos")], offered={"google_photos": []})
    assert found.warnings == ("slack is not a known integration type. Base44 decides whether it accepts it.",)


def test_a_type_declared_twice_is_refused() -> None:
    with pytest.raises(Refused, match="Declared more than once: slack"):
        plan([spec("slack", "a"), spec("gmail"), spec("slack", "b")])


# Stripe


def test_declared_stripe_is_provisioned_after_the_sets_without_consent() -> None:
    found = plan([spec("stripe"), spec("slack")])
    assert [action.kind for action in found.actions] == [ActionKind.SET, ActionKind.PROVISION]
    assert not found.actions[1].needs_consent


@pytest.mark.parametrize("mode", ["sandbox", "live"])
def test_installed_stripe_is_kept(mode: str) -> None:
    found = plan([spec("stripe")], stripe=mode)
    assert found.is_empty
    assert found.kept[0].reason == f"Stripe is installed ({mode})."


def test_removing_a_stripe_sandbox_is_destructive_and_waits_for_the_sets() -> None:
    found = plan([spec("slack")], stripe="sandbox")
    removal = found.actions[1]
    assert (removal.kind, removal.destructive, removal.after) == (ActionKind.REMOVE_STRIPE, True, (0,))
    assert not any("LIVE" in warning for warning in found.warnings)


def test_removing_live_stripe_is_warned_of_strongly() -> None:
    found = plan([spec("slack", "a")], [listed("slack", "a")], stripe="live")
    assert found.warnings == (
        "Removing Stripe would disconnect a LIVE account: the app would stop taking real payments at once.",
    )
    assert "real payments stop" in only(found).reason


@pytest.mark.parametrize("declared", [[spec("stripe")], []])
def test_an_unknown_stripe_state_plans_nothing_and_says_so(declared: list[ConnectorSpec]) -> None:
    found = plan(declared, stripe=None)
    assert found.is_empty
    assert found.warnings == ("Base44 did not say whether Stripe is installed, so nothing is planned for Stripe.",)


def test_stripe_in_wrong_capitals_is_not_removed() -> None:
    found = plan([spec("Stripe")], stripe="live")
    assert [action.kind for action in found.actions] == [ActionKind.SET]
    assert only(found).problem
    assert found.kept[0].reason.startswith("stripe is not removed")


def test_scopes_declared_for_stripe_are_ignored_and_said() -> None:
    assert plan([spec("stripe", "read_only")], stripe="live").warnings == (
        "Stripe takes no scopes: those declared for it are ignored.",
    )


# The plan as a whole


def test_the_fingerprint_ignores_the_order_in_which_base44_lists() -> None:
    first, second = listed("slack", "a", "b"), listed("box", "c")
    turned = [listed("box", "c"), listed("slack", "b", "a")]
    assert plan([], [first, second]).fingerprint == plan([], turned).fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        listed("slack", "a", "b"),
        listed("slack", "a", status="expired"),
        listed("slack", "a", account="bob@example.com"),
    ],
)
def test_the_fingerprint_changes_with_what_base44_says(changed: RegisteredConnector) -> None:
    assert plan([], [listed("slack", "a")]).fingerprint != plan([], [changed]).fingerprint


def test_the_fingerprint_changes_with_stripe_and_with_the_declared_scopes() -> None:
    prints = {
        plan([spec("slack", "a")], stripe="").fingerprint,
        plan([spec("slack", "a")], stripe=None).fingerprint,
        plan([spec("slack", "b")], stripe="").fingerprint,
    }
    assert len(prints) == 3


def test_a_plan_survives_json() -> None:
    found = plan(
        [spec("share_point", "Sites.Read.All", subdomain="a"), spec("slack", "a"), spec("stripe")],
        [listed("slack", "a"), listed("box", "c")],
    )
    assert Plan.from_json(json.loads(json.dumps(found.as_json()))) == found


def test_rows_begin_with_type_action_and_reason_and_end_with_what_is_kept() -> None:
    rows = plan([spec("slack", "a"), spec("box")], [listed("slack", "a")]).rows()
    assert [(row["type"], row["action"]) for row in rows] == [("box", "set"), ("slack", "keep")]
    assert all(list(row)[:3] == ["type", "action", "reason"] for row in rows)


def test_counts_name_every_kind() -> None:
    found = plan([spec("slack", "a"), spec("stripe")], [listed("box")])
    assert found.counts == {"set": 1, "consent": 0, "provision": 1, "remove": 1, "remove_stripe": 0, "keep": 0}


# What could not be read


@pytest.mark.parametrize("declared", [[], [spec("slack", "chat:write")]], ids=["not declared", "declared"])
def test_a_connector_that_could_not_be_read_is_neither_set_nor_removed(declared: list[ConnectorSpec]) -> None:
    found = plan(declared, [listed("slack", status="unreadable")])
    assert found.is_empty
    assert "could not be read" in found.warnings[0]
