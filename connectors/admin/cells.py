"""What lists show in a cell: badges, two lines, times. One tone means the same thing on every page."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from connectors.flows.repository_files import ProblemKind, problems_of
from connectors.models import (
    Authorisation,
    Connector,
    LedgerEntry,
    Placement,
    Project,
    PullRequest,
    Repository,
    RepositoryRun,
    Sensitivity,
    SyncRun,
    Token,
    TokenRefresh,
    Workspace,
)

SYNC_TONES = {
    Connector.SyncState.UNKNOWN: "neutral",
    Connector.SyncState.IN_SYNC: "success",
    Connector.SyncState.DIFFERS: "warning",
    Connector.SyncState.NOT_REGISTERED: "info",
    Connector.SyncState.NOT_DECLARED: "danger",
    Connector.SyncState.INACTIVE: "danger",
    Connector.SyncState.LEFT_OVER: "danger",
}
CONSENT_TONES = {
    Connector.Consent.NEEDED: "warning",
    Connector.Consent.PENDING: "warning",
    Connector.Consent.FAILED: "danger",
    Connector.Consent.GIVEN_UP: "danger",
}
STATUS_TONES = {
    "active": "success",
    "expired": "danger",
    "disconnected": "danger",
    "sandbox": "info",
    "live": "success",
}
RUN_TONES = {
    SyncRun.State.QUEUED: "neutral",
    SyncRun.State.RUNNING: "info",
    SyncRun.State.DONE: "success",
    SyncRun.State.PARTIAL: "warning",
    SyncRun.State.FAILED: "danger",
    SyncRun.State.REFUSED: "danger",
    SyncRun.State.CANCELLED: "neutral",
    SyncRun.State.INTERRUPTED: "warning",
}
CREDENTIAL_TONES = {
    Workspace.CredentialState.MISSING: "neutral",
    Workspace.CredentialState.UNCHECKED: "warning",
    Workspace.CredentialState.ACCEPTED: "success",
    Workspace.CredentialState.REFUSED: "danger",
}
TOKEN_TONES = {
    Token.Condition.FRESH: "success",
    Token.Condition.DUE: "info",
    Token.Condition.EXPIRED: "danger",
    Token.Condition.FAILING: "warning",
    Token.Condition.MISCONFIGURED: "danger",
    Token.Condition.NEEDS_CONSENT: "danger",
    Token.Condition.REVOKED: "neutral",
}
REFRESH_TONES = {
    TokenRefresh.Outcome.OK: "success",
    TokenRefresh.Outcome.TRANSIENT: "warning",
    TokenRefresh.Outcome.LOST: "warning",
    TokenRefresh.Outcome.CONSENT: "danger",
    TokenRefresh.Outcome.CLIENT: "danger",
    TokenRefresh.Outcome.REFUSED: "danger",
}
AUTHORISATION_TONES = {
    Authorisation.Outcome.PENDING: "neutral",
    Authorisation.Outcome.CONNECTED: "success",
    Authorisation.Outcome.FEWER_SCOPES: "warning",
    Authorisation.Outcome.DENIED: "warning",
    Authorisation.Outcome.EXPIRED: "warning",
}
"""Whatever is not listed went wrong: danger."""
VERDICT_TONES = {
    LedgerEntry.Verdict.AGREES: "success",
    LedgerEntry.Verdict.IMPLIED: "neutral",
    LedgerEntry.Verdict.ALIAS: "neutral",
    LedgerEntry.Verdict.AUTO_ADDED: "neutral",
    LedgerEntry.Verdict.UNKNOWABLE: "neutral",
    LedgerEntry.Verdict.MISSING: "warning",
    LedgerEntry.Verdict.DRIFT: "warning",
    LedgerEntry.Verdict.EXCESS: "danger",
}
POLICY_TONES = {
    LedgerEntry.Policy.NONE: "neutral",
    LedgerEntry.Policy.EXCEPTED: "info",
    LedgerEntry.Policy.WARN: "warning",
    LedgerEntry.Policy.APPROVAL: "warning",
    LedgerEntry.Policy.BLOCK: "danger",
}
REPOSITORY_TONES = {
    Repository.State.UNCHECKED: "neutral",
    Repository.State.WORKING: "success",
    Repository.State.FAILING: "danger",
}
REPOSITORY_RUN_TONES = {
    RepositoryRun.State.QUEUED: "neutral",
    RepositoryRun.State.RUNNING: "info",
    RepositoryRun.State.DONE: "success",
    RepositoryRun.State.UNCHANGED: "success",
    RepositoryRun.State.PARTIAL: "warning",
    RepositoryRun.State.REFUSED: "danger",
    RepositoryRun.State.FAILED: "danger",
}
PULL_REQUEST_TONES = {
    PullRequest.State.OPEN: "info",
    PullRequest.State.MERGED: "success",
    PullRequest.State.CLOSED: "neutral",
}
ENVIRONMENT_TONES = {"production": "info", "staging": "neutral", "development": "neutral"}

NOTHING = format_html('<span class="pc-muted">{}</span>', "—")


def badge(text: object, tone: str, *, title: str = "") -> SafeString:
    """A coloured word; `title` is shown on hover."""
    return format_html('<span class="pc-badge pc-badge--{}" title="{}">{}</span>', tone, title, text)


def two_lines(main: object, sub: object = "", *, avatar: str = "") -> SafeString:
    """What it is, and below it, smaller, what tells it from others; with `avatar` letters before both."""
    lines = format_html(
        '<span class="pc-cell"><span class="pc-cell__main">{}</span><span class="pc-cell__sub">{}</span></span>',
        main,
        sub,
    )
    if not avatar:
        return lines
    return format_html(
        '<span class="pc-cell--icon"><span class="pc-avatar" aria-hidden="true">{}</span>{}</span>', avatar, lines
    )


def place(project: Project | None, workspace: Workspace | None) -> SafeString:
    """Where a role holds: one project, one workspace, or with neither everywhere."""
    if project is not None:
        return two_lines(project.name, _("Project in %s") % project.workspace.name)
    if workspace is not None:
        return two_lines(workspace.name, _("Workspace with all its projects"))
    return two_lines(_("Everywhere"))


def when(at: dt.datetime | None, never: str = "never") -> SafeString:
    """“2 hours ago”, with the exact time on hover."""
    if at is None:
        return format_html('<span class="pc-muted">{}</span>', never)
    exact = date_format(localtime(at), "DATETIME_FORMAT")
    return format_html(
        '<time class="pc-when" datetime="{}" title="{}">{}</time>', at.isoformat(), exact, naturaltime(at)
    )


def pip(level: str) -> SafeString:
    """A sensitivity: low, medium, high or critical."""
    return format_html(
        '<span class="pc-pip pc-pip--{}"><span class="pc-sr">Sensitivity: </span>{}</span>', level, level.capitalize()
    )


def harm(level: int | None) -> SafeString:
    """The pip of a stored sensitivity; None, when nobody has judged the scope, is not the same as harmless."""
    if level is None:
        return format_html('<span class="pc-pip"><span class="pc-sr">Sensitivity: </span>{}</span>', "Not judged")
    return pip(Sensitivity(level).name.lower())


_MARKS = {True: ("yes", "✓", "Yes"), False: ("no", "–", "No"), None: ("unknown", "?", "Not known")}


def mark(listed: bool | None) -> SafeString:
    """Whether a side lists a scope: a sign for the eye, a word on hover and for screen readers; None is not known."""
    kind, sign, word = _MARKS[listed]
    shown = format_html('<span aria-hidden="true">{}</span><span class="pc-sr">{}</span>', sign, word)
    return format_html('<span class="pc-mark pc-mark--{}" title="{}">{}</span>', kind, word, shown)


class Judged(Protocol):
    """A scope with its verdict: an entry of the ledger, or what a comparison has just found."""

    @property
    def verdict(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def declared(self) -> bool | None: ...
    @property
    def repository(self) -> bool | None: ...
    @property
    def registered(self) -> bool | None: ...
    @property
    def granted(self) -> bool | None: ...


def marks(found: Judged) -> tuple[tuple[str, SafeString], ...]:
    """Each side as the pages call it, with the mark that says whether it lists the scope."""
    sides = {"Declared": found.declared, "File": found.repository, "Base44": found.registered, "Granted": found.granted}
    return tuple((side, mark(listed)) for side, listed in sides.items())


def verdict_of(found: Judged, *, hover: bool = True) -> SafeString:
    """Its verdict, with the reason on hover; of a scope that one side alone is known of, that nothing was compared."""
    sides = (found.declared, found.repository, found.registered, found.granted)
    if found.verdict == LedgerEntry.Verdict.UNKNOWABLE and sum(side is not None for side in sides) == 1:
        return badge(_("Not compared yet"), "neutral", title=found.reason if hover else "")
    return verdict(found.verdict, found.reason if hover else "")


def verdict(value: str, reason: str = "") -> SafeString:
    """A scope's verdict, with its reason on hover."""
    found = LedgerEntry.Verdict(value)
    return badge(found.label, VERDICT_TONES[found], title=reason)


