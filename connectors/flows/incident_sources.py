"""What is wrong now: a reader for each kind of incident, with a fixed number of queries whatever there is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from django.conf import settings
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from connectors.core.plan_words import listing
from connectors.flows.consent_desk import WAITS
from connectors.flows.forecast import endings
from connectors.models import (
    Connector,
    Incident,
    IntegrationType,
    LedgerEntry,
    OAuthClient,
    Placement,
    PolicyException,
    PolicyFinding,
    PolicyRule,
    Project,
    Repository,
    RepositoryRun,
    ReviewCampaign,
    Sensitivity,
    Severity,
    SyncRun,
    Token,
    Workspace,
)

Kind = Incident.Kind

PATIENCE = dt.timedelta(minutes=15)
"""For how long a refresh may fail before somebody hears of it."""
SETTLING = dt.timedelta(minutes=15)
"""For how long nothing about a connector may have changed before its differences are told of: whoever edits it has to
have the time to apply the plan, too."""
FAILURES = 3
"""Refreshes or syncs that may fail in a row before somebody hears of it."""
SYNC_PATIENCE = dt.timedelta(days=1)
"""A project that could not be read for so long is told of, however few the attempts were."""
ALMOST = dt.timedelta(days=2)
"""What ends within this time is critical."""
EXCEPTION_NOTICE = dt.timedelta(days=7)
"""How long before its end a policy exception is told of."""
CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: None stands for everywhere."""

    workspace_id: int | None = None
    project_id: int | None = None
    connector_id: int | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong now. With `opens` False it keeps its incident open and begins none."""

    key: str
    kind: Incident.Kind
    severity: Severity
    title: str
    detail: str
    place: Place = Place()
    is_terminal: bool = True
    opens: bool = True


class Names:
    """How projects and types are called, and which workspace a project is in; read once for all kinds."""

    def __init__(self) -> None:
        rows = Project.objects.order_by().values_list("pk", "name", "workspace_id", "environment")
        self.projects = {pk: (name, workspace) for pk, name, workspace, _ in rows}
        self.environments = {pk: environment for pk, _, _, environment in rows}
        self._types = dict(IntegrationType.objects.order_by().values_list("slug", "display_name"))

    def connector(self, type_: str, project_id: int) -> str:
        """`Gmail in Shop`."""
        return f"{self._types.get(type_) or type_} in {self.project(project_id)}"

    def place(self, project_id: int, connector_id: int | None = None) -> Place:
        """Where this project's connector is."""
        return Place(self.projects.get(project_id, ("", None))[1], project_id, connector_id)

    def project(self, project_id: int) -> str:
        """The name of a project, which may have been deleted while this was read."""
        return self.projects.get(project_id, ("a project", None))[0]


Source = Callable[[Names, dt.datetime], Iterable[Wrong]]


def everything_wrong(now: dt.datetime, *, whole: bool) -> tuple[dict[str, Wrong], Names]:
    """What is wrong, by key, and the names that it was told with.

    Reading the future of every token is dear: unless `whole`, only tokens whose end was told of are looked at.
    """
    names = Names()
    found = [item for source in SOURCES for item in source(names, now)]
    found += token_ends(names, now, whole=whole)
    return {item.key: item for item in sorted(found, key=lambda item: item.severity)}, names


