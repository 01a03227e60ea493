"""The rows of the lists: whom a filter lets through, and what a badge says."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.admin import cells
from connectors.core.specs import RegisteredConnector, RegisteredState
from connectors.flows.observe import observe
from connectors.models import Connector, Event, Project, SyncRun, Token, Workspace
from tests.admin.asking import path_of
from tests.factories import (
    SHELL,
    make_connector,
    make_oauth_client,
    make_project,
    make_token,
    make_type,
    make_workspace,
)

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
State = Connector.SyncState


def listed(browser: Client, model: str, **asked: Any) -> list[Any]:
    """The rows that the list shows for these filters."""
    return list(browser.get(path_of(model), asked).context["cl"].result_list)


# --- Filters ------------------------------------------------------------------------------------------------------


@pytest.fixture
def states(project: Project) -> dict[str, Connector]:
    """A connector of each sync state, under its name."""
    return {state: make_connector(project, f"t-{state}", sync_state=state) for state in State.values}


def kinds(rows: list[Any]) -> set[str]:
    return {row.integration_type_id for row in rows}


@pytest.mark.parametrize(
    ("agrees", "expected"),
    [
        ("yes", {"in_sync"}),
        ("no", {"differs", "not_registered", "not_declared", "inactive", "left_over"}),
        ("unknown", {"unknown"}),
        ("nonsense", set(State.values)),
    ],
)
def test_connectors_are_filtered_by_whether_they_agree(
    agrees: str, expected: set[str], browser: Client, states: dict[str, Connector]
) -> None:
    assert kinds(listed(browser, "connector", agrees=agrees)) == {f"t-{state}" for state in expected}


def test_connectors_are_filtered_by_one_sync_state(browser: Client, states: dict[str, Connector]) -> None:
    assert kinds(listed(browser, "connector", sync_state__exact="inactive")) == {"t-inactive"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("active", {"a"}),
        ("expired", {"e"}),
        ("disconnected", {"d"}),
        ("none", {"n"}),
        ("other", {"o"}),
    ],
)
def test_connectors_are_filtered_by_base44s_word(
    status: str, expected: set[str], browser: Client, project: Project
) -> None:
    words = {"a": "active", "e": "expired", "d": "disconnected", "n": "", "o": "some new word"}
    for type_, word in words.items():
        make_connector(project, type_, registered_status=word)
    assert kinds(listed(browser, "connector", status=status)) == expected


def test_connectors_that_need_somebody_are_found(browser: Client, project: Project) -> None:
    make_connector(project, "fine")
    make_connector(project, "drifts", needs_attention=True)
    make_connector(project, "waits", consent=Connector.Consent.PENDING)
    assert kinds(listed(browser, "connector", attention="yes")) == {"drifts"}
    assert kinds(listed(browser, "connector", attention="consent")) == {"waits"}


@pytest.fixture
def two_projects(workspace: Workspace) -> tuple[Project, Project]:
    """One in production at Acme, one under development elsewhere; each has slack, the first gmail as well."""
    shop = make_project("shop", workspace=workspace, environment="production")
    blog = make_project("blog", workspace=make_workspace("Elsewhere"))
    for project, type_ in ((shop, "slack"), (shop, "gmail"), (blog, "slack")):
        make_connector(project, type_)
    return shop, blog


def test_connectors_are_filtered_by_where_they_are(browser: Client, two_projects: tuple[Project, Project]) -> None:
    shop, blog = two_projects

    def slugs(**asked: Any) -> list[str]:
        return [row.project.slug for row in listed(browser, "connector", **asked)]

    assert slugs(project__environment__exact="production") == ["shop", "shop"]
    assert slugs(project__workspace__id__exact=blog.workspace_id) == ["blog"]
    assert slugs(project__id__exact=shop.pk) == ["shop", "shop"]
    assert slugs(integration_type__slug__exact="slack") == ["shop", "blog"]


def test_filters_narrow_each_other(browser: Client, two_projects: tuple[Project, Project]) -> None:
    rows = listed(browser, "connector", integration_type__slug__exact="slack", project__environment__exact="production")
    assert [str(row.project) for row in rows] == ["Shop"]


def test_projects_are_filtered_by_environment_and_workspace(
    browser: Client, two_projects: tuple[Project, Project]
) -> None:
    shop, blog = two_projects
    assert listed(browser, "project", environment__exact="production") == [shop]
    assert listed(browser, "project", workspace__id__exact=blog.workspace_id) == [blog]


@pytest.fixture
def compared(workspace: Workspace) -> None:
    """Projects whose slug says what is true of them."""
    for slug, synced, error, state in (
        ("agrees", NOW, "", State.IN_SYNC),
        ("drifts", NOW, "", State.DIFFERS),
        ("fails", NOW, "Base44 did not answer.", State.IN_SYNC),
        ("never", None, "", State.UNKNOWN),
        ("refused", None, "The credential is refused.", State.UNKNOWN),
    ):
        project = make_project(slug, workspace=workspace, synced_at=synced, sync_error=error)
        make_connector(project, sync_state=state)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"agrees": "no"}, {"drifts"}),
        ({"agrees": "unknown"}, {"never", "refused"}),
        ({"sync": "failed"}, {"fails", "refused"}),
        ({"sync": "ok"}, {"agrees", "drifts"}),
        ({"sync": "never"}, {"never", "refused"}),
    ],
)
def test_projects_are_filtered_by_how_their_sync_went(
    asked: dict[str, str], expected: set[str], browser: Client, compared: None
) -> None:
    assert {row.slug for row in listed(browser, "project", **asked)} == expected


def test_a_project_whose_last_sync_failed_is_not_listed_as_in_sync(browser: Client, compared: None) -> None:
    assert [row.slug for row in listed(browser, "project", agrees="yes")] == ["agrees"]


def test_a_project_with_a_connector_that_was_not_compared_is_not_in_sync(browser: Client, project: Project) -> None:
    Project.objects.update(synced_at=NOW)
    make_connector(project, sync_state=State.UNKNOWN)
    assert listed(browser, "project", agrees="yes") == []
    assert listed(browser, "project", agrees="unknown") == [project]
    assert badges(browser, "project") == ["1 not compared yet"]


def test_a_connector_removed_on_both_sides_does_not_keep_its_project_from_being_in_sync(
    browser: Client, project: Project
) -> None:
    make_connector(project, "slack", is_declared=False, registered=["chat:write"])
    observe({project: RegisteredState((), "")}, SHELL, NOW)
    project.refresh_from_db()
    assert listed(browser, "project", agrees="yes") == [project]
    assert badges(browser, "project") == ["In sync"]


def test_workspaces_are_filtered_by_credential_and_plan(browser: Client) -> None:
    known = make_workspace("Known", token="t-1", plan="pro")
    make_workspace("Unknown")
    assert listed(browser, "workspace", credential_state__exact="accepted") == [known]
    assert listed(browser, "workspace", plan__exact="pro") == [known]


def test_types_are_filtered_by_whether_the_catalogue_knows_them(browser: Client) -> None:
    make_type("slack")
    strange = make_type("strange", is_known=False)
    assert listed(browser, "integrationtype", is_known__exact="0") == [strange]


def test_runs_are_filtered_by_kind_state_and_project(browser: Client, project: Project) -> None:
    made = {"actor_label": "x", "door": "admin"}
    failed = SyncRun.objects.create(project=project, kind="apply", state="failed", **made)
    other = SyncRun.objects.create(project=make_project("other"), kind="sync", state="done", **made)
    assert listed(browser, "syncrun", kind__exact="sync") == [other]
    assert listed(browser, "syncrun", state__exact="failed") == [failed]
    assert listed(browser, "syncrun", project__id__exact=project.pk) == [failed]


def test_events_are_filtered_by_what_door_and_project(browser: Client, project: Project) -> None:
    made = {"actor_label": "x", "target_type": "project", "target_label": "x"}
    one = Event.objects.create(verb="project.added", door="shell", project=project, **made)
    two = Event.objects.create(verb="connector.declared", door="admin", **made)
    assert listed(browser, "event", about="project") == [one]
    assert listed(browser, "event", door="admin") == [two]
    assert listed(browser, "event", project__id__exact=project.pk) == [one]
    assert listed(browser, "event") == [two, one]


@pytest.fixture
def tokens(project: Project) -> dict[str, Token]:
    """Tokens that stand differently, each named after its connector's type and account."""
    broken = make_oauth_client(provider="slack", state="misconfigured")
    past = dict.fromkeys(("refresh_at", "expires_at"), timezone.now())
    made: dict[str, dict[str, Any]] = {
        "fresh": {},
        "due": past,
        "expired": {**past, "refresh_at": None},
        "failing": {"state": "failing"},
        "misconfigured": {"oauth_client": broken},
        "needs_consent": {"state": "needs_consent"},
        "revoked": {"state": "revoked"},
    }
    return {
        name: make_token(make_connector(project, name), account=f"{name}@acme.example", **values)
        for name, values in made.items()
    }