def policy(value: str) -> SafeString:
    """What the team's rules say of a scope; nothing where they say nothing."""
    found = LedgerEntry.Policy(value)
    return badge(found.label, POLICY_TONES[found]) if found else NOTHING


def repository_state(row: Repository) -> SafeString:
    """Whether the portal gets on with a repository; why not, on hover."""
    if not row.is_enabled:
        return badge(_("Not in use"), "neutral")
    state = Repository.State(row.state)
    return badge(state.label, REPOSITORY_TONES[state], title=row.problem)


def agreement(row: Placement) -> SafeString:
    """How a project's files stand to what the portal declares: the gravest of it, in a word."""
    if row.read_at is None:
        return badge(_("Not read yet"), "neutral")
    if row.problems:
        words = ngettext("%(count)d problem", "%(count)d problems", len(row.problems))
        tone = "danger" if problems_of(row, ProblemKind.FILE) else "warning"
        return badge(words % {"count": len(row.problems)}, tone)
    if row.conflicts:
        words = ngettext("%(count)d conflict", "%(count)d conflicts", row.conflicts)
        return badge(words % {"count": row.conflicts}, "warning")
    if row.incoming or row.outgoing:
        return badge(_("Changes wait"), "info")
    return badge(_("Agrees"), "success")


def initials(name: str) -> str:
    """Two letters for an avatar: `Google Calendar` → `GC`, `slack` → `SL`."""
    words = name.replace("_", " ").replace("-", " ").split()
    return ("".join(word[0] for word in words[:2]) if len(words) > 1 else name[:2]).upper()


def duration(length: dt.timedelta | None) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`; "" when it is not known."""
    if length is None:
        return ""
    seconds = length.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"
