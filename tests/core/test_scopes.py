"""Scope sets compare by meaning: aliases, implied and auto-added scopes are explained, real differences are not."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from connectors.core.catalog import load_catalog
from connectors.core.scopes import ScopeDifference, ScopeRules, tidy

SEND = "https://www.googleapis.com/auth/gmail.send"
EMAIL = "https://www.googleapis.com/auth/userinfo.email"
NOTHING = ScopeDifference()

rules = ScopeRules(auto_added={"gmail": ["openid", "email"], "google_photos": ["base"]})

TYPES = ["gmail", "github", "slack", "outlook", "box", "notion", "google_photos"]


@st.composite
def types_and_scopes(draw: st.DrawFn) -> tuple[str, list[str], list[str]]:
    type_ = draw(st.sampled_from(TYPES))
    catalogued = [name for info in load_catalog().provider_scopes(type_)[:40] for name in (info.name, *info.aliases)]
    scopes = st.lists(st.sampled_from([*catalogued, "email", "base", "unheard:of", "Unheard:of", "", "  "]), max_size=8)
    return type_, draw(scopes), draw(scopes)


def test_added_and_removed_keep_the_order_and_spelling_of_their_side() -> None:
    found = rules.compare("slack", ["users:read", "chat:write", "im:read"], ["im:read", "files:read", "channels:read"])
    assert found == ScopeDifference(("users:read", "chat:write"), ("files:read", "channels:read"))


def test_order_repeats_and_blanks_make_no_difference() -> None:
    assert rules.compare("slack", ["a", " b", "a", "", " "], ["b", "a"]) == NOTHING


def test_case_makes_a_difference() -> None:
    assert rules.compare("slack", ["Chat:write"], ["chat:write"]) == ScopeDifference(("Chat:write",), ("chat:write",))


def test_an_alias_is_no_difference_and_is_explained() -> None:
    found = rules.compare("gmail", [SEND, "email"], [SEND, EMAIL])
    assert found == ScopeDifference(explained=(("email", f"is another name of {EMAIL}"),))


def test_a_spelling_registered_as_it_is_needs_no_explanation() -> None:
    assert rules.compare("gmail", ["email", EMAIL], [EMAIL, "email"]) == NOTHING


def test_what_base44_adds_is_not_a_removal() -> None:
    found = rules.compare("gmail", [SEND], [SEND, "openid"])
    assert found == ScopeDifference(explained=(("openid", "is added by Base44 by itself"),))


def test_what_the_provider_adds_is_not_a_removal() -> None:
    found = rules.compare("slack", ["chat:write"], ["chat:write", "identify"])
    assert found == ScopeDifference(explained=(("identify", "is added by the provider by itself"),))


def test_an_auto_added_scope_that_is_declared_but_not_registered_is_missing() -> None:
    assert rules.compare("gmail", [SEND, "openid"], [SEND]).added == ("openid",)


def test_base44_adds_scopes_of_an_unknown_type_too() -> None:
    assert not rules.compare("google_photos", ["photos"], ["photos", "base"])


def test_a_scope_that_github_drops_under_a_broader_one_is_no_difference() -> None:
    found = rules.compare("github", ["repo", "repo:status"], ["repo"])
    assert found == ScopeDifference(explained=(("repo:status", "is contained in repo"),))


def test_a_registered_broader_scope_does_not_excuse_a_narrower_declared_one() -> None:
    found = rules.compare("github", ["repo:status"], ["repo"])
    assert found == ScopeDifference(("repo:status",), ("repo",))


def test_a_narrower_registered_scope_does_not_cover_a_broader_declared_one() -> None:
    assert rules.compare("github", ["repo"], ["repo:status"]) == ScopeDifference(("repo",), ("repo:status",))


def test_a_scope_that_the_provider_never_reports_is_not_missing() -> None:
    found = rules.compare("outlook", ["Mail.Read", "offline_access"], ["https://graph.microsoft.com/Mail.Read"])
    assert not found
    assert ("offline_access", "is never reported back by the provider") in found.explained


def test_a_provider_without_scopes_gives_no_difference_when_base44_lists_none() -> None:
    found = rules.compare("notion", ["read_content"], [])
    assert found.explained == (("read_content", "means nothing to Notion, which has no OAuth scopes"),)
    assert not found


def test_a_provider_that_does_not_report_scopes_still_differs_from_what_base44_lists() -> None:
    assert rules.compare("box", ["root_readwrite"], []).added == ("root_readwrite",)


def test_normalise_resolves_aliases_and_drops_blanks() -> None:
    assert rules.normalise("gmail", ["email", EMAIL, " ", SEND]) == frozenset({EMAIL, SEND})


def test_tidy_keeps_the_first_of_each_and_its_place() -> None:
    assert tidy(["b", " a", "", "b ", "a"]) == ("b", "a")


def test_once_base44_has_said_what_it_adds_nothing_else_counts_as_not_asked_for() -> None:
    scopes = ["openid", "https://www.googleapis.com/auth/userinfo.profile", SEND]
    assert rules.without_auto_added("gmail", scopes) == (scopes[1], SEND)
    assert ScopeRules().without_auto_added("gmail", scopes) == (SEND,)


@given(types_and_scopes())
def test_a_set_never_differs_from_itself(case: tuple[str, list[str], list[str]]) -> None:
    type_, scopes, _ = case
    assert rules.compare(type_, scopes, scopes) == NOTHING


@given(types_and_scopes(), st.randoms(use_true_random=False))
def test_the_order_of_the_lists_does_not_matter(case: tuple[str, list[str], list[str]], random: Random) -> None:
    type_, declared, registered = case
    first = rules.compare(type_, declared, registered)
    random.shuffle(declared)
    random.shuffle(registered)
    second = rules.compare(type_, declared, registered)
    assert (set(first.added), set(first.removed)) == (set(second.added), set(second.removed))


@given(types_and_scopes())
def test_each_scope_stands_at_most_once_and_only_where_it_belongs(case: tuple[str, list[str], list[str]]) -> None:
    type_, declared, registered = case
    found = rules.compare(type_, declared, registered)
    assert set(found.added) <= set(tidy(declared)) - set(tidy(registered))
    assert set(found.removed) <= set(tidy(registered)) - set(tidy(declared))
    named = [*found.added, *found.removed, *(scope for scope, _ in found.explained)]
    assert len(named) == len(set(named))


@given(types_and_scopes())
def test_a_difference_of_meaning_is_never_overlooked(case: tuple[str, list[str], list[str]]) -> None:
    type_, declared, registered = case
    wanted, held = rules.normalise(type_, declared), rules.normalise(type_, registered)
    found = rules.compare(type_, declared, registered)
    mentioned = {*found.added, *found.removed, *(scope for scope, _ in found.explained)}
    assert wanted ^ held <= rules.normalise(type_, mentioned)


@given(types_and_scopes())
def test_setting_exactly_the_declared_scopes_ends_the_difference(case: tuple[str, list[str], list[str]]) -> None:
    type_, declared, _ = case
    set_by_base44 = [*tidy(declared), *rules.auto_added(type_)]
    assert not rules.compare(type_, declared, set_by_base44)
