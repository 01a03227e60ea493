"""What the history says in words: what became of a side, and what made a change."""

from __future__ import annotations

from typing import NamedTuple

from connectors.models import ScopePeriod

Side = ScopePeriod.Side


class Has(NamedTuple):
    """Of a side that is known: whether it has the connector at all, and the account, "" when none is known."""

    is_listed: bool
    account: str


_BEGAN = {
    Side.DECLARED: "Declared in the portal.",
    Side.REPOSITORY: "The repository has a file for it.",
    Side.REGISTERED: "Base44 lists it{account}.",
    Side.GRANTED: "The portal knows what its token may do{account}.",
}
_ENDED = {
    Side.DECLARED: "No longer declared in the portal.",
    Side.REPOSITORY: "The repository has no file for it any more.",
    Side.REGISTERED: "Base44 no longer lists it.",
    Side.GRANTED: "The token is gone.",
}
_LACKS = {
    Side.DECLARED: "Not declared in the portal.",
    Side.REPOSITORY: "The repository has no file for it.",
    Side.REGISTERED: "Base44 does not list it.",
    Side.GRANTED: "There is no token.",
}
_UNKNOWN = {
    Side.DECLARED: "The portal no longer has this connector.",
    Side.REPOSITORY: "What the repository says is no longer followed.",
    Side.REGISTERED: "What Base44 lists is no longer followed.",
    Side.GRANTED: "The portal no longer has a token that says what it may do.",
}


def side_words(side: Side, before: Has | None, now: Has | None) -> str:
    """What became of the side itself, apart from its scopes; None: nobody knew what it lists. "" for no change."""
    if before == now:
        return ""
    if now is None:
        return _UNKNOWN[side]
    if not now.is_listed:
        return _ENDED[side] if before is not None and before.is_listed else _LACKS[side]
    if before is None or not before.is_listed:
        return _BEGAN[side].format(account=f" with the account {now.account}" if now.account else "")
    if not now.account:
        return f"The account {before.account} is no longer named."
    if not before.account:
        return f"The account is now known: {now.account}."
    return f"The account changed from {before.account} to {now.account}."


_LISTED = {
    Side.DECLARED: ("Declared", "No longer declared"),
    Side.REPOSITORY: ("Added to the repository's file", "Taken out of the repository's file"),
    Side.REGISTERED: ("Base44 added", "Base44 dropped"),
    Side.GRANTED: ("Granted", "No longer granted"),
}


def listed_words(side: Side, *, added: bool) -> str:
    """What comes before the scopes that a side lists anew, or no longer: "Base44 added"."""
    return _LISTED[side][0 if added else 1]


_CAUSES = {
    "connector.changed": "Changed in the portal",
    "connector.declared": "Declared in the portal",
    "connector.undeclared": "Taken back in the portal",
    "consent.asked": "Consent was asked for at Base44",
    "consent.given": "Consent was given at Base44",
    "ledger.caught_up": "Found when the ledger was brought up to date",
    "placement.changed": "The project's folder in the repository is another one",
    "placement.removed": "The project was taken out of its repository",
    "plan.applied": "A plan was applied",
    "project.deleted": "The project was deleted",
    "project.imported": "Files were imported",
    "project.observed": "Found at Base44",
    "project.pulled": "Taken over from Base44",
    "repository.read": "Found in the repository",
    "repository.changed": "Another repository or branch is followed",
    "token.authorised": "Authorised in the portal",
    "token.forgotten": "The portal forgot the token",
    "token.introspected": "The provider was asked about the token",
    "token.needs_consent": "The provider ended the consent",
    "token.refreshed": "The token was refreshed",
    "token.revoked": "The token was revoked",
}


def cause_words(through: str, run: int | None = None) -> str:
    """What made a change, by the verb of its event: `project.observed` → "Found at Base44", by a run "by a sync"."""
    if through == "project.observed" and run is not None:
        return "Found by a sync"
    return _CAUSES.get(through) or through.replace(".", ": ").replace("_", " ").capitalize()
