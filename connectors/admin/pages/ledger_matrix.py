"""The matrix of one connector, as its own page and its project's draw it: scopes by the four sides."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.urls import reverse
from django.utils.safestring import SafeString

from connectors.admin import cells
from connectors.admin.pages.frame import CHANGE_CONNECTOR, CHANGE_PROJECT
from connectors.core.ledger import ScopeVerdict, Sides, worst
from connectors.flows.ledger import comparer_of, sides_of
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector, LedgerEntry, Placement, Token
from connectors.models.connector import ConnectorQuerySet
from connectors.models.ledger import MAX_SCOPE
from connectors.models.visibility import may

SHORT = 8
"""So many characters of a commit's id tell it from the others of a repository, for people."""
VIEW_LEDGER = "connectors.view_ledgerentry"
VIEW_REPOSITORY = "connectors.view_repository"
VIEW_TOKEN = "connectors.view_token"  # noqa: S105 - the name of a permission
User = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True, slots=True)
class Head:
    """One of the four sides: how many scopes it lists (None: not known), where that is from, and of what time."""

    title: str
    count: int | None
    origin: str
    at: dt.datetime | None = None
    at_words: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One scope: where it is listed, what that means, and what the ledger has kept of it (`since`, None: nothing)."""

    found: ScopeVerdict
    title: str
    note: str
    marks: tuple[tuple[str, SafeString], ...]
    badge: SafeString
    sensitivity: SafeString
    policy: SafeString | None
    since: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do next: a link, and what it is good for."""

    label: str
    href: str
    why: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """Everything that is known of one connector's scopes. `worst` is its gravest verdict as a badge."""

    connector: Connector
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    worst: SafeString
    differing: int
    steps: tuple[Step, ...]


def connectors_for_matrix() -> ConnectorQuerySet:
    """Connectors with what a matrix shows of them and of their project, and without what it does not."""
    rows = Connector.objects.select_related("project__workspace", "project__placement", "integration_type")
    return rows.defer("source", "project__notes", "project__placement__problems", "integration_type__description")


def matrices(connectors: Iterable[Connector], user: User) -> list[Matrix]:
    """The connectors compared as their rows are this moment, in a fixed number of queries."""
    rows = list(connectors)
    ids = [row.pk for row in rows]
    held = ("connector_id", "state", "granted_scopes", "account", "authorised_by_label", "authorised_at")
    tokens = {token.connector_id: token for token in Token.objects.filter(connector__in=ids).only(*held)}
    entries: dict[int, dict[str, LedgerEntry]] = {}
    for entry in LedgerEntry.objects.filter(connector__in=ids).order_by().defer("reason"):
        entries.setdefault(entry.connector_id, {})[entry.scope] = entry
    facts = ScopeFacts()
    return [_matrix(row, tokens.get(row.pk), entries.get(row.pk, {}), facts, user) for row in rows]


def _matrix(
    connector: Connector, token: Token | None, entries: Mapping[str, LedgerEntry], facts: ScopeFacts, user: User
) -> Matrix:
    sides = sides_of(connector, token)
    found = comparer_of(connector.project.workspace).compare(connector.integration_type_id, sides)
    lines = tuple(_line(connector, one, entries.get(one.scope[:MAX_SCOPE]), facts) for one in found)
    return Matrix(
        connector,
        _heads(connector, token, sides),
        lines,
        _worst(found),
        sum(one.verdict.is_alarm for one in found),
        tuple(_steps(connector, token, sides, found, user)),
    )


def _worst(found: tuple[ScopeVerdict, ...]) -> SafeString:
    gravest = worst(found)
    if gravest is None:
        return cells.badge("No scopes", "neutral")
    return cells.verdict_of(next(one for one in found if one.verdict == gravest), hover=False)


def _line(connector: Connector, found: ScopeVerdict, entry: LedgerEntry | None, facts: ScopeFacts) -> Line:
    type_ = connector.integration_type_id
    return Line(
        found,
        facts.title(type_, found.scope),
        facts.note(type_, found.scope),
        cells.marks(found),
        cells.verdict_of(found, hover=False),
        cells.harm(facts.sensitivity(type_, found.scope)),
        cells.policy(entry.policy) if entry and entry.policy else None,
        entry.since if entry else None,
    )


def _heads(connector: Connector, token: Token | None, sides: Sides) -> tuple[Head, ...]:
    return (
        Head("Declared", _count(sides.declared), _declared(connector), connector.updated_at, "changed"),
        Head("File", _count(sides.repository), _repository(connector), connector.repository_read_at, "read"),
        Head("Base44", _count(sides.registered), _registered(connector, sides), connector.registered_at, "seen"),
        Head(
            "Granted",
            _count(sides.granted),
            _granted(token, sides),
            token.authorised_at if token and sides.held else None,
            "authorised",
        ),
    )


