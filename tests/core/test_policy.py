"""Rules and uses: a finding exactly where every stated condition holds, whatever the order."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.core import policy_words
from connectors.core.policy import (
    Effect,
    Exemption,
    PolicyNote,
    PolicyRefused,
    Rule,
    Use,
    added,
    findings,
    gravest,
    judge,
    note_of,
)
from connectors.core.scope_patterns import matches

SEND = "mail.send"
SCOPES = [SEND, "mail.read", "mail.full", "files.read", "files.write"]
PATTERNS = [SEND, "mail.*", "*", "*.read", "nothing"]

rules = st.builds(
    Rule,
    name=st.sampled_from(["one", "two", "three"]),
    effect=st.sampled_from(list(Effect)),
    environments=st.lists(st.sampled_from(["production", "staging"]), unique=True, max_size=2).map(tuple),
    tags=st.lists(st.sampled_from(["payments", "internal"]), unique=True, max_size=2).map(tuple),
    types=st.lists(st.sampled_from(["gmail", "box"]), unique=True, max_size=2).map(tuple),
    scope_patterns=st.lists(st.sampled_from(PATTERNS), unique=True, max_size=2).map(tuple),
    min_sensitivity=st.none() | st.integers(0, 3),
    account_domains=st.lists(st.sampled_from(["acme.com", "Acme.org"]), unique=True, max_size=2).map(tuple),
    never_with=st.lists(st.sampled_from(PATTERNS), unique=True, max_size=2).map(tuple),
    key=st.integers(1, 9),
)
uses = st.builds(
    Use,
    project=st.integers(1, 2),
    type=st.sampled_from(["gmail", "box"]),
    scope=st.sampled_from(["", *SCOPES]),
    environment=st.sampled_from(["production", "staging", "development"]),
    tags=st.frozensets(st.sampled_from(["payments", "internal", "other"])),
    account=st.sampled_from(["", "ann@acme.com", "BOB@ACME.ORG", "eve@evil.net", "handle"]),
    sensitivity=st.none() | st.integers(0, 3),
    spellings=st.sampled_from([(), ("another.name",)]),
    contains=st.sampled_from([(), (SEND,)]),
)


def many_uses(at_most: int, *, at_least: int = 0) -> st.SearchStrategy[list[Use]]:
    """As in a fleet: a connector has a scope once."""
    return st.lists(uses, min_size=at_least, max_size=at_most, unique_by=lambda use: (use.project, use.type, use.scope))


def many_rules(at_most: int) -> st.SearchStrategy[list[Rule]]:
    """As they are stored: each has a key of its own."""
    return st.lists(rules, max_size=at_most, unique_by=lambda rule: rule.key)


def meant(rule: Rule, use: Use) -> bool:
    """The conditions once more, each written out in the plainest way."""
    names = [use.scope, *use.spellings, *use.contains]
    _, at, domain = use.account.partition("@")
    foreign = bool(at) and domain.lower() not in [allowed.lower() for allowed in rule.account_domains]
    return all(
        [
            not rule.environments or use.environment in rule.environments,
            not rule.tags or bool(use.tags & set(rule.tags)),
            not rule.types or use.type in rule.types,
            not rule.scope_patterns or any(plainly(p, n) for p in rule.scope_patterns for n in names),
            rule.min_sensitivity is None or (use.sensitivity is not None and use.sensitivity >= rule.min_sensitivity),
            not rule.account_domains or foreign,
        ]
    )


def plainly(pattern: str, name: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", "(.|\n)*"), name) is not None


def expected(rule: Rule, given: list[Use]) -> set[tuple[Use, str]]:
    found = set()
    for use in (use for use in given if meant(rule, use)):
        if not rule.never_with:
            found.add((use, ""))
        for other in given:
            names = [other.scope, *other.spellings, *other.contains]
            together = any(plainly(p, n) for p in rule.never_with for n in names)
            if together and other.project == use.project and other.scope not in ("", use.scope):
                found.add((use, other.scope))
    return found


@given(rules, many_uses(8))
def test_a_finding_exactly_when_every_condition_holds(rule: Rule, given: list[Use]) -> None:
    found = {(breach.use, breach.partner) for finding in findings([rule], given) for breach in finding.breaches}
    assert found == expected(rule, given)


@given(many_rules(4), many_uses(8), st.randoms(use_true_random=False))
def test_the_order_of_rules_and_uses_does_not_matter(many: list[Rule], given: list[Use], random: Random) -> None:
    shuffled_rules, shuffled = random.sample(many, len(many)), random.sample(given, len(given))
    assert set(findings(many, given)) == set(findings(shuffled_rules, shuffled))


@given(many_rules(4), many_uses(8), many_uses(4))
def test_a_change_is_charged_with_nothing_that_was_there_before(
    many: list[Rule], before: list[Use], new: list[Use]
) -> None:
    assert added(findings(many, before), findings(many, [*before, *new])) == ()


@given(many_rules(3), many_uses(8))
def test_a_change_from_nothing_is_charged_with_all(many: list[Rule], given: list[Use]) -> None:
    assert added(findings(many, given), ()) == findings(many, given)


@given(st.text(), st.text())
def test_a_pattern_without_a_star_means_itself_alone(pattern: str, name: str) -> None:
    literal = pattern.replace("*", "")
    assert matches([literal], [name]) == (literal == name)


@given(st.text(), st.text(), st.text())
def test_a_star_means_any_text_and_nothing_else_is_special(start: str, middle: str, end: str) -> None:
    pattern = f"{start.replace('*', '')}*{end.replace('*', '')}"
    assert matches([pattern], [f"{start.replace('*', '')}{middle}{end.replace('*', '')}"])


@pytest.mark.parametrize("name", ["https://x/authXgmail", "https://x/auth/gmai", "HTTPS://x/auth.gmail"])
def test_dots_and_capitals_are_literal(name: str) -> None:
    assert not matches(["https://x/auth.gmail"], [name])


@given(rules, many_uses(6, at_least=1))
def test_an_exception_for_the_whole_project_leaves_nothing_to_count(rule: Rule, given: list[Use]) -> None:
    exemptions = [Exemption(rule.key or 0, project) for project in (1, 2)]
    for judged in judge(findings([rule], given), exemptions):
        assert judged.counting is None
        assert judged.exemption is not None


def use(scope: str, **values: object) -> Use:
    return replace(Use(1, "gmail", scope, "production"), **values)  # type: ignore[arg-type]


def test_going_down_to_an_included_scope_adds_nothing() -> None:
    rule = Rule("No sending", Effect.BLOCK, scope_patterns=(SEND,))
    broad, narrow = findings([rule], [use("mail.full", contains=(SEND,))]), findings([rule], [use(SEND)])
    assert added(narrow, broad) == ()
    assert added(broad, narrow) == broad


def test_an_exception_for_one_scope_leaves_the_other_to_count() -> None:
    rule = Rule("Mail", Effect.BLOCK, scope_patterns=("mail.*",), key=7)
    (judged,) = judge(findings([rule], [use(SEND), use("mail.read")]), [Exemption(7, 1, "gmail", "mail.read", 3)])
    assert judged.counting is not None
    assert judged.counting.scopes == (SEND,)
    assert judged.exemption is None


@pytest.mark.parametrize(
    "exemption", [Exemption(8, 1), Exemption(7, 2), Exemption(7, 1, "box"), Exemption(7, 1, "", "mail.send.all")]
)
def test_an_exception_for_something_else_covers_nothing(exemption: Exemption) -> None:
    rule = Rule("Mail", scope_patterns=(SEND,), key=7)
    (judged,) = judge(findings([rule], [use(SEND)]), [exemption])
    assert judged.counting == judged.finding


def test_an_exception_for_a_scope_does_not_cover_a_broader_one() -> None:
    rule = Rule("No sending", scope_patterns=(SEND,), key=7)
    (judged,) = judge(findings([rule], [use("mail.full", contains=(SEND,))]), [Exemption(7, 1, "", SEND)])
    assert judged.counting is not None


def test_the_sentence_says_what_a_broader_scope_includes() -> None:
    (finding,) = findings([Rule("No sending", scope_patterns=(SEND,))], [use("mail.full", contains=(SEND,))])
    assert finding.sentence == "mail.full should not be here: it includes mail.send."


def test_the_sentence_gives_each_condition() -> None:
    rule = Rule("Pay", Effect.BLOCK, environments=("production",), tags=("payments",), min_sensitivity=3)
    (finding,) = findings([rule], [use(SEND, sensitivity=3, tags=frozenset({"payments", "x"}))])
    assert finding.sentence == (
        "mail.send is forbidden: its sensitivity is critical, the project is in production, "
        "the project is tagged payments."
    )


def test_the_sentence_names_the_foreign_account_and_the_partner() -> None:
    rule = Rule("Ours", Effect.APPROVAL, account_domains=("acme.com",), never_with=("files.*",))
    (finding,) = findings([rule], [use(SEND, account="eve@evil.net"), use("files.read", type="box")])
    assert finding.sentence == (
        "mail.send needs approval: the account eve@evil.net is not of acme.com, the same project has files.read."
    )


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            Rule("a", Effect.BLOCK, min_sensitivity=3, environments=("production",)),
            "Blocks critical scopes in production.",
        ),
        (
            Rule("b", Effect.APPROVAL, scope_patterns=("a", "b.*"), types=("gmail",)),
            "Asks for approval of a or b.* of gmail.",
        ),
        (
            Rule("c", Effect.WARN, min_sensitivity=2, tags=("x",), account_domains=("acme.com",)),
            "Warns about high or graver scopes in projects tagged x, except for accounts of acme.com.",
        ),
        (
            Rule("d", Effect.BLOCK, scope_patterns=("a",), never_with=("b",)),
            "Blocks a together with b in the same project.",
        ),
    ],
)
def test_a_rule_is_one_sentence(rule: Rule, sentence: str) -> None:
    assert policy_words.rule(rule) == sentence


def test_a_refusal_names_the_rule_its_explanation_and_the_way_on() -> None:
    rule = Rule("No sending", Effect.APPROVAL, "Ask the platform team", scope_patterns=(SEND,), key=4)
    error = PolicyRefused(1, findings([rule], [use(SEND)]))
    assert str(error) == (
        "gmail: mail.send needs approval: the policy names it. The policy “No sending” says so. "
        "Ask the platform team. Ask for an exception."
    )
    assert error.notes[0].asked_scope == SEND


def test_a_note_survives_its_json() -> None:
    (judged,) = judge(findings([Rule("Mail", scope_patterns=("mail.*",), key=2)], [use(SEND), use("mail.read")]), [])
    assert PolicyNote.from_json(note_of(judged).as_json()) == note_of(judged)


def test_the_gravest_effect_counts() -> None:
    assert gravest([Effect.WARN, Effect.BLOCK, Effect.APPROVAL]) == Effect.BLOCK
    assert gravest([]) is None