@pytest.mark.parametrize("condition", [*Token.Condition.values, "attention"])
def test_tokens_are_filtered_by_how_they_stand(condition: str, browser: Client, tokens: dict[str, Token]) -> None:
    attention = ["expired", "failing", "misconfigured", "needs_consent"]
    expected = attention if condition == "attention" else [condition]
    assert listed(browser, "token", condition=condition) == [tokens[name] for name in expected]


def test_tokens_are_filtered_by_provider_project_and_account(browser: Client, tokens: dict[str, Token]) -> None:
    assert listed(browser, "token", provider="slack") == [tokens["misconfigured"]]
    assert listed(browser, "token", account__icontains="failing@") == [tokens["failing"]]
    other = make_token(make_connector(make_project("other")))
    assert listed(browser, "token", connector__project__id__exact=other.connector.project_id) == [other]
    assert listed(browser, "token", connector__project__workspace__id__exact=other.connector.project.workspace_id) == [
        other
    ]


def test_connectors_are_filtered_by_the_token_that_is_held(browser: Client, tokens: dict[str, Token]) -> None:
    make_connector(make_project("other"), "bare")
    assert kinds(listed(browser, "connector", token="none")) == {"bare"}
    assert kinds(listed(browser, "connector", token="needs_consent")) == {"needs_consent"}


