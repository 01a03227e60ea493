"""The team's rules about scopes: which uses break which rule, what exceptions take away, and why, in words. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from connectors.core import policy_words as words
from connectors.core.errors import Refused
from connectors.core.scope_patterns import matches


class Effect(StrEnum):
    """What a rule does, the mildest first.

    warn: it is said. approval: nobody adds it without an exception. block: the same, and only those who may change
    the rules grant the exception.
    """

    WARN = "warn"
    APPROVAL = "approval"
    BLOCK = "block"

    @property
    def rank(self) -> int:
        """0 for warn up to 2 for block."""
        return list(Effect).index(self)

    @property
    def stops(self) -> bool:
        """Whether a change that breaks the rule is refused."""
        return self is not Effect.WARN


@dataclass(frozen=True, slots=True)
class Rule:
    """Which scopes are meant: every condition that is stated has to hold, and an empty one holds always.

    `scope_patterns` and `never_with` are literal but for `*`. `min_sensitivity` goes from 0 (low) to 3 (critical); a
    scope whose sensitivity nobody knows does not meet it. With `account_domains` the rule is broken by accounts of
    other domains alone: an account that is unknown or no e-mail address is not judged. With `never_with` it is broken
    only where another scope of the project matches. `key` is what the caller knows the rule by.
    """

    name: str
    effect: Effect = Effect.WARN
    explanation: str = ""
    environments: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    scope_patterns: tuple[str, ...] = ()
    min_sensitivity: int | None = None
    account_domains: tuple[str, ...] = ()
    never_with: tuple[str, ...] = ()
    key: int | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One scope of one connector, where it stands. `scope` "" is a connector that has no scopes.

    `spellings` are other names of the scope, `contains` the scopes whose access it includes: a rule about
    gmail.send is broken by full mail access too.
    """

    project: int
    type: str
    scope: str
    environment: str = ""
    tags: frozenset[str] = frozenset()
    account: str = ""
    sensitivity: int | None = None
    spellings: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Breach:
    """One use that breaks a rule; `partner` is the scope beside which it must not stand, "" when it stands alone."""

    use: Use
    partner: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that one connector breaks, with everything that breaks it. Breaches are in order, each once."""

    rule: Rule
    project: int
    type: str
    breaches: tuple[Breach, ...]

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that break the rule, in order; none for a connector that has no scopes."""
        return tuple(dict.fromkeys(breach.use.scope for breach in self.breaches if breach.use.scope))

    @property
    def sentence(self) -> str:
        """What breaks the rule and why, without the rule's name."""
        first = self.breaches[0].use
        partners = tuple(dict.fromkeys(breach.partner for breach in self.breaches if breach.partner))
        return words.finding(self.rule, first, self.scopes, partners)


