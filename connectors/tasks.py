"""What workers do: a task takes ids, calls one flow, and maps errors to another try.

Rows are the truth (flows.runs): a message may be lost or come twice, and nothing is done twice or forgotten.
`start_...` open the rows and send the message once the transaction is committed.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from celery import Task, shared_task
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from connectors.core.actor import SCHEDULER, Actor, Door
from connectors.core.errors import ApiError, CredentialError, PortalError
from connectors.core.plan import Plan
from connectors.core.trace import SENT_AT
from connectors.flows import (
    alerts,
    apply,
    approval_mail,
    approvals,
    authorise,
    consent,
    consent_outcome,
    credentials,
    forecast,
    heartbeat,
    incidents,
    ledger,
    policies,
    policy_exceptions,
    pull_requests,
    refresh,
    repository_caches,
    repository_runs,
    review_mail,
    review_plan,
    runs,
    sync,
    trail_archive,
    trail_check,
    trail_seal,
    trail_stream,
)
from connectors.flows.connect import client_for
from connectors.flows.export_choices import Choices
from connectors.models import Connector, LedgerEntry, PolicyRule, Project, Repository, RepositoryRun, SyncRun

log = logging.getLogger(__name__)

SYNC_CHUNK = 500
RECHECK_AT_ONCE = 5_000
"""Ledger entries that a page judges by changed rules itself; more are left to a worker."""
_refreshing = threading.Lock()
MAX_WAIT = 5.0
"""Seconds that a worker sleeps for a rate budget; for a longer wait the work goes back to the queue."""


def start_sync(projects: Iterable[Project], actor: Actor) -> list[SyncRun]:
    """Queues a sync of each project that has none under way; workers take them in chunks."""
    queued = sync.queue_syncs(projects, actor)
    for start in range(0, len(queued), SYNC_CHUNK):
        ids = [run.pk for run in queued[start : start + SYNC_CHUNK]]
        transaction.on_commit(lambda ids=ids: _deliver(sync_runs, ids))  # type: ignore[misc]
    return queued


def start_apply(project: Project, plan: Plan, removals: Collection[str], actor: Actor) -> SyncRun:
    """Queues an apply. Raises Refused as `flows.apply.queue_apply` does."""
    run = apply.queue_apply(project, plan, removals, actor)
    transaction.on_commit(lambda: _deliver(apply_run, run.pk))
    return run


def start_repository_read(repository: Repository, actor: Actor, reason: str) -> tuple[RepositoryRun, bool]:
    """Queues a reading; with it whether it is new, for one that waits already does for everybody who asks."""
    run, is_new = repository_runs.ask_read(repository, actor, reason)
    transaction.on_commit(lambda: repository_runs.send_once(run.pk, _send_repository_run))
    return run, is_new


def start_repository_export(
    repository: Repository, actor: Actor, reason: str, choices: Choices | None = None, fingerprint: str = ""
) -> RepositoryRun:
    """Queues an export; see `repository_runs.ask_export`."""
    run = repository_runs.ask_export(repository, actor, reason, choices, fingerprint)
    transaction.on_commit(lambda: repository_runs.send_once(run.pk, _send_repository_run))
    return run


def start_policy_recheck() -> bool:
    """Judges the fleet by the rules as they are now: here and at once while it is small (True), else in a worker."""
    if LedgerEntry.objects.order_by()[: RECHECK_AT_ONCE + 1].count() <= RECHECK_AT_ONCE:
        policies.recheck_all()
        return True
    transaction.on_commit(lambda: _deliver(recheck_policies))
    return False


def watch_consent(connector: Connector) -> None:
    """Polls a consent that was just asked for, until it is decided or given up."""
    transaction.on_commit(lambda: _poll_later(connector.pk))


@shared_task(bind=True)
def beat(task: Task[Any, Any]) -> None:
    """Says that what the scheduler sends comes to a worker, and how late."""
    sent_at = task.request.get(SENT_AT) or (task.request.headers or {}).get(SENT_AT)
    heartbeat.scheduler_beat(dt.datetime.fromtimestamp(sent_at, dt.UTC) if sent_at else None, timezone.now())


@shared_task
def sync_runs(run_ids: Sequence[int]) -> None:
    result = sync.run_syncs(run_ids, _actor_of(run_ids), max_wait=MAX_WAIT)
    if result.postponed:
        _deliver(sync_runs, result.postponed, countdown=result.wait)


@shared_task
def sync_due_projects() -> None:
    """Every project whose periodic sync is due (SYNC_INTERVAL)."""
    interval = dt.timedelta(seconds=settings.SYNC_INTERVAL)
    start_sync(sync.claim_due_projects(timezone.now(), interval), SCHEDULER)


@shared_task
def apply_run(run_id: int) -> None:
    run = SyncRun.objects.select_related("project__workspace").get(pk=run_id)
    try:
        client = client_for(run.project.workspace)
    except CredentialError as error:
        if (claimed := runs.claim_run(run_id)) is not None:
            runs.finish_run(claimed, SyncRun.State.FAILED, str(error))
        return
    apply.run_apply(run_id, client, _actor_of([run_id]))


@shared_task
def poll_consent(connector_id: int) -> None:
    connector = Connector.objects.select_related("project__workspace").filter(pk=connector_id).first()
    if connector is None:
        return
    try:
        client = client_for(connector.project.workspace)
        state = consent.poll_consent(connector, client, SCHEDULER)
    except CredentialError:
        return  # the sweep asks again, by when somebody may have renewed the credential
    except ApiError:
        state = Connector.Consent.PENDING  # Base44 may answer next time; the flow gives up in the end
    if state == Connector.Consent.PENDING:
        _poll_later(connector_id)


@shared_task
def sweep() -> None:
    """Sets right what killed workers and lost messages leave behind."""
    now = timezone.now()
    runs.bury_dead_runs(now)
    runs.redeliver(now, _send)
    authorise.forget_abandoned(now)
    consent_outcome.settle_left_open(now)
    ledger.catch_up()
    for connector_id in consent.forgotten_consents(now):
        Connector.objects.filter(pk=connector_id).update(consent_polled_at=now)
        _deliver(poll_consent, connector_id)


@shared_task
def refresh_due_tokens() -> None:
    """Every token that is due, and every device login at Base44.

    Any number of workers may do this at once, each process once: a provider that is slow must not take all its threads.
    """
    if not _refreshing.acquire(blocking=False):
        return
    try:
        refresh.refresh_due()
    finally:
        _refreshing.release()
    for workspace_id in credentials.due_device_logins(timezone.now()):
        try:
            credentials.refresh_device_login(workspace_id)
        except PortalError as error:  # noted on the workspace where it is for good; the next one must not suffer
            log.warning("A device login at Base44 could not be renewed: %s", error)


@shared_task
def run_repository(run_id: int) -> None:
    """One read or export, then the message for whatever else waits for the same repository."""
    try:
        repository_runs.run(run_id)
    finally:
        if (waiting := repository_runs.next_after(run_id, timezone.now())) is not None:
            _send_repository_run(waiting)


@shared_task
def work_repositories() -> None:
    """What schedules want now, what killed workers and lost messages left behind, and what became of pull requests."""
    now = timezone.now()
    repository_runs.bury_dead(now)
    repository_runs.queue_due(now)
    repository_runs.redeliver(now, _send_repository_run)
    pull_requests.look_at_open(now)


@shared_task
def recheck_policies() -> None:
    """Every project, by the rules in force."""
    policies.recheck_all()


@shared_task
def expire_exceptions() -> None:
    """Ends the policy exceptions that are over. Rules whose recheck was lost with its worker are caught up here."""
    policy_exceptions.expire(timezone.now())
    if PolicyRule.objects.unchecked().exists():
        policies.recheck_all()


@shared_task
def work_approvals() -> None:
    """Ends approvals whose time is up, and mails what people do not know of yet."""
    now = timezone.now()
    approvals.expire(now)
    approval_mail.tell(now)


@shared_task
def prune() -> None:
    """Forgets what nobody looks at any more: old runs that found nothing, refreshes, incidents, caches."""
    now = timezone.now()
    runs.prune_runs(now, keep_days=settings.RUN_RETENTION_DAYS)
    repository_runs.prune(now, keep_days=settings.RUN_RETENTION_DAYS)
    repository_caches.prune()
    refresh.prune_history(now, keep_days=settings.RUN_RETENTION_DAYS)
    heartbeat.prune(now)
    incidents.prune_incidents(now, keep_days=settings.INCIDENT_RETENTION_DAYS)


@shared_task
def warn_of_deaths() -> None:
    """Says which tokens end soon (TOKEN_WARN_DAYS), before they do."""
    now = timezone.now()
    forecast.warn_of_deaths(now)
    incidents.watch(now, whole=True)


@shared_task
def watch_incidents() -> None:
    """Opens and closes incidents, and queues the alerts about them."""
    incidents.watch(timezone.now())


@shared_task
def deliver_alerts() -> None:
    """Every alert that is due. Any number of workers may do this at once."""
    alerts.deliver()


@shared_task
def seal_trail() -> None:
    """Binds new events into the trail's chain. Whoever comes second finds the first at it and goes."""
    trail_seal.seal(timezone.now())


