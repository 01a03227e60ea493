"""The sentences of a plan, for an admin who has not read Base44's API reference."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.core.scopes import ScopeDifference

_NAMED = 4
"""So many scopes are named in a sentence; the action itself lists them all."""

STRIPE_PROVISION = "Base44 sets up a Stripe sandbox for the app and gives a link with which to claim the account."
STRIPE_UNKNOWN = "Base44 did not say whether Stripe is installed, so nothing is planned for Stripe."
STRIPE_SCOPES = "Stripe takes no scopes: those declared for it are ignored."
STRIPE_LIVE = "Removing Stripe would disconnect a LIVE account: the app would stop taking real payments at once."


def listing(names: Sequence[str]) -> str:
    """`["a", "b", "c"]` → "a, b and c"; past the fourth name only the number is given."""
    if len(names) > _NAMED + 1:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def new_connection(scopes: Sequence[str]) -> str:
    """Why a type that Base44 does not list needs consent."""
    return f"New at Base44: someone must give consent{f' to {listing(scopes)}' if scopes else ''}."


def changed(status: str, difference: ScopeDifference, settings: Sequence[str], others: str) -> str:
    """What a set changes on a connection that exists, and why that needs consent."""
    parts = []
    if difference.added:
        parts.append(f"adds {listing(difference.added)}")
    if difference.removed:
        parts.append(f"takes away {listing(difference.removed)}")
    if settings:
        parts.append(f"changes the connection setting{'s' if len(settings) > 1 else ''} {listing(settings)}")
    what = ", ".join(parts)
    narrowing = bool(difference.removed) and not difference.added
    until = "the connection keeps what it has" if status == "active" else f"the connection stays {status or 'as it is'}"
    why = "narrowing needs consent, too" if narrowing else "someone must give consent"
    return f"{what[0].upper()}{what[1:]}: {why}; until then {until}.{_others(others)}"


def consent_again(status: str, others: str) -> str:
    """Why a connection with the right scopes still needs a person."""
    ended = "has expired" if status == "expired" else f"is {status}"
    refused = f" {others} connected it: Base44 may refuse the same scopes from anybody else." if others else ""
    return f"Same scopes, but the connection {ended}: someone must give consent again.{refused}"


def not_kept(scopes: Sequence[str]) -> str:
    """The hint that a set was tried already; "" when there is nothing to say."""
    return f" Base44 did not keep {listing(scopes)} when it was last set." if scopes else ""


def never_ends(type_: str, scopes: Sequence[str]) -> str:
    """Warning: a set that will most likely come back in the next plan."""
    return (
        f"{type_}: Base44 did not keep {listing(scopes)} when it was last set, and most likely will not keep it now. "
        "It may not allow the scope, or the person did not grant it. Without a change here this plan comes back."
    )


def same_scopes(difference: ScopeDifference, *, uncompared_settings: bool) -> str:
    """Why a connector is left alone, with what only seems to differ."""
    clauses = "; ".join(f"{scope} {why}" for scope, why in difference.explained)
    unsure = " Base44 does not report connection settings: these were not compared." if uncompared_settings else ""
    return f"Same scopes{f': {clauses}' if clauses else ''}.{unsure}"


def undeclared(status: str, account: str) -> str:
    """What a removal destroys."""
    by = f", made by {account}," if account else ""
    state = "" if status == "active" else f" ({status})"
    return (
        f"Not declared in the portal: Base44 would delete the connection{by}{state} with its token, "
        "and the connector's file in the app's own code."
    )


def not_removed(type_: str, twin: str) -> str:
    """Why a removal is refused that a slip of the shift key would cause."""
    return (
        f"{type_} is not removed: the declared type {twin} differs from it only by capital letters. "
        f"Declare {type_}, or remove it from the portal under its own name."
    )


def capitals(type_: str, twin: str) -> str:
    """Why a type in the wrong capitals is not set."""
    return f"The type {type_} differs only by capital letters from {twin}, which Base44 takes for another one."


def unknown_type(type_: str) -> str:
    """Warning: Base44 may refuse this type."""
    return f"{type_} is not a known integration type. Base44 decides whether it accepts it."


def unknown_status(type_: str, status: str) -> str:
    """Warning: Base44 used a word for which the portal has no rule."""
    return (
        f"{type_}: Base44 gives the status “{status}”, which is not known here. The scopes agree, so it is left alone."
    )


def everything_removed(count: int, *, nothing_declared: bool) -> str:
    """Warning: the plan of an empty or mistaken folder."""
    cause = "nothing is declared" if nothing_declared else "nothing that is declared matches"
    return (
        f"Every connector that Base44 lists for this app ({count}) would be removed, because {cause}. "
        "If this comes from an import, check that it read the right folder."
    )


def stripe_kept(mode: str) -> str:
    """Why Stripe is left alone."""
    return f"Stripe is installed ({mode})."


def stripe_undeclared(mode: str) -> str:
    """What removing Stripe means."""
    loss = "" if mode == "sandbox" else " The account is not a sandbox: real payments stop."
    return f"Not declared in the portal: Base44 would take Stripe ({mode}) out of the app.{loss}"


def _others(account: str) -> str:
    if not account:
        return ""
    return f" {account} made the connection; it will belong to whoever gives consent."


def unreadable(type_: str) -> str:
    """Why a connector whose entry in Base44's list cannot be read is left alone."""
    return f"Base44 lists {type_} in a form that could not be read, so it is neither set nor removed."