@dataclass(frozen=True, slots=True)
class Exemption:
    """A granted exception from one rule in one project: of one type or of all (""), for scopes that match or all ("").

    `key` is what the caller knows it by. The earlier in a list, the sooner it is the one that is named.
    """

    rule: int
    project: int
    type: str = ""
    scope: str = ""
    key: int | None = None

    def covers(self, rule: Rule, use: Use) -> bool:
        """Whether the rule does not count for this use. A scope that contains the excepted one is not covered."""
        if rule.key != self.rule or use.project != self.project or self.type not in ("", use.type):
            return False
        return not self.scope or matches([self.scope], (use.scope, *use.spellings))


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding cut in two: what counts, and what exceptions cover, by the exception. One of both is never empty."""

    finding: Finding
    counting: Finding | None
    excepted: tuple[tuple[Breach, Exemption], ...] = ()

    @property
    def exemption(self) -> Exemption | None:
        """The exception that covers it while all of it is covered; None while something counts."""
        return None if self.counting or not self.excepted else self.excepted[0][1]


@dataclass(frozen=True, slots=True)
class PolicyNote:
    """What the rules say of one connector's change, for a plan, a page or the shell.

    `verdict` is the rule's effect, or "excepted" where an exception covers all of it. `rule` and `project` are the
    caller's keys, with which an exception can be asked for.
    """

    rule: int
    name: str
    verdict: str
    project: int
    type: str
    scopes: tuple[str, ...]
    text: str

    @property
    def stops(self) -> bool:
        """Whether the change cannot be made as it is."""
        return self.verdict in (Effect.APPROVAL, Effect.BLOCK)

    @property
    def asked_scope(self) -> str:
        """What an exception has to name: the one scope, else "" for all that the rule means."""
        return self.scopes[0] if len(self.scopes) == 1 else ""

    def as_json(self) -> dict[str, Any]:
        """The note as the shell prints it; `from_json` gives an equal one back."""
        return {**asdict(self), "scopes": list(self.scopes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PolicyNote:
        """The note that `as_json` wrote."""
        return cls(**{**data, "scopes": tuple(data["scopes"])})


def note_of(judged: Judged) -> PolicyNote:
    """What to say of a judged finding."""
    shown = judged.counting or judged.finding
    rule = shown.rule
    if judged.counting is None:
        verdict, text = "excepted", words.excepted(rule, shown.scopes)
    elif rule.effect.stops:
        verdict, text = rule.effect.value, words.refusal(rule, shown.type, shown.sentence)
    else:
        verdict, text = rule.effect.value, words.warning(rule, shown.type, shown.sentence)
    return PolicyNote(rule.key or 0, rule.name, verdict, shown.project, shown.type, shown.scopes, text)


class PolicyRefused(Refused):
    """A change breaks rules that stop it. `findings` are what it adds, the gravest rule first."""

    def __init__(self, project: int, findings: Sequence[Finding]) -> None:
        self.project, self.findings = project, tuple(findings)
        super().__init__(" ".join(note.text for note in self.notes))

    @property
    def notes(self) -> tuple[PolicyNote, ...]:
        """The findings as pages show them."""
        return tuple(note_of(Judged(finding, finding)) for finding in self.findings)


def findings(rules: Iterable[Rule], uses: Iterable[Use]) -> tuple[Finding, ...]:
    """Every rule that is broken, once for each connector; the order of rules and uses does not matter.

    The gravest rules come first, then by project, type and name. Uses of the whole project must be there for rules
    with `never_with`.
    """
    given = tuple(dict.fromkeys(uses))
    by_project: dict[int, list[Use]] = defaultdict(list)
    for use in given:
        by_project[use.project].append(use)
    found = (finding for rule in dict.fromkeys(rules) for finding in _broken(rule, by_project))
    return tuple(sorted(found, key=_gravest_first))


def judge(found: Iterable[Finding], exemptions: Collection[Exemption]) -> tuple[Judged, ...]:
    """Each finding with what the exceptions take from it."""
    return tuple(_judged(finding, exemptions) for finding in found)


def added(after: Iterable[Finding], before: Iterable[Finding]) -> tuple[Finding, ...]:
    """What is broken after a change and was not before: only this can be held against the change."""
    known = {key for finding in before for key in _keys(finding)}
    cut = (_without(finding, known) for finding in after)
    return tuple(finding for finding in cut if finding is not None)


def gravest(effects: Iterable[Effect]) -> Effect | None:
    """The effect that counts where several rules are broken."""
    return max(effects, key=lambda effect: effect.rank, default=None)


def _broken(rule: Rule, by_project: Mapping[int, Sequence[Use]]) -> Iterable[Finding]:
    for project, uses in by_project.items():
        meant: dict[str, list[Breach]] = defaultdict(list)
        for use in uses:
            if _is_meant(rule, use):
                meant[use.type] += _breaches(rule, use, uses)
        for type_, breaches in meant.items():
            if breaches:
                ordered = tuple(sorted(breaches, key=lambda breach: (breach.use.scope, breach.partner)))
                yield Finding(rule, project, type_, ordered)


def _is_meant(rule: Rule, use: Use) -> bool:
    """Whether every condition on the use itself holds; the cheap ones come first."""
    if rule.environments and use.environment not in rule.environments:
        return False
    if rule.types and use.type not in rule.types:
        return False
    if rule.min_sensitivity is not None and (use.sensitivity is None or use.sensitivity < rule.min_sensitivity):
        return False
    if rule.tags and use.tags.isdisjoint(rule.tags):
        return False
    if rule.account_domains and not _is_foreign(use.account, rule.account_domains):
        return False
    return not rule.scope_patterns or _matches_use(rule.scope_patterns, use)


def _breaches(rule: Rule, use: Use, others: Sequence[Use]) -> list[Breach]:
    if not rule.never_with:
        return [Breach(use)]
    partners = {other.scope for other in others if other.scope != use.scope and _matches_use(rule.never_with, other)}
    return [Breach(use, partner) for partner in partners if partner]


def _matches_use(patterns: Iterable[str], use: Use) -> bool:
    return matches(patterns, (use.scope, *use.spellings, *use.contains))


def _is_foreign(account: str, domains: Collection[str]) -> bool:
    name, at, domain = account.rpartition("@")
    return bool(name and at) and domain.lower() not in {allowed.lower() for allowed in domains}


def _judged(finding: Finding, exemptions: Collection[Exemption]) -> Judged:
    covering = {
        breach: next((one for one in exemptions if one.covers(finding.rule, breach.use)), None)
        for breach in finding.breaches
    }
    excepted = tuple((breach, one) for breach, one in covering.items() if one is not None)
    first = tuple(sorted(excepted, key=lambda pair: list(exemptions).index(pair[1])))
    return Judged(finding, _only(finding, lambda breach: covering[breach] is None), first)


def _only(finding: Finding, keep: Callable[[Breach], bool]) -> Finding | None:
    left = tuple(breach for breach in finding.breaches if keep(breach))
    return replace(finding, breaches=left) if left else None


def _without(finding: Finding, known: Collection[tuple[object, ...]]) -> Finding | None:
    return _only(finding, lambda breach: _key(finding, breach) not in known)


def _keys(finding: Finding) -> Iterable[tuple[object, ...]]:
    """What a finding of before stands for: going down to a scope that a broader one included adds nothing."""
    for breach in finding.breaches:
        for scope in (breach.use.scope, *breach.use.contains):
            yield _key(finding, replace(breach, use=replace(breach.use, scope=scope)))


def _key(finding: Finding, breach: Breach) -> tuple[object, ...]:
    # The account belongs to it: the same scope in the hands of another account is a new matter.
    account = breach.use.account if finding.rule.account_domains else ""
    return finding.rule, finding.project, finding.type, breach.use.scope, breach.partner, account


def _gravest_first(finding: Finding) -> tuple[int, int, str, str]:
    return -finding.rule.effect.rank, finding.project, finding.type, finding.rule.name
