"""Incidents: each thing that goes wrong opens one, once, and closes it when it is over."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors import tasks
from connectors.flows import ledger
from connectors.flows.alert_words import Way, way_of
from connectors.flows.incidents import prune_incidents, watch
from connectors.models import (
    AlertDelivery,
    Connector,
    Event,
    Incident,
    LedgerEntry,
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
from tests.factories import (
    SHELL,
    make_connector,
    make_incident,
    make_oauth_client,
    make_project,
    make_route,
    make_token,
)

Kind = Incident.Kind
NOW = dt.datetime(2030, 3, 5, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
GMAIL = "https://www.googleapis.com/auth/gmail.readonly"


def open_ones() -> list[Incident]:
    return list(Incident.objects.open())


def the_only() -> Incident:
    (incident,) = open_ones()
    return incident


def differ(connector: Connector, verdict: str, sensitivity: Sensitivity | None, scope: str = "a") -> None:
    """A scope of this connector that differs and has for a while, as the ledger would note it."""
    Connector.objects.filter(pk=connector.pk).update(ledger_at=NOW - DAY)
    LedgerEntry.objects.create(
        connector=connector,
        project=connector.project,
        integration_type_id=connector.integration_type_id,
        environment=connector.project.environment,
        scope=scope,
        spelled=scope,
        verdict=verdict,
        differs=True,
        sensitivity=sensitivity,
        reason="",
        since=NOW,
    )


def failing_token(project: Project, **values: Any) -> Token:
    values = {"state": "failing", "failures": 1, "failing_since": NOW, "last_error": "It answered 503.", **values}
    return make_token(make_connector(project, "gmail"), **values)


# --- What opens one ---------------------------------------------------------------------------------------------


def test_nothing_wrong_opens_nothing(project: Project) -> None:
    make_connector(project, "gmail", [GMAIL], registered=[GMAIL])
    watch(NOW, whole=True)
    assert open_ones() == []


def test_scopes_that_really_differ_open_one_per_connector(project: Project) -> None:
    row = make_connector(project, "gmail", [GMAIL], registered=[GMAIL, "https://mail.google.com/"])
    ledger.note([row.pk], SHELL, "tests")
    watch(NOW)
    incident = the_only()
    assert (incident.key, incident.kind, incident.connector_id) == (f"drift:{row.pk}", Kind.DRIFT, row.pk)
    assert "https://mail.google.com/" in incident.detail


def test_whoever_edits_a_connector_has_time_to_apply_the_plan(project: Project) -> None:
    row = make_connector(project, "gmail", [GMAIL], registered=[])
    ledger.note([row.pk], SHELL, "tests", now=NOW)
    watch(NOW + 14 * MINUTE)
    assert open_ones() == []
    watch(NOW + 15 * MINUTE)
    assert the_only().kind == Kind.DRIFT


@pytest.mark.parametrize(
    ("verdict", "sensitivity", "severity"),
    [
        ("excess", Sensitivity.CRITICAL, Severity.CRITICAL),
        ("excess", Sensitivity.HIGH, Severity.CRITICAL),
        ("excess", Sensitivity.LOW, Severity.WARNING),
        ("excess", None, Severity.WARNING),
        ("missing", Sensitivity.CRITICAL, Severity.WARNING),
        ("missing", Sensitivity.LOW, Severity.NOTICE),
        ("drift", None, Severity.WARNING),
    ],
)
def test_excess_is_graver_than_a_lack_and_the_gravest_scope_decides(
    verdict: str, sensitivity: Sensitivity | None, severity: Severity, project: Project
) -> None:
    row = make_connector(project, "gmail")
    differ(row, verdict, sensitivity)
    differ(row, "missing", Sensitivity.LOW, "b")
    watch(NOW)
    assert the_only().severity == severity


@pytest.mark.parametrize(("effect", "severity"), [("block", 2), ("approval", 1), ("warn", 1)])
def test_a_broken_rule_opens_one_unless_an_exception_covers_it(effect: str, severity: int, project: Project) -> None:
    rule = PolicyRule.objects.create(name="No mail", effect=effect, is_enabled=True, explanation="Ask legal.")
    row = make_connector(project, "gmail")
    finding = PolicyFinding.objects.create(
        rule=rule, project=project, connector=row, sentence="It may read mail.", since=NOW
    )
    watch(NOW)
    assert (the_only().severity, the_only().detail) == (severity, "It may read mail. Ask legal.")
    finding.exception = PolicyException.objects.create(
        rule=rule, project=project, reason="x", owner_label="Bea", expires_at=NOW + 90 * DAY, state="granted"
    )
    finding.save()
    watch(NOW + MINUTE)
    assert open_ones() == []


def test_an_exception_that_ends_within_a_week_is_told_of(project: Project) -> None:
    rule = PolicyRule.objects.create(name="No mail", is_enabled=True)
    PolicyException.objects.create(
        rule=rule, project=project, reason="x", owner_label="Bea", expires_at=NOW + 8 * DAY, state="granted"
    )
    watch(NOW)
    assert open_ones() == []
    watch(NOW + 2 * DAY)
    assert (the_only().kind, the_only().title) == (Kind.EXCEPTION, "Exception from “No mail” ends on 2030-03-13: Crm")


@pytest.mark.parametrize("state", ["needed", "failed", "given_up"])
def test_a_consent_that_is_needed_opens_one(state: str, project: Project) -> None:
    make_connector(project, "gmail", consent=state, consent_note="Someone must agree.")
    watch(NOW)
    assert (the_only().kind, the_only().detail) == (Kind.CONSENT, "Someone must agree.")


def test_a_consent_under_way_begins_no_incident_and_ends_none(project: Project) -> None:
    row = make_connector(project, "gmail", consent="pending")
    watch(NOW)
    assert open_ones() == []
    Connector.objects.filter(pk=row.pk).update(consent="failed")
    watch(NOW)
    Connector.objects.filter(pk=row.pk).update(consent="pending")
    assert watch(NOW + MINUTE).closed == 0


def test_a_refresh_that_fails_once_is_nobodys_business(project: Project) -> None:
    failing_token(project)
    watch(NOW + 14 * MINUTE)
    assert open_ones() == []


@pytest.mark.parametrize("values", [{"failures": 3}, {"failing_since": NOW - 15 * MINUTE}])
def test_a_refresh_that_keeps_failing_opens_one_that_may_pass_by_itself(
    values: dict[str, Any], project: Project
) -> None:
    failing_token(project, **values)
    watch(NOW)
    assert (the_only().kind, the_only().is_terminal, the_only().severity) == (Kind.TOKEN, False, Severity.WARNING)


@pytest.mark.parametrize(
    "values", [{"state": "needs_consent"}, {"refresh_at": None, "expires_at": NOW - DAY, "state": "fresh"}]
)
def test_a_token_that_only_a_person_can_bring_back_is_critical(values: dict[str, Any], project: Project) -> None:
    failing_token(project, **values)
    watch(NOW)
    assert (the_only().kind, the_only().is_terminal, the_only().severity) == (Kind.TOKEN, True, Severity.CRITICAL)


def test_a_clients_fault_is_one_incident_and_not_one_of_each_token(project: Project) -> None:
    client = make_oauth_client("main", state="misconfigured", state_note="The secret is wrong.")
    failing_token(project, oauth_client=client, failures=9)
    watch(NOW)
    assert (the_only().kind, the_only().detail) == (Kind.CLIENT, "The secret is wrong.")


def test_a_refused_credential_is_one_incident_and_not_one_of_each_project(workspace: Workspace) -> None:
    Workspace.objects.update(credential_state="refused")
    for _ in range(3):
        make_project(workspace=workspace, sync_error="Refused.", synced_at=NOW - 9 * DAY)
    watch(NOW)
    assert (the_only().kind, the_only().workspace_id) == (Kind.CREDENTIAL, workspace.pk)


def sync_runs(project: Project, *states: str) -> None:
    for number, state in enumerate(states):
        SyncRun.objects.create(
            project=project,
            kind="sync",
            state=state,
            actor_label="x",
            door="task",
            finished_at=NOW - (len(states) - number) * MINUTE,
        )


def test_a_sync_is_told_of_when_it_failed_three_times(workspace: Workspace) -> None:
    Workspace.objects.update(credential_state="accepted")
    project = make_project(workspace=workspace, sync_error="503.", synced_at=NOW - 10 * MINUTE)
    sync_runs(project, "failed", "failed")
    watch(NOW)
    assert open_ones() == []
    sync_runs(project, "failed")
    watch(NOW)
    assert (the_only().kind, the_only().detail, the_only().is_terminal) == (Kind.SYNC, "503.", False)


def test_failures_before_the_last_good_sync_do_not_count(workspace: Workspace) -> None:
    Workspace.objects.update(credential_state="accepted")
    project = make_project(workspace=workspace, sync_error="503.", synced_at=NOW - MINUTE - dt.timedelta(seconds=30))
    sync_runs(project, "failed", "failed", "failed")
    watch(NOW)
    assert open_ones() == []


def test_a_project_that_was_not_read_for_a_day_is_told_of(workspace: Workspace) -> None:
    Workspace.objects.update(credential_state="accepted")
    make_project(workspace=workspace, sync_error="503.", synced_at=NOW - DAY)
    watch(NOW)
    assert the_only().kind == Kind.SYNC


def test_a_failing_repository_is_told_of_until_it_works_or_is_out_of_use(db: None) -> None:
    row = Repository.objects.create(name="Shop", url="https://git.example.com/shop.git", state="failing", problem="No.")
    watch(NOW)
    incident = the_only()
    assert (incident.kind, incident.detail, incident.title) == (Kind.REPOSITORY, "No.", "Repository failing: Shop")
    assert way_of(incident) == Way(f"/admin/connectors/repository/{row.pk}/change/", "Open the repository")
    Repository.objects.update(is_enabled=False)
    watch(NOW)
    assert open_ones() == []


def test_a_failed_export_is_told_of_until_one_succeeds(db: None) -> None:
    row = Repository.objects.create(name="Shop", url="https://git.example.com/shop.git", state="working")
    runs = RepositoryRun.objects
    runs.create(repository=row, kind="export", state="failed", message="The branch is protected.")
    runs.create(repository=row, kind="read", state="done")
    watch(NOW)
    incident = the_only()
    assert (incident.title, incident.detail) == ("Export failed: Shop", "The branch is protected.")
    assert way_of(incident) == Way(f"/admin/connectors/repository/{row.pk}/change/", "Open the repository")
    runs.create(repository=row, kind="export", state="done")
    watch(NOW)
    assert open_ones() == []


def test_a_conflict_is_told_of_until_somebody_decides(project: Project) -> None:
    row = Repository.objects.create(name="Shop", url="https://git.example.com/shop.git")
    Placement.objects.create(repository=row, project=project, conflicts=2)
    watch(NOW)
    incident = the_only()
    assert (incident.kind, incident.project, incident.title) == (Kind.CONFLICT, project, "Conflict with Shop: Crm")
    assert incident.detail.startswith("2 files were changed on both sides.")
    assert way_of(incident) == Way(f"/admin/connectors/repository/{row.pk}/change/", "Open the repository")
    Placement.objects.update(conflicts=0)
    watch(NOW)
    assert open_ones() == []


def test_an_overdue_review_is_told_of_until_everything_is_decided(db: None) -> None:
    row = ReviewCampaign.objects.create(name="Spring", due_at=NOW, state="open", item_count=5, decided_count=3)
    watch(NOW - MINUTE)
    assert open_ones() == []
    watch(NOW)
    assert "2 of its 5 scopes are undecided" in the_only().detail
    ReviewCampaign.objects.filter(pk=row.pk).update(decided_count=5)
    watch(NOW + MINUTE)
    assert open_ones() == []


def test_a_token_that_ends_soon_is_told_of_and_again_when_it_is_almost_over(project: Project) -> None:
    client = make_oauth_client(is_testing=True)  # Google ends such tokens after seven days
    times: dict[str, Any] = {"authorised_at": NOW, "issued_at": NOW, "refresh_at": NOW + 99 * DAY, "expires_at": None}
    make_token(make_connector(project, "gmail"), oauth_client=client, **times)
    watch(NOW)
    assert open_ones() == []
    watch(NOW, whole=True)
    assert (the_only().kind, the_only().severity) == (Kind.TOKEN_END, Severity.WARNING)
    watch(NOW + 6 * DAY)
    assert the_only().severity == Severity.CRITICAL


def test_the_hourly_task_looks_for_tokens_that_end(project: Project) -> None:
    client = make_oauth_client(is_testing=True)
    make_token(make_connector(project, "gmail"), oauth_client=client)
    tasks.watch_incidents()
    assert open_ones() == []
    tasks.warn_of_deaths()
    assert the_only().kind == Kind.TOKEN_END
    Token.objects.all().delete()
    tasks.watch_incidents()
    assert open_ones() == []


# --- Once -------------------------------------------------------------------------------------------------------


def test_an_incident_opens_once_and_closes_once_each_with_an_event(project: Project) -> None:
    make_connector(project, "gmail", consent="needed")
    watches = [watch(NOW + n * MINUTE) for n in range(3)]
    Connector.objects.update(consent="")
    watches += [watch(NOW + n * MINUTE) for n in range(3, 6)]
    assert [(found.opened, found.closed) for found in watches] == [(1, 0), (0, 0), (0, 0), (0, 1), (0, 0), (0, 0)]
    verbs = list(Event.objects.order_by("pk").values_list("verb", "project", "target_label"))
    label = "incident of gmail in Crm"
    assert verbs == [("incident.opened", project.pk, label), ("incident.closed", project.pk, label)]


def test_an_incident_closes_when_its_connector_is_gone(project: Project) -> None:
    row = make_connector(project, "gmail", consent="needed")
    watch(NOW)
    row.delete()
    assert watch(NOW + MINUTE).closed == 1
    assert "Gmail in Crm" in Incident.objects.get().title


def test_what_comes_back_within_ten_minutes_goes_on_in_the_same_row(project: Project) -> None:
    make_route()
    make_connector(project, "gmail", consent="needed")
    for minutes, consent in enumerate(["needed", "", "needed", "", "needed"]):
        Connector.objects.update(consent=consent)
        watch(NOW + minutes * MINUTE)
    assert the_only().opened_at == NOW
    assert AlertDelivery.objects.count() == 1


def test_what_comes_back_later_is_another_incident(project: Project) -> None:
    make_connector(project, "gmail", consent="needed")
    watch(NOW)
    Connector.objects.update(consent="")
    watch(NOW + MINUTE)
    Connector.objects.update(consent="needed")
    watch(NOW + 12 * MINUTE)
    assert Incident.objects.count() == 2


def test_what_gets_graver_is_told_of_anew_and_what_gets_better_is_not(project: Project) -> None:
    route, token = make_route(), failing_token(project, failures=3)
    watch(NOW)
    Token.objects.filter(pk=token.pk).update(state="needs_consent", last_error="It ended the consent.")
    watch(NOW + MINUTE)
    assert (the_only().severity, the_only().is_terminal) == (Severity.CRITICAL, True)
    phases = route.deliveries.order_by("created_at").values_list("phase", flat=True)
    assert list(phases) == ["opened", "opened"]
    Token.objects.filter(pk=token.pk).update(state="failing")
    watch(NOW + 2 * MINUTE)
    assert (the_only().severity, the_only().is_terminal) == (Severity.CRITICAL, False)
    assert route.deliveries.count() == 2


def test_new_words_change_the_row_and_tell_nobody(project: Project) -> None:
    route = make_route()
    make_connector(project, "gmail", consent="needed", consent_note="One.")
    watch(NOW)
    Connector.objects.update(consent_note="Two.")
    watch(NOW + MINUTE)
    assert (the_only().detail, route.deliveries.count()) == ("Two.", 1)


@pytest.mark.parametrize("count", [2, 40])
def test_a_watch_that_changes_nothing_costs_the_same_however_much_is_open(count: int, project: Project) -> None:
    for number in range(count):
        row = make_connector(make_project(workspace=project.workspace), "gmail", consent="needed")
        differ(row, "excess", None)
        if number % 2:
            make_token(row, state="needs_consent")
    watch(NOW)
    with CaptureQueriesContext(connection) as seen:
        assert watch(NOW + MINUTE).opened == 0
    assert len(seen) == 20


@pytest.mark.django_db(transaction=True)
def test_watches_at_once_open_and_close_everything_once() -> None:
    route = make_route()
    for _ in range(30):
        make_connector(make_project(), "gmail", consent="needed")
    at_once(lambda: watch(NOW))
    assert (Incident.objects.count(), route.deliveries.count(), Event.objects.count()) == (30, 30, 30)
    Connector.objects.update(consent="")
    at_once(lambda: watch(NOW + MINUTE))
    assert (len(open_ones()), route.deliveries.count(), Event.objects.count()) == (0, 60, 60)


def at_once(do: Callable[[], object]) -> None:
    """Lets four workers do it at the same time."""
    together = threading.Barrier(4)

    def work() -> None:
        try:
            together.wait(20)
            do()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_title_longer_than_its_column_is_cut(project: Project) -> None:
    Project.objects.update(name="n" * 100)
    rule = PolicyRule.objects.create(name="r" * 100, is_enabled=True)
    row = make_connector(project, "gmail")
    PolicyFinding.objects.create(rule=rule, project=project, connector=row, sentence="s", since=NOW)
    for minutes in range(2):
        watch(NOW + minutes * MINUTE)
    assert len(the_only().title) == 200


def test_old_incidents_are_forgotten_with_their_messages_and_open_ones_stay(db: None, operator: User) -> None:
    route = make_route()
    old = make_incident(closed_at=NOW - 200 * DAY, opened_at=NOW - 201 * DAY)
    make_incident(opened_at=NOW - 400 * DAY)
    AlertDelivery.objects.create(route=route, incident=old, phase="opened", state="sent", next_attempt_at=NOW)
    assert prune_incidents(NOW, keep_days=180) == 1
    assert the_only().opened_at == NOW - 400 * DAY
    assert not AlertDelivery.objects.exists()


def test_the_daily_task_forgets_old_incidents(db: None) -> None:
    make_incident(closed_at=timezone.now() - 200 * DAY)
    tasks.prune()
    assert not Incident.objects.exists()
