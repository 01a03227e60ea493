"""The sentences of the ledger, for an admin who is not an OAuth expert."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.core.catalog import Access
from connectors.core.ledger.judge import Standing
from connectors.core.ledger.sides import Side
from connectors.core.ledger.verdicts import Verdict
from connectors.core.plan_words import listing

_PLACES = {
    Side.DECLARED: "declared",
    Side.REPOSITORY: "in the repository's file",
    Side.REGISTERED: "registered at Base44",
    Side.GRANTED: "granted",
}
_WITHOUT = {
    Access.READ: "Calls that need {what} will fail: the app cannot read what it covers.",
    Access.WRITE: "Calls that need {what} will fail: the app cannot change what it covers.",
    Access.ADMIN: "Calls that need {what} will fail: the app cannot manage what it covers.",
    Access.OFFLINE: "Access will end with the first token, and somebody will have to authorise the connector again.",
}


def reason_for(standing: Standing, verdict: Verdict) -> str:
    """Why the scope has this verdict, and what to do where something can be done."""
    return " ".join(filter(None, [_where(standing, alarm=verdict.is_alarm), *_why(standing, verdict)]))


def _why(standing: Standing, verdict: Verdict) -> list[str]:
    if verdict.is_alarm:
        return _ALARMS[verdict](standing)
    if standing.meaningless:
        return [_no_scopes(standing)]
    if verdict is Verdict.AUTO_ADDED:
        return [f"Nobody has to ask for it: it {standing.unasked}. There is nothing to do."]
    if standing.undeclared_but_contained:
        return [f"The declared {standing.covered[Side.DECLARED]} contains it, so it allows the token nothing more."]
    return [*_explained(standing), _unconfirmed(standing)]


def _where(standing: Standing, *, alarm: bool = True) -> str:
    """`Declared and granted, but not registered at Base44.` What has an explanation is no "but"."""
    listed = listing([_PLACES[side] for side in Side if side in standing.spelled])
    lacking = [f"not {_PLACES[side]}" for side in Side if side in standing.lacking and alarm]
    text = f"{listed}, but {listing(lacking)}." if lacking else f"{listed}."
    return text[0].upper() + text[1:]


def _explained(standing: Standing) -> list[str]:
    """What makes up for absences, and names that differ."""
    found = []
    if standing.unreported:
        found.append(f"{standing.habits.provider} never reports this scope back, so its absence there means nothing.")
    found += [f"The broader {broader}, which contains it, is {where}." for broader, where in _by_name(standing.covered)]
    if standing.differently_spelled:
        first = {side: spellings[0] for side, spellings in standing.spelled.items()}
        names = [f"{name} ({where})" for name, where in _by_name(first)]
        found.append(f"The same scope under several names: {listing(names)}.")
    return found


def _by_name(names: Mapping[Side, str]) -> list[tuple[str, str]]:
    """Each name with the places that it belongs to: `("repo", "registered at Base44 and granted")`."""
    places = {name: [_PLACES[side] for side in Side if names.get(side) == name] for name in names.values()}
    return [(name, listing(where)) for name, where in places.items()]


def _unconfirmed(standing: Standing) -> str:
    """What keeps the known sides from being the whole truth; "" when nothing does."""
    provider = standing.habits.provider
    if standing.held and Side.GRANTED not in standing.known:
        if not standing.habits.reports:
            return f"{provider} never says which scopes it granted, so nobody can tell whether the token has this one."
        return f"{provider} has not said yet which scopes it granted. The token's page can ask it."
    return "No other side is known yet, so there is nothing to compare with." if len(standing.known) == 1 else ""


def _no_scopes(standing: Standing) -> str:
    name = standing.habits.type_name
    return f"{name} has no OAuth scopes, so this name means nothing there and changes nothing."


def _missing(standing: Standing) -> list[str]:
    return [_will_fail(standing), *_why_fewer(standing), _how_to_get(standing)]


def _will_fail(standing: Standing) -> str:
    info = standing.info
    if info is None:
        return "Calls that need this scope will fail."
    return _WITHOUT.get(info.access, "Calls that need {what} will fail.").format(what=f"“{info.title}”")


def _why_fewer(standing: Standing) -> list[str]:
    habits, info = standing.habits, standing.info
    found = []
    if habits.grants.granular:
        found.append(f"{habits.provider} lets people untick single scopes at consent, which may have happened here.")
    if habits.grants.drops:
        found.append(
            f"{habits.provider} leaves out, without an error, optional scopes that the account's plan or the person's "
            "rights do not cover."
        )
    if info is not None and info.admin_consent:
        found.append("It may need the consent of an administrator of the organisation.")
    return found


def _how_to_get(standing: Standing) -> str:
    granular = standing.habits.grants.granular
    again = f"authorise the connector again{' and leave its box ticked' if granular else ''}"
    if Side.REGISTERED not in standing.lacking:
        return f"{again[0].upper()}{again[1:]}."
    if Side.GRANTED in standing.lacking:
        return f"Apply the project's plan, so that Base44 asks for it, and {again}."
    who = ", who has to leave its box ticked" if granular else ""
    return f"Apply the project's plan: Base44 then asks somebody for consent{who}."


def _excess(standing: Standing) -> list[str]:
    return [_can_do(standing), *_why_more(standing), _how_to_lose(standing)]


def _can_do(standing: Standing) -> str:
    if broader := standing.covered.get(Side.DECLARED):
        return f"The declared {broader} contains it, so it allows nothing more, but it was not asked for by its name."
    if standing.info is None:
        return "The connection can do what this scope allows all the same."
    return f"The connection allows “{standing.info.title}” all the same."


def _why_more(standing: Standing) -> list[str]:
    habits = standing.habits
    if habits.grants.grows:
        return [f"{habits.provider} adds up what is granted: authorising again never takes a scope away."]
    if habits.grants.union:
        client = "the same OAuth client, so this may come from another connector"
        return [f"A {habits.provider} token carries all that the account ever granted to {client}."]
    return []


def _how_to_lose(standing: Standing) -> str:
    habits = standing.habits
    declare = "Declare it if the app needs it"
    if Side.GRANTED not in standing.known:
        keeps = f", and if {habits.provider} still has it, remove the connection and connect it anew"
        rest = keeps if habits.grants.grows or habits.grants.union else ""
        return f"{declare}; otherwise apply the project's plan{rest}."
    if habits.grants.grows:
        return f"{declare}; otherwise revoke the token and authorise the connector again."
    if habits.grants.union:
        return (
            f"{declare}; otherwise take the client's access away in the account at {habits.provider} and authorise "
            "again, or give this connector an OAuth client of its own."
        )
    return f"{declare}; otherwise authorise the connector again, which asks for the declared scopes only."


def _drift(standing: Standing) -> list[str]:
    declared = Side.DECLARED in standing.spelled
    differs = standing.lacking if declared else standing.spelled.keys()
    broader = {side: name for side, name in standing.undeclared.items() if side in standing.lacking}
    found = [
        f"The broader {name}, which contains it, is {where} instead, though nobody declared it."
        for name, where in _by_name(broader)
    ]
    if Side.DECLARED not in standing.known:
        return [*found, "Nothing is declared that would say which is right."]
    if Side.REPOSITORY in differs:
        found.append("Import the file to declare what it says, or export the connector to bring the file up to date.")
    if Side.REGISTERED in differs:
        found.append("Applying the project's plan sets at Base44 what is declared.")
    if declared and Side.GRANTED in differs:
        found.append("Authorising the connector again asks for what is declared.")
    return found


_ALARMS = {Verdict.MISSING: _missing, Verdict.EXCESS: _excess, Verdict.DRIFT: _drift}
