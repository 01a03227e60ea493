"""The plan for somebody who goes: which connectors a colleague is asked for, and which tokens end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.flows.consent_desk import account_of, chosen
from connectors.flows.consent_links import Asked
from connectors.flows.offboard import LIMIT, Person, Viewer
from connectors.flows.revoke import Outcome, reach_of, revoke_tokens, siblings, why_not
from connectors.models import Token
from connectors.models.token import TokenQuerySet

OTHERS_END = "Tokens of projects where you may end none would end with it. Ask somebody who may."


@dataclass(frozen=True, slots=True)
class Ending:
    """One token that is to end. `others` end with it, or may; `refusal` says why it cannot be ended from here."""

    token: Token
    others: tuple[Token, ...]
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: links for a colleague first, then tokens that end. Nothing of it has been done yet."""

    hand: tuple[Asked, ...]
    end: tuple[Ending, ...]

    @property
    def ending(self) -> tuple[Token, ...]:
        """Every token that ends, each once: those that were chosen, and those that go with them."""
        rows = [row for one in self.end if not one.refusal for row in (one.token, *one.others)]
        return tuple({row.pk: row for row in rows}.values())

    @property
    def refused(self) -> tuple[Ending, ...]:
        """Those that cannot be ended from here."""
        return tuple(one for one in self.end if one.refusal)

    @property
    def shown(self) -> frozenset[int]:
        """The tokens that end, for comparing what was confirmed with what would happen."""
        return frozenset(row.pk for row in self.ending)

    @property
    def stopped(self) -> tuple[Token, ...]:
        """Tokens that end though their connectors are handed over: these stop until the colleague has agreed."""
        handed = {one.connector.pk for one in self.hand}
        return tuple(row for row in self.ending if row.connector_id in handed)

    def __bool__(self) -> bool:
        return bool(self.hand or self.ending)


def plan_for(viewer: Viewer, person: Person, hand: Iterable[str], revoke: Iterable[str]) -> Plan:
    """The plan for connectors that a form names (`portal-12`); what the viewer may not see or change is left out.

    A connector is either handed over or ended: a token that a colleague is about to replace works until then. Where
    the account is the person's own, or nobody knows whose it is, the colleague may come with another one.
    """
    asked = [_for_colleague(one, person) for one in chosen(viewer, hand)]
    handed = {one.connector.pk for one in asked}
    ids = [int(key.removeprefix("portal-")) for key in revoke if _names_token(key)]
    rows = _changeable(viewer).with_names().exclude(state=Token.State.REVOKED)
    tokens = rows.filter(connector__in=[pk for pk in ids if pk not in handed])[:LIMIT]
    return Plan(tuple(asked), tuple(_ending(viewer, token) for token in tokens))


def carry_out(plan: Plan, confirmed: Iterable[int], actor: Actor) -> list[Outcome]:
    """Ends the plan's tokens. Raises Refused, before anything ends, when more would end than was confirmed."""
    if plan.shown - frozenset(confirmed):
        raise Refused("More tokens would end than you were shown. Nothing was ended: look at the plan again.")
    return revoke_tokens(plan.ending, actor)


def _for_colleague(asked: Asked, person: Person) -> Asked:
    account = account_of(asked)
    return replace(asked, other_account=not account or person.owns(account))


def _names_token(key: str) -> bool:
    way, _, pk = key.partition("-")
    return way == "portal" and pk.isascii() and pk.isdigit() and len(pk) < 19


def _ending(viewer: Viewer, token: Token) -> Ending:
    if refusal := why_not(token):
        return Ending(token, (), refusal)
    others = () if reach_of(token) == "pair" else tuple(siblings(token))
    if others and _hidden(viewer, others):
        return Ending(token, (), OTHERS_END)
    return Ending(token, others)


def _changeable(viewer: Viewer) -> TokenQuerySet:
    return Token.objects.visible_to(viewer).permitted(viewer, "change_token")


def _hidden(viewer: Viewer, tokens: Sequence[Token]) -> bool:
    keys = [token.pk for token in tokens]
    return _changeable(viewer).filter(pk__in=keys).count() < len(keys)
