"""What can be said of one scope of a connector once its sides are compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Least grave first.

    agrees: every known side lists it, or its absence means nothing. alias: the same under several names. implied: a
    broader scope stands for it. auto_added: nobody asked for it, Base44 or the provider adds it. unknowable: the known
    sides agree, but nothing shows what was granted. drift: the sides differ in another way than the next two. missing:
    declared and not granted. excess: granted and not declared.
    """

    AGREES = "agrees"
    ALIAS = "alias"
    IMPLIED = "implied"
    AUTO_ADDED = "auto_added"
    UNKNOWABLE = "unknowable"
    DRIFT = "drift"
    MISSING = "missing"
    EXCESS = "excess"

    @property
    def is_alarm(self) -> bool:
        """Whether the sides really differ, so that somebody has to do something."""
        return self in _ALARMS

    @property
    def rank(self) -> int:
        """0 for agrees up to 7 for excess: the higher, the graver."""
        return _RANKS[self]

    @property
    def title(self) -> str:  # type: ignore[override]
        """How people call it, in the place of str.title."""
        return _TITLES[self]


_ALARMS = frozenset({Verdict.DRIFT, Verdict.MISSING, Verdict.EXCESS})
_RANKS = {verdict: number for number, verdict in enumerate(Verdict)}
_TITLES = {
    Verdict.AGREES: "In agreement",
    Verdict.ALIAS: "Another name",
    Verdict.IMPLIED: "Implied by another",
    Verdict.AUTO_ADDED: "Added by itself",
    Verdict.UNKNOWABLE: "Not knowable",
    Verdict.DRIFT: "Drift",
    Verdict.MISSING: "Missing",
    Verdict.EXCESS: "Excess",
}


@dataclass(frozen=True, slots=True)
class ScopeVerdict:
    """One scope of a connector: its verdict, and why, in whole sentences for an admin.

    `scope` is the provider's main spelling, `spelled` what the first side that lists it writes (the first by the
    alphabet where it writes several). The sides are True where they list it in any spelling, False where they do not,
    None where nobody knows what they list.
    """

    scope: str
    verdict: Verdict
    reason: str
    declared: bool | None
    repository: bool | None
    registered: bool | None
    granted: bool | None
    spelled: str


def worst(verdicts: Iterable[ScopeVerdict]) -> Verdict | None:
    """The gravest verdict of a connector's scopes; None without any."""
    return max((found.verdict for found in verdicts), key=_RANKS.__getitem__, default=None)