@pytest.mark.parametrize("words", ["failing@acme", "crm failing"])
def test_tokens_are_found_by_account_project_and_type(words: str, browser: Client, tokens: dict[str, Token]) -> None:
    assert listed(browser, "token", q=words) == [tokens["failing"]]


def test_a_project_says_how_many_of_its_tokens_need_somebody(
    browser: Client, project: Project, tokens: dict[str, Token]
) -> None:
    page = browser.get(reverse("admin:connectors_project_change", args=[project.pk])).content.decode()
    assert "Tokens that need attention (4)" in page


# --- Search and empty lists ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["shop", "Shop", "SHOP slack"])
def test_connectors_are_found_by_project_and_type(
    words: str, browser: Client, two_projects: tuple[Project, Project]
) -> None:
    assert {row.project.slug for row in listed(browser, "connector", q=words)} == {"shop"}


@pytest.mark.parametrize("words", ["Shop", "shop", "app-shop"])
def test_projects_are_found_by_name_slug_and_app_id(
    words: str, browser: Client, two_projects: tuple[Project, Project]
) -> None:
    assert [row.slug for row in listed(browser, "project", q=words)] == ["shop"]


def test_workspaces_are_found_by_name_and_base44_id(browser: Client) -> None:
    acme = make_workspace("Acme", base44_id="ws-1")
    make_workspace("Other")
    assert listed(browser, "workspace", q="acme") == [acme]
    assert listed(browser, "workspace", q="ws-1") == [acme]


def test_types_are_found_by_slug_and_name(browser: Client) -> None:
    mail = make_type("gmail", display_name="Google Mail")
    make_type("slack")
    assert listed(browser, "integrationtype", q="google") == [mail]
    assert listed(browser, "integrationtype", q="gmail") == [mail]


@pytest.mark.parametrize("model", ["workspace", "project", "connector", "syncrun", "event", "integrationtype"])
def test_a_list_without_rows_says_what_will_stand_there(model: str, browser: Client) -> None:
    answer = browser.get(path_of(model))
    model_admin = answer.context["cl"].model_admin
    assert str(model_admin.empty_title) in answer.content.decode()
    assert "Nothing matches" not in answer.content.decode()


@pytest.mark.parametrize("model", ["workspace", "project", "connector"])
def test_a_list_without_rows_offers_to_add_one_to_those_who_may(model: str, browser: Client, reader: Any) -> None:
    add = f'class="pc-btn pc-btn--primary" href="{reverse(f"admin:connectors_{model}_add")}"'
    assert add in browser.get(path_of(model)).content.decode()
    browser.force_login(reader)
    assert add not in browser.get(path_of(model)).content.decode()


@pytest.mark.parametrize("asked", [{"q": "nothing like it"}, {"sync_state__exact": "inactive"}, {"agrees": "no"}])
def test_a_search_or_filter_without_rows_says_so_and_can_be_cleared(
    asked: dict[str, str], browser: Client, project: Project
) -> None:
    make_connector(project)
    page = browser.get(path_of("connector"), asked).content.decode()
    assert "Nothing matches" in page
    assert "Clear search and filters" in page
    assert "No connectors yet" not in page


# --- What badges say ----------------------------------------------------------------------------------------------


