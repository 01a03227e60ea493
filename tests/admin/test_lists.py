"""Lists: the number of their queries, filters, search, empty states, and what a cell says."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.core.actor import SCHEDULER
from connectors.flows.events import Change, record_events
from connectors.models import Connector, IntegrationType, Project, SyncRun, Workspace
from tests.admin.html import parse
from tests.factories import make_connector, make_fleet, make_project, make_workspace

# Session, user and the sidebar's badge cost 3; the rest is the rows and, where the pages are numbered, their count.
QUERIES = {"workspace": 5, "project": 5, "connector": 5, "integrationtype": 5, "syncrun": 4, "event": 4}


def address(model: str) -> str:
    return reverse(f"admin:connectors_{model}_changelist")


def names(client: Client, model: str, **filters: str) -> list[str]:
    """First lines of the first column."""
    page = parse(client.get(address(model), filters).content)
    rows = [row for row in page.walk() if row.tag == "tr" and "data-row" in row.attributes.get("class", "")]
    return [row.having("class", "pc-cell__main")[0].text for row in rows]


def fill(model: str, count: int) -> None:
    """`count` rows of the model, with what they refer to."""
    if model == "workspace":
        Workspace.objects.bulk_create(Workspace(name=f"W{n}") for n in range(count))
    elif model == "integrationtype":
        IntegrationType.objects.bulk_create(IntegrationType(slug=f"t{n}", display_name=f"T{n}") for n in range(count))
    elif model == "connector":
        make_fleet(count, 1)
    else:
        fleet = make_fleet(count, 2)
        if model == "syncrun":
            SyncRun.objects.bulk_create(
                SyncRun(project=project, kind="sync", state="done", actor_label="x", door="task") for project in fleet
            )
        elif model == "event":
            record_events(SCHEDULER, "project.observed", [Change(project) for project in fleet])


def queries(client: Client, model: str) -> int:
    cache.clear()
    with CaptureQueriesContext(connection) as seen:
        assert client.get(address(model)).status_code == 200
    return len(seen)


@pytest.mark.parametrize("rows", [10, 250])
@pytest.mark.parametrize("model", QUERIES)
def test_a_list_costs_the_same_queries_however_many_rows_there_are(model: str, rows: int, browser: Client) -> None:
    fill(model, rows)
    assert queries(browser, model) == QUERIES[model]


@pytest.mark.parametrize("model", ["connector", "project"])
def test_ten_thousand_rows_cost_no_query_more(model: str, browser: Client) -> None:
    if model == "connector":
        make_fleet(1000, 10)
    else:
        make_fleet(10_000, 1)
    assert queries(browser, model) == QUERIES[model]
    assert len(names(browser, model)) == 50


@pytest.mark.parametrize("model", QUERIES)
def test_a_list_without_rows_explains_itself(model: str, browser: Client) -> None:
    page = parse(browser.get(address(model)).content)
    assert page.having("class", "pc-empty__title")[0].text not in ("", "Nothing here yet")
    assert page.having("class", "pc-empty__text")[0].text


def test_a_list_in_which_nothing_matches_offers_to_clear_the_search(browser: Client, project: Project) -> None:
    page = parse(browser.get(address("project"), {"q": "zzz"}).content)
    assert "Nothing matches “zzz”" in page.text
    assert "Clear search and filters" in page.text


def test_a_reader_is_not_offered_to_add_what_only_others_may(client: Client, reader: object) -> None:
    client.force_login(reader)  # type: ignore[arg-type]
    page = parse(client.get(address("project")).content)
    assert not [one for one in page.walk() if one.attributes.get("href", "").endswith("/add/")]


@pytest.fixture
def mixed(db: None) -> Project:
    """A project with a connector in every state, and another project that was never compared."""
    now = timezone.now()
    project = make_project("crm", workspace=make_workspace("Acme"), synced_at=now, environment="production")
    make_connector(project, "gmail", ["a"], registered=["a"], sync_state="in_sync")
    make_connector(project, "slack", ["b"], registered=["c"], sync_state="differs", needs_attention=True)
    make_connector(project, "notion", ["d"], sync_state="not_registered", consent="needed", registered_at=now)
    make_connector(project, "github", registered=["e"], sync_state="not_declared", is_declared=False)
    make_connector(project, "box", ["f"], registered=["f"], sync_state="inactive", registered_status="expired")
    other = make_project("erp", workspace=make_workspace("Blue"), sync_error="Base44 answered 503.")
    make_connector(other, "linear", ["g"])
    return project


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"agrees": "yes"}, ["Gmail"]),
        ({"agrees": "no"}, ["Box", "Github", "Notion", "Slack"]),
        ({"agrees": "unknown"}, ["Linear"]),
        ({"attention": "yes"}, ["Slack"]),
        ({"attention": "consent"}, ["Notion"]),
        ({"status": "expired"}, ["Box"]),
        ({"status": "none"}, ["Linear", "Notion"]),
        ({"status": "other"}, []),
        ({"sync_state__exact": "differs"}, ["Slack"]),
        ({"project__environment__exact": "production"}, ["Box", "Github", "Gmail", "Notion", "Slack"]),
        ({"integration_type__slug__exact": "gmail"}, ["Gmail"]),
        ({"q": "slack"}, ["Slack"]),
        ({"q": "erp"}, ["Linear"]),
        ({"q": "crm box"}, ["Box"]),
    ],
)
def test_connectors_are_found(filters: dict[str, str], found: list[str], mixed: Project, browser: Client) -> None:
    assert sorted(names(browser, "connector", **filters)) == found


@pytest.mark.parametrize("key", ["project__id__exact", "project__workspace__id__exact"])
def test_connectors_are_found_by_project_and_workspace(key: str, mixed: Project, browser: Client) -> None:
    value = mixed.pk if key.startswith("project__id") else mixed.workspace_id
    assert len(names(browser, "connector", **{key: str(value)})) == 5


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"agrees": "no"}, ["Crm"]),
        ({"agrees": "yes"}, []),
        ({"agrees": "unknown"}, ["Erp"]),
        ({"sync": "failed"}, ["Erp"]),
        ({"sync": "ok"}, ["Crm"]),
        ({"sync": "never"}, ["Erp"]),
        ({"environment__exact": "production"}, ["Crm"]),
        ({"q": "app-erp"}, ["Erp"]),
    ],
)
def test_projects_are_found(filters: dict[str, str], found: list[str], mixed: Project, browser: Client) -> None:
    assert names(browser, "project", **filters) == found


def test_a_project_whose_connectors_all_agree_counts_as_in_sync(browser: Client, project: Project) -> None:
    Project.objects.update(synced_at=timezone.now())
    make_connector(project, "gmail", ["a"], registered=["a"], sync_state="in_sync")
    assert names(browser, "project", agrees="yes") == ["Crm"]


@pytest.mark.parametrize("value", ["nonsense", "' OR 1=1 --", "\x00"])
@pytest.mark.parametrize("key", ["agrees", "status", "sync_state__exact", "project__id__exact", "q", "p", "o"])
def test_a_senseless_filter_does_not_break_the_list(key: str, value: str, mixed: Project, browser: Client) -> None:
    assert browser.get(address("connector"), {key: value}).status_code in (200, 302)


def test_a_senseless_term_does_not_break_the_autocomplete(browser: Client, project: Project) -> None:
    query = {"app_label": "connectors", "model_name": "connector", "field_name": "project", "term": "c\0rm"}
    answer = browser.get(reverse("admin:autocomplete"), query)
    assert [row["text"] for row in answer.json()["results"]] == ["Crm"]


def test_a_time_shows_how_long_ago_and_on_hover_exactly(browser: Client, mixed: Project) -> None:
    page = parse(browser.get(address("project"), {"q": "crm"}).content)
    (when,) = [one for one in page.walk() if one.tag == "time"]
    assert when.text.strip() in ("now", "a second ago") or "second" in when.text
    assert str(timezone.now().year) in when.attributes["title"]


def test_a_list_of_connectors_reads_no_source_files(browser: Client, mixed: Project) -> None:
    Connector.objects.update(source=b"{}", source_path="x.jsonc")
    with CaptureQueriesContext(connection) as seen:
        browser.get(address("connector"))
    assert not any('"connectors_connector"."source",' in query["sql"] for query in seen)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"synced_at": None}, "Not compared yet"),
        ({"synced_at": None, "sync_error": "503"}, "Sync failed"),
        ({}, "4 differ"),
    ],
)
def test_a_project_is_called_in_sync_only_when_it_was_compared(
    values: dict[str, object], says: str, mixed: Project, browser: Client
) -> None:
    Project.objects.filter(pk=mixed.pk).update(**values)
    page = parse(browser.get(address("project"), {"q": "crm"}).content)
    assert [badge.text for badge in page.having("class", "pc-badge")][-1] == says
