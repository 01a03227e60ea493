"""The sentences about rules and findings, for an admin who has not written the rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.core.catalog import Sensitivity
from connectors.core.plan_words import listing
from connectors.core.scope_patterns import matches

if TYPE_CHECKING:
    from connectors.core.policy import Rule, Use

_LEVELS = tuple(Sensitivity)
_VERBS = {"warn": "Warns about", "approval": "Asks for approval of", "block": "Blocks"}
_JUDGED = {"warn": "should not be here", "approval": "needs approval", "block": "is forbidden"}
_JUDGED_MANY = {"warn": "should not be here", "approval": "need approval", "block": "are forbidden"}


def rule(found: Rule) -> str:
    """The rule as one sentence: “Blocks critical scopes in production, except for accounts of acme.com.”"""
    parts = [f"{_VERBS[found.effect]} {_scopes(found)}"]
    if found.types:
        parts.append(f"of {_either(found.types)}")
    if found.environments:
        parts.append(f"in {_either(found.environments)}")
    if found.tags:
        parts.append(f"in projects tagged {_either(found.tags)}")
    if found.never_with:
        parts.append(f"together with {_either(found.never_with)} in the same project")
    text = " ".join(parts)
    return f"{text}, except for accounts of {_either(found.account_domains)}." if found.account_domains else f"{text}."


def finding(found: Rule, use: Use, scopes: Sequence[str], partners: Sequence[str]) -> str:
    """What breaks the rule, and each condition that makes it so."""
    if scopes:
        judged = (_JUDGED if len(scopes) == 1 else _JUDGED_MANY)[found.effect]
        subject = listing(scopes)
    else:
        judged, subject = _JUDGED[found.effect], "This connector"
    return f"{subject} {judged}: {', '.join(_reasons(found, use, scopes, partners))}."


def refusal(found: Rule, type_: str, sentence: str) -> str:
    """What somebody reads whose change is refused: where, what, which rule, why it is there, and the way on."""
    explained = f" {_closed(found.explanation)}" if found.explanation.strip() else ""
    asking = "Ask for an exception, which only somebody who may change the policies can grant."
    asking = asking if found.effect == "block" else "Ask for an exception."
    return f"{type_}: {sentence} The policy “{found.name}” says so.{explained} {asking}"


def excepted(found: Rule, scopes: Sequence[str]) -> str:
    """What is said where an exception covers all of it."""
    what = listing(scopes) if scopes else "This connector"
    return f"{what}: the policy “{found.name}” is about this, and an exception allows it for now."


def warning(found: Rule, type_: str, sentence: str) -> str:
    """What somebody reads beside the result of a change that a rule only warns about."""
    explained = f" {_closed(found.explanation)}" if found.explanation.strip() else ""
    return f"{type_}: {sentence} The policy “{found.name}” says so.{explained}"


def _scopes(found: Rule) -> str:
    level = _at_least(found.min_sensitivity) if found.min_sensitivity is not None else ""
    if found.scope_patterns:
        named = _either(found.scope_patterns)
        return f"{named} where it is {level}" if level else named
    return f"{level} scopes" if level else "every scope"


def _at_least(rank: int) -> str:
    """`high or graver`; nothing is graver than critical."""
    level = _LEVELS[rank].value
    return level if rank == len(_LEVELS) - 1 else f"{level} or graver"


def _reasons(found: Rule, use: Use, scopes: Sequence[str], partners: Sequence[str]) -> list[str]:
    many = len(scopes) > 1
    reasons = []
    if found.min_sensitivity is not None:
        reasons.append(f"{'their' if many else 'its'} sensitivity is {_at_least(found.min_sensitivity)}")
    if found.scope_patterns and (inside := _inside(found, use)) and not many:
        reasons.append(f"it includes {inside}")
    if found.types:
        reasons.append(f"the type is {use.type}")
    if found.environments:
        reasons.append(f"the project is in {use.environment}")
    if found.tags:
        reasons.append(f"the project is tagged {listing(sorted(use.tags.intersection(found.tags)))}")
    if found.account_domains:
        reasons.append(f"the account {use.account} is not of {_either(found.account_domains)}")
    if partners:
        reasons.append(f"the same project has {listing(partners)}")
    return reasons or ["the policy names it" if found.scope_patterns else "the policy means every scope"]


def _inside(found: Rule, use: Use) -> str:
    """The contained scope that a pattern means where none means the scope itself."""
    if matches(found.scope_patterns, (use.scope, *use.spellings)):
        return ""
    return next((scope for scope in use.contains if matches(found.scope_patterns, [scope])), "")


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _closed(text: str) -> str:
    text = " ".join(text.split())
    return text if text[-1] in ".!?" else f"{text}."