def badges(browser: Client, model: str, of: str = "sync_") -> list[str]:
    """The words of one column's badges."""
    answer = browser.get(path_of(model))
    model_admin = answer.context["cl"].model_admin
    shown = [getattr(model_admin, of)(row) for row in answer.context["cl"].result_list]
    assert all(str(cell) in answer.content.decode() for cell in shown)
    return [str(cell).split(">")[1].split("<")[0] for cell in shown]


def test_a_connector_nobody_compared_is_never_called_in_sync(browser: Client, project: Project) -> None:
    make_connector(project, "slack", ["chat:write"])
    assert badges(browser, "connector") == ["Not compared yet"]
    assert badges(browser, "connector", "status_") == ["—"]


@pytest.mark.parametrize("state", State)
def test_a_connectors_badge_says_how_it_compares(state: Connector.SyncState, browser: Client, project: Project) -> None:
    make_connector(project, sync_state=state)
    assert badges(browser, "connector") == [str(state.label)]


@pytest.mark.parametrize("consent", [consent for consent in Connector.Consent if consent])
def test_a_connector_that_waits_for_consent_says_so(
    consent: Connector.Consent, browser: Client, project: Project
) -> None:
    make_connector(project, sync_state=State.NOT_REGISTERED, consent=consent)
    assert badges(browser, "connector") == [f"Consent: {consent.label.lower()}"]


@pytest.mark.parametrize(
    ("status", "words"), [("active", "Active"), ("expired", "Expired"), ("", "Not listed"), ("new_word", "New_word")]
)
def test_a_connectors_status_is_base44s_own_word(status: str, words: str, browser: Client, project: Project) -> None:
    make_connector(project, registered_status=status, registered_at=NOW)
    assert badges(browser, "connector", "status_") == [words]


def test_every_state_has_a_colour() -> None:
    assert set(cells.SYNC_TONES) == set(State)
    assert set(cells.CONSENT_TONES) == {consent for consent in Connector.Consent if consent}
    assert set(cells.RUN_TONES) == set(SyncRun.State)
    assert set(cells.CREDENTIAL_TONES) == set(Workspace.CredentialState)
    assert set(cells.ENVIRONMENT_TONES) == set(Project.Environment)


def test_a_projects_badge_is_its_worst_news(browser: Client, compared: None) -> None:
    shown = dict(zip((row.slug for row in listed(browser, "project")), badges(browser, "project"), strict=True))
    assert shown == {
        "agrees": "In sync",
        "drifts": "1 differ",
        "fails": "Sync failed",
        "never": "Not compared yet",
        "refused": "Sync failed",
    }


def test_a_projects_count_leaves_out_what_only_base44_has(browser: Client, project: Project) -> None:
    make_connector(project, "slack")
    make_connector(project, "gmail", is_declared=False, registered=["mail"], sync_state=State.NOT_DECLARED)
    (row,) = listed(browser, "project")
    assert (row.connector_count, row.drift_count) == (1, 1)


def test_a_workspace_tells_how_many_of_its_projects_fail(browser: Client, compared: None) -> None:
    (row,) = listed(browser, "workspace")
    assert (row.project_count, row.failing_count) == (5, 2)
    assert "2 failing" in browser.get(path_of("workspace")).content.decode()


def test_a_sync_makes_its_connectors_known(browser: Client, project: Project) -> None:
    make_connector(project, "slack", ["chat:write"])
    seen = RegisteredConnector("slack", "active", ("chat:write",), "ops@example.com")
    observe({project: RegisteredState((seen,), "")}, SHELL, timezone.now())
    assert badges(browser, "connector") == ["In sync"]
    assert "ops@example.com" in browser.get(path_of("connector")).content.decode()


def test_the_types_list_counts_declared_connectors_alone(browser: Client, project: Project) -> None:
    make_connector(project, "slack")
    make_connector(make_project("other"), "slack", is_declared=False, registered=[])
    (row,) = listed(browser, "integrationtype")
    assert row.use_count == 1


@pytest.mark.parametrize(("seconds", "words"), [(0.44, "0.4 s"), (12, "12 s"), (185, "3 min 5 s"), (None, "")])
def test_durations_are_told_in_words(seconds: float | None, words: str) -> None:
    assert cells.duration(None if seconds is None else dt.timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(("name", "letters"), [("google_calendar", "GC"), ("Slack", "SL"), ("x", "X"), ("", "")])
def test_an_avatar_has_two_letters(name: str, letters: str) -> None:
    assert cells.initials(name) == letters