@shared_task
def stream_trail() -> None:
    """Sends sealed events to the streams that are due. Any number of workers may do this at once."""
    trail_stream.send_due(timezone.now())


@shared_task
def check_trail() -> None:
    """Verifies the newest part of the trail, and moves what is old enough into files (TRAIL_RETENTION_DAYS)."""
    now = timezone.now()
    findings = trail_check.check_newest(now, SCHEDULER)
    if settings.TRAIL_RETENTION_DAYS and findings.is_sound:
        trail_archive.archive(now, SCHEDULER, keep_days=settings.TRAIL_RETENTION_DAYS)


@shared_task
def remind_reviewers() -> None:
    """Mails owners of open reviews what waits for them, and marks what has been carried out meanwhile."""
    now = timezone.now()
    review_plan.refresh_outcomes()
    review_mail.remind(now)
    review_mail.escalate(now)


def _deliver(task: Task[Any, Any], *args: object, countdown: float = 0.0) -> None:
    """Sends a message. Without a broker the row waits for the sweep, and nobody's page breaks."""
    try:
        task.apply_async(args, countdown=countdown)
    except OperationalError as error:
        log.error("The broker takes no messages (%s); %s is sent when it does again", error, task.name)


def _send(run: SyncRun) -> None:
    if run.kind == SyncRun.Kind.APPLY:
        _deliver(apply_run, run.pk)
    elif run.kind == SyncRun.Kind.SYNC:
        _deliver(sync_runs, [run.pk])


def _send_repository_run(run: RepositoryRun) -> None:
    _deliver(run_repository, run.pk)


def _poll_later(connector_id: int) -> None:
    _deliver(poll_consent, connector_id, countdown=consent.POLL_EVERY.total_seconds())


def _actor_of(run_ids: Sequence[int]) -> Actor:
    """Who asked for the runs: the worker acts in their name, through its own door."""
    run = SyncRun.objects.filter(pk__in=run_ids).first()
    return Actor(run.actor_label, Door.TASK, run.user_id) if run else SCHEDULER