def _count(scopes: tuple[str, ...] | None) -> int | None:
    return None if scopes is None else len(scopes)


def _declared(connector: Connector) -> str:
    if connector.is_declared:
        return "What the portal asks for."
    return "The portal does not ask for this connector: it is known from elsewhere only."


def _repository(connector: Connector) -> str:
    if connector.repository_read_at is None:
        return "The project's files have not been read yet."
    if connector.repository_scopes is None:
        return "There was no file for it when the project's files were last read."
    where = f"In {connector.source_path}" if connector.source_path else "In the project's file for it"
    if not connector.repository_commit:
        return f"{where}."
    by = f" by {connector.repository_author}" if connector.repository_author else ""
    return f"{where}, as of commit {connector.repository_commit[:SHORT]}{by}."


def _registered(connector: Connector, sides: Sides) -> str:
    if connector.registered_at is None:
        return "Base44 has not been asked yet."
    if sides.registered is None:
        return "Base44's answer could not be read."
    if connector.registered_scopes is None:
        return "Base44 does not list this connector."
    account = f", for {connector.registered_account}" if connector.registered_account else ""
    return f"What Base44 lists for the app{account}."


def _granted(token: Token | None, sides: Sides) -> str:
    if token is None or not sides.held:
        return "Base44 holds the token and does not tell what the provider granted, or nobody has authorised it yet."
    if token.state == Token.State.NEEDS_CONSENT:
        return "The consent has ended: the token can do nothing any more."
    by = f" by {token.authorised_by_label}" if token.authorised_by_label else ""
    account = f" as {token.account}" if token.account else ""
    if sides.granted is None:
        return f"The provider does not say what it granted. Authorised{by}{account}."
    return f"What the provider granted to the portal's token, authorised{by}{account}."


def _steps(
    connector: Connector, token: Token | None, sides: Sides, found: tuple[ScopeVerdict, ...], user: Any
) -> Iterable[Step]:
    """What would put right what differs, as far as this person may do it."""
    # All of the project's connectors are at one place: asked there, each question is asked once for the page.
    differing, place = [one for one in found if one.verdict.is_alarm], connector.project
    if may(user, CHANGE_PROJECT, place):
        yield from _steps_of_project(connector, sides, differing)
        if any(one.repository is not None and one.repository != one.declared for one in differing):
            yield from _steps_of_files(connector, user)
    if may(user, CHANGE_CONNECTOR, place):
        if any(one.declared and one.granted is False for one in differing):
            href = reverse("admin:connectors_connector_authorise", args=[connector.pk])
            yield Step("Authorise again", href, "Somebody agrees once more at the provider, to all that is declared.")
            desk = reverse("admin:connectors_connector_desk")
            yield Step("Ask a colleague", desk, "The consent desk makes a link for whoever has the account.")
        if differing:
            href = reverse("admin:connectors_connector_change", args=[connector.pk])
            yield Step("Edit what is declared", href, "If the other sides are right, declare what they have.")
    is_more = any(one.granted and one.declared is False for one in differing)
    if is_more and token and may(user, VIEW_TOKEN, place):
        href = reverse("admin:connectors_token_change", args=[token.pk])
        yield Step("Look at the token", href, "It can do more than is declared; revoking it takes that away.")


def _steps_of_project(connector: Connector, sides: Sides, differing: list[ScopeVerdict]) -> Iterable[Step]:
    project = connector.project_id
    if sides.registered is None:
        href = reverse("admin:connectors_project_change", args=[project])
        yield Step("Sync the project", href, "Base44 is asked what it lists; until then its side is not known.")
    if any(one.registered is not None and one.registered != one.declared for one in differing):
        href = reverse("admin:connectors_project_plan", args=[project])
        yield Step("Review the plan", href, "It shows what applying would change at Base44.")


def _steps_of_files(connector: Connector, user: Any) -> Iterable[Step]:
    """The two ways to make files and portal agree: in the project's repository, if it has one, else as a download."""
    placement: Placement | None = getattr(connector.project, "placement", None)
    if placement is not None and may(user, VIEW_REPOSITORY, connector.project):
        base, args = "admin:connectors_repository", [placement.repository_id]
        query = f"?project={connector.project_id}"
        yield Step("Export to git", reverse(f"{base}_export", args=args) + query, "Commits what is declared.")
        yield Step("Import from git", reverse(f"{base}_import", args=args) + query, "Declares what the branch says.")
        return
    project = connector.project_id
    export = reverse("admin:connectors_project_export", args=[project])
    yield Step("Export the files", export, "Writes what is declared into the project's files.")
    again = reverse("admin:connectors_project_import", args=[project])
    yield Step("Import the files", again, "Declares what the project's files say.")