def drift(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Connectors whose sides differ in a way that nothing explains, and go on to."""
    rows = LedgerEntry.objects.differing().order_by("project", "integration_type", "scope")
    about = ("connector_id", "project_id", "integration_type_id", "connector__ledger_at")
    fields = (*about, "spelled", "verdict", "sensitivity")
    for (connector_id, project_id, type_, noted_at), entries in groupby(
        rows.values_list(*fields).iterator(CHUNK), key=itemgetter(0, 1, 2, 3)
    ):
        scopes = [(scope, verdict, sensitivity) for *_, scope, verdict, sensitivity in entries]
        yield Wrong(
            f"{Kind.DRIFT}:{connector_id}",
            Kind.DRIFT,
            max(_gravity(verdict, sensitivity) for _, verdict, sensitivity in scopes),
            f"Scopes differ: {names.connector(type_, project_id)}",
            _in_words(scopes),
            opens=noted_at is not None and noted_at <= now - SETTLING,
            place=names.place(project_id, connector_id),
        )


def _gravity(verdict: str, sensitivity: int | None) -> Severity:
    """Excess is graver than a lack: it can be used for harm, while a lack only fails."""
    if verdict == LedgerEntry.Verdict.EXCESS:
        grave = sensitivity is not None and sensitivity >= Sensitivity.HIGH
        return Severity.CRITICAL if grave else Severity.WARNING
    return Severity.NOTICE if sensitivity == Sensitivity.LOW else Severity.WARNING


_DIFFERENCES = {
    LedgerEntry.Verdict.EXCESS: "Allowed and not declared: {}.",
    LedgerEntry.Verdict.MISSING: "Declared and missing: {}.",
    LedgerEntry.Verdict.DRIFT: "Not the same everywhere: {}.",
}


def _in_words(scopes: list[tuple[str, str, int | None]]) -> str:
    parts = []
    for verdict, text in _DIFFERENCES.items():
        if named := [scope for scope, found, _ in scopes if found == verdict]:
            parts.append(text.format(listing(named)))
    return " ".join(parts)


_EFFECTS = {PolicyRule.Effect.BLOCK: Severity.CRITICAL}


def policy(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Rules in force that a connector breaks without an exception."""
    rows = PolicyFinding.objects.counting().order_by()
    fields = ("rule_id", "connector_id", "project_id", "connector__integration_type_id")
    texts = ("rule__name", "rule__effect", "rule__explanation", "sentence")
    for rule_id, connector_id, project_id, type_, name, effect, explanation, sentence in rows.values_list(
        *fields, *texts
    ).iterator(CHUNK):
        yield Wrong(
            f"{Kind.POLICY}:{rule_id}:{connector_id}",
            Kind.POLICY,
            _EFFECTS.get(effect, Severity.WARNING),
            f"Policy “{name}” broken: {names.connector(type_, project_id)}",
            f"{sentence} {explanation}".strip(),
            place=names.place(project_id, connector_id),
        )


def consent(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Connectors for which somebody has to agree at Base44. One that was asked for just now begins nothing."""
    rows = Connector.objects.declared().filter(WAITS).order_by()
    fields = ("pk", "project_id", "integration_type_id", "consent", "consent_note", "sync_note")
    for pk, project_id, type_, state, note, sync_note in rows.values_list(*fields).iterator(CHUNK):
        yield Wrong(
            f"{Kind.CONSENT}:{pk}",
            Kind.CONSENT,
            Severity.WARNING,
            f"Consent needed: {names.connector(type_, project_id)}",
            note or sync_note,
            opens=state != Connector.Consent.PENDING,
            place=names.place(project_id, pk),
        )


_TOKEN_FIELDS = (
    "pk",
    "connector_id",
    "connector__project_id",
    "connector__integration_type_id",
    "account",
    "last_error",
)


def failing_tokens(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Tokens whose refresh fails for now. A client's fault is that client's incident and not one of each token."""
    failing = Token.objects.filter(state=Token.State.FAILING, connector__is_declared=True)
    rows = failing.exclude(oauth_client__state=OAuthClient.State.MISCONFIGURED).order_by()
    fields = (*_TOKEN_FIELDS, "failures", "failing_since")
    for pk, connector_id, project_id, type_, account, error, failures, since in rows.values_list(*fields).iterator(
        CHUNK
    ):
        lasting = failures >= FAILURES or (since is not None and since <= now - PATIENCE)
        yield Wrong(
            f"{Kind.TOKEN}:{pk}",
            Kind.TOKEN,
            Severity.WARNING,
            f"Token not refreshed: {names.connector(type_, project_id)}",
            _of_account(account, error or "The provider did not answer."),
            is_terminal=False,
            opens=lasting,
            place=names.place(project_id, connector_id),
        )


def ended_tokens(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Tokens that open nothing until somebody authorises their connector again."""
    rows = Token.objects.needing_renewal(now).filter(connector__is_declared=True).order_by()
    for pk, connector_id, project_id, type_, account, error in rows.values_list(*_TOKEN_FIELDS).iterator(CHUNK):
        yield Wrong(
            f"{Kind.TOKEN}:{pk}",
            Kind.TOKEN,
            Severity.CRITICAL,
            f"Has to be authorised again: {names.connector(type_, project_id)}",
            _of_account(account, error or "The token has ended, and there is nothing to renew it with."),
            place=names.place(project_id, connector_id),
        )


def _of_account(account: str, text: str) -> str:
    return f"{text} Account: {account}." if account else text


def token_ends(names: Names, now: dt.datetime, *, whole: bool) -> Iterator[Wrong]:
    """Living tokens that end for good within TOKEN_WARN_DAYS."""
    tokens = Token.objects.filter(connector__is_declared=True)
    if not whole:
        told = Incident.objects.open().filter(kind=Kind.TOKEN_END).order_by()
        tokens = tokens.filter(connector__in=told.values("connector"))
    horizon = dt.timedelta(days=settings.TOKEN_WARN_DAYS)
    found = {ending.token_id: ending.death for ending in endings(tokens, now, horizon) if ending.death.at > now}
    whole_rows = Token.objects.select_related("connector").only(
        "account", "connector__project_id", "connector__integration_type_id"
    )
    for pk, row in whole_rows.in_bulk(list(found)).items():
        death, connector = found[pk], row.connector
        day = timezone.localtime(death.at).date().isoformat()
        yield Wrong(
            f"{Kind.TOKEN_END}:{pk}",
            Kind.TOKEN_END,
            Severity.CRITICAL if death.at <= now + ALMOST else Severity.WARNING,
            f"Token ends on {day}: {names.connector(connector.integration_type_id, connector.project_id)}",
            _of_account(row.account, death.reason),
            place=names.place(connector.project_id, connector.pk),
        )


def clients(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """OAuth clients that their provider does not accept: none of their tokens is refreshed."""
    rows = OAuthClient.objects.filter(state=OAuthClient.State.MISCONFIGURED).order_by()
    for pk, name, note, workspace_id in rows.values_list("pk", "name", "state_note", "workspace_id"):
        text = note or "The provider does not accept it."
        title = f"OAuth client misconfigured: {name}"
        yield Wrong(f"{Kind.CLIENT}:{pk}", Kind.CLIENT, Severity.CRITICAL, title, text, Place(workspace_id))


def credentials(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Workspaces whose credential Base44 refuses."""
    rows = Workspace.objects.filter(credential_state=Workspace.CredentialState.REFUSED).order_by()
    for pk, name in rows.values_list("pk", "name"):
        title, text = f"Base44 refuses the credential of {name}", "None of its projects can be read or changed."
        yield Wrong(f"{Kind.CREDENTIAL}:{pk}", Kind.CREDENTIAL, Severity.CRITICAL, title, text, Place(pk))


def syncs(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Projects that could not be read several times. A refused credential is its workspace's incident."""
    unread = Project.objects.exclude(sync_error="").exclude(
        workspace__credential_state__in=[Workspace.CredentialState.REFUSED, Workspace.CredentialState.MISSING]
    )
    tried = SyncRun.objects.filter(
        project=OuterRef("pk"), kind=SyncRun.Kind.SYNC, state__in=SyncRun.BAD_STATES
    ).order_by("-id")
    earlier = Subquery(tried.values("finished_at")[FAILURES - 1 : FAILURES])
    rows = unread.order_by().annotate(third_last=earlier)
    for pk, error, synced_at, added, third_last in rows.values_list(
        "pk", "sync_error", "synced_at", "created_at", "third_last"
    ):
        often = third_last is not None and (synced_at is None or third_last > synced_at)
        yield Wrong(
            f"{Kind.SYNC}:{pk}",
            Kind.SYNC,
            Severity.WARNING,
            f"Cannot be read from Base44: {names.project(pk)}",
            error,
            is_terminal=False,
            opens=often or (synced_at or added) <= now - SYNC_PATIENCE,
            place=names.place(pk),
        )


def reviews(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Open access reviews whose day has passed while scopes are undecided."""
    late = ReviewCampaign.objects.open().filter(due_at__lte=now, decided_count__lt=F("item_count")).order_by()
    fields = ("pk", "name", "workspace_id", "due_at", "item_count", "decided_count")
    for pk, name, workspace_id, due_at, items, decided in late.values_list(*fields):
        day = timezone.localtime(due_at).date().isoformat()
        yield Wrong(
            f"{Kind.REVIEW}:{pk}",
            Kind.REVIEW,
            Severity.WARNING,
            f"Access review overdue: {name}",
            f"It was due on {day}, and {items - decided} of its {items} scopes are undecided.",
            Place(workspace_id),
        )


def exceptions(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Policy exceptions that end soon: then their rule holds again."""
    rows = PolicyException.objects.in_force(now).filter(expires_at__lte=now + EXCEPTION_NOTICE, rule__is_enabled=True)
    fields = ("pk", "project_id", "rule__name", "owner_label", "expires_at")
    for pk, project_id, rule, owner, expires_at in rows.order_by().values_list(*fields):
        day = timezone.localtime(expires_at).date().isoformat()
        yield Wrong(
            f"{Kind.EXCEPTION}:{pk}",
            Kind.EXCEPTION,
            Severity.WARNING,
            f"Exception from “{rule}” ends on {day}: {names.project(project_id)}",
            f"{owner} answers for it." if owner else "",
            place=names.place(project_id),
        )


def repositories(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Repositories in use that cannot be read or written to."""
    failing = Repository.objects.in_use().filter(state=Repository.State.FAILING).order_by()
    rows = list(failing.values_list("pk", "name", "problem"))
    homes = failing.homes() if rows else {}
    for pk, name, problem in rows:
        key, title = f"{Kind.REPOSITORY}:{pk}", f"Repository failing: {name}"
        yield Wrong(key, Kind.REPOSITORY, Severity.WARNING, title, problem, Place(homes.get(pk)))


def exports(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Repositories in use whose last export failed. What may pass is another attempt's row, still to be run."""
    runs = RepositoryRun.objects.filter(repository=OuterRef("pk"), kind=RepositoryRun.Kind.EXPORT).order_by("-pk")
    last = Repository.objects.in_use().annotate(last_export=Subquery(runs.values("pk")[:1])).values("last_export")
    failed = RepositoryRun.objects.filter(pk__in=last, state=RepositoryRun.State.FAILED).order_by()
    rows = list(failed.values_list("repository_id", "repository__name", "message"))
    homes = Repository.objects.filter(pk__in=[pk for pk, *_ in rows]).homes() if rows else {}
    for pk, name, message in rows:
        key, title = f"{Kind.REPOSITORY}:export:{pk}", f"Export failed: {name}"
        yield Wrong(key, Kind.REPOSITORY, Severity.WARNING, title, message, Place(homes.get(pk)))


def conflicts(names: Names, now: dt.datetime) -> Iterator[Wrong]:
    """Projects with files that were changed in the repository and in the portal."""
    rows = Placement.objects.conflicting().filter(repository__is_enabled=True).order_by()
    for project_id, count, repository_id, repository in rows.values_list(
        "project_id", "conflicts", "repository_id", "repository__name"
    ):
        files = "1 file was" if count == 1 else f"{count} files were"
        yield Wrong(
            f"{Kind.CONFLICT}:{project_id}:{repository_id}",
            Kind.CONFLICT,
            Severity.WARNING,
            f"Conflict with {repository}: {names.project(project_id)}",
            f"{files} changed on both sides. Neither is overwritten until somebody decides.",
            place=names.place(project_id),
        )


SOURCES: tuple[Source, ...] = (
    drift,
    policy,
    consent,
    failing_tokens,
    ended_tokens,
    clients,
    credentials,
    syncs,
    reviews,
    exceptions,
    repositories,
    exports,
    conflicts,
)
