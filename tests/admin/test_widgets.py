"""The connector's form: scopes, connection settings, and what happens to connectors that only one side knows."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.admin.widgets import ConnectionConfigField, ConnectionConfigWidget, ScopesField
from connectors.core.actor import SCHEDULER
from connectors.core.specs import RegisteredConnector, RegisteredState
from connectors.flows.catalogue import load_catalogue
from connectors.flows.observe import observe
from connectors.models import Connector, Event, IntegrationType, Project
from tests.admin.form_data import address, errors, last_event, save, shown, told
from tests.factories import SHELL, make_connector, make_type

READ, WRITE = "channels:read", "chat:write"


@pytest.fixture
def catalogue(db: None) -> None:
    """The types that the portal ships."""
    load_catalogue(SCHEDULER)


@pytest.fixture
def share_point(project: Project, catalogue: None) -> Connector:
    """A connector whose type wants a setting of a certain form."""
    return make_connector(project, "share_point", ["Sites.Read.All"], config={"subdomain": "sites/mysite"})


# --- Scopes -------------------------------------------------------------------------------------------------------


def test_scopes_keep_their_order_and_lose_blanks_and_repeats(browser: Client, project: Project) -> None:
    connector = make_connector(project, "slack", [WRITE])
    save(browser, "connector", connector.pk, scopes=f"  {WRITE} \n\n{READ}\r\n{WRITE}\n \nusers:read")
    connector.refresh_from_db()
    assert connector.scopes == [WRITE, READ, "users:read"]


def test_the_form_shows_the_scopes_as_they_are_stored(browser: Client, project: Project) -> None:
    connector = make_connector(project, "slack", [WRITE, READ])
    page = browser.get(address("connector", "change", connector.pk)).content.decode()
    assert f"{WRITE}\n{READ}\n</textarea>" in page


def test_saving_what_is_shown_changes_and_records_nothing(browser: Client, share_point: Connector) -> None:
    before = Event.objects.count()
    save(browser, "connector", share_point.pk)
    share_point.refresh_from_db()
    assert (share_point.scopes, share_point.connection_config) == (["Sites.Read.All"], {"subdomain": "sites/mysite"})
    assert Event.objects.count() == before


def test_unknown_scopes_are_saved_and_named_in_a_warning(browser: Client, project: Project) -> None:
    connector = make_connector(project, "slack", [WRITE])
    answer = save(browser, "connector", connector.pk, scopes=f"{WRITE}\nchat:wrte")
    connector.refresh_from_db()
    assert connector.scopes == [WRITE, "chat:wrte"]
    assert "Not in the catalogue, saved as typed: chat:wrte." in told(answer)


def test_known_scopes_give_no_warning(browser: Client, project: Project) -> None:
    answer = save(browser, "connector", make_connector(project, "slack", [WRITE]).pk, scopes=READ)
    assert "catalogue" not in told(answer)


def test_a_scope_cannot_break_out_of_the_form(browser: Client, project: Project) -> None:
    evil = "</textarea><script>alert(1)</script>"
    connector = make_connector(project, "slack")
    save(browser, "connector", connector.pk, scopes=evil)
    connector.refresh_from_db()
    assert connector.scopes == [evil]
    assert evil not in browser.get(address("connector", "change", connector.pk)).content.decode()


def test_the_picker_is_offered_the_catalogues_scopes_in_words(browser: Client, catalogue: None) -> None:
    offered = browser.get(reverse("admin:connectors_connector_catalogue"), {"type": "slack"}).json()["catalogue"]
    (found,) = [scope for scope in offered if scope["name"] == WRITE]
    assert found["title"]
    assert found["sensitivity"] in ("low", "medium", "high", "critical")


@pytest.mark.parametrize("type_", ["", "no-such-type", "../slack"])
def test_the_picker_is_offered_nothing_for_an_unknown_type(type_: str, browser: Client, catalogue: None) -> None:
    answer = browser.get(reverse("admin:connectors_connector_catalogue"), {"type": type_})
    assert answer.json() == {"catalogue": []}


@pytest.mark.parametrize("typed", [None, "", [], " \n "])
def test_no_scopes_are_no_change_of_no_scopes(typed: Any) -> None:
    assert not ScopesField().has_changed([], typed)


def test_another_order_is_a_change() -> None:
    assert ScopesField().has_changed([READ, WRITE], f"{WRITE}\n{READ}")


# --- Connection settings ------------------------------------------------------------------------------------------


def test_a_setting_of_a_wrong_form_is_refused_at_its_input(browser: Client, share_point: Connector) -> None:
    answer = save(browser, "connector", share_point.pk, **{"connection_config.subdomain": "my site!"})
    page = answer.content.decode()
    assert list(errors(answer)) == ["connection_config"]
    assert 'id="id_connection_config_subdomain_problem"' in page
    assert "Use letters, digits, slashes, hyphens and underscores only." in page
    assert 'value="my site!"' in page
    share_point.refresh_from_db()
    assert share_point.connection_config == {"subdomain": "sites/mysite"}


def test_a_setting_that_the_type_demands_cannot_be_left_out(browser: Client, share_point: Connector) -> None:
    answer = save(browser, "connector", share_point.pk, **{"connection_config.subdomain": " "})
    assert "Site path is required." in answer.content.decode()


def test_an_optional_setting_can_be_emptied(browser: Client, project: Project, catalogue: None) -> None:
    connector = make_connector(project, "bamboohr", config={"subdomain": "acme"})
    save(browser, "connector", connector.pk, **{"connection_config.subdomain": ""})
    connector.refresh_from_db()
    assert connector.connection_config == {}


def test_a_setting_that_the_catalogue_does_not_name_is_kept(browser: Client, share_point: Connector) -> None:
    Connector.objects.update(connection_config={"subdomain": "sites/mysite", "region": "eu = west"})
    page = browser.get(address("connector", "change", share_point.pk)).content.decode()
    assert "region = eu = west</textarea>" in page
    typed = {"connection_config.subdomain": "sites/other", "connection_config.others": "region = eu = west"}
    save(browser, "connector", share_point.pk, **typed)
    share_point.refresh_from_db()
    assert share_point.connection_config == {"subdomain": "sites/other", "region": "eu = west"}


def test_a_connector_is_added_without_scripts_by_naming_its_settings(
    browser: Client, project: Project, catalogue: None
) -> None:
    typed = {"project": project.pk, "integration_type": "share_point", "scopes": "Sites.Read.All"}
    save(browser, "connector", **typed, **{"connection_config.others": "subdomain = sites/mysite"})
    assert Connector.objects.get().connection_config == {"subdomain": "sites/mysite"}


def test_a_setting_missing_when_added_gets_an_input_of_its_own(
    browser: Client, project: Project, catalogue: None
) -> None:
    answer = save(browser, "connector", project=project.pk, integration_type="share_point", scopes=READ)
    assert "Site path is required." in answer.content.decode()
    assert 'name="connection_config.subdomain"' in answer.content.decode()
    assert f"{READ}\n</textarea>" in answer.content.decode()
    assert not Connector.objects.exists()


def test_a_line_that_is_no_setting_is_refused_and_not_lost(browser: Client, project: Project) -> None:
    make_type("slack")
    typed = {"project": project.pk, "integration_type": "slack", "connection_config.others": "subdomain acme"}
    answer = save(browser, "connector", **typed)
    assert "name = value" in errors(answer)["connection_config"][0]
    assert "subdomain acme" in answer.content.decode()
    assert not Connector.objects.exists()


@pytest.mark.parametrize("line", ["= value", "name =", "="])
def test_a_setting_has_a_name_and_a_value(line: str) -> None:
    field = ConnectionConfigField()
    typed = ConnectionConfigWidget().value_from_datadict({"config.others": f"a = 1\n{line}"}, {}, "config")
    with pytest.raises(ValidationError, match="name = value"):
        field.clean(typed)


def test_a_pattern_that_python_cannot_read_does_not_block_the_form(browser: Client, project: Project) -> None:
    make_type("odd", connection_config_fields=[{"name": "host", "display_name": "Host", "validation_pattern": "(?<x"}])
    connector = make_connector(project, "odd")
    answer = save(browser, "connector", connector.pk, **{"connection_config.host": "anything"})
    assert errors(answer) == {}
    connector.refresh_from_db()
    assert connector.connection_config == {"host": "anything"}


def test_a_setting_without_a_name_for_people_shows_its_own() -> None:
    html = ConnectionConfigWidget([{"name": "host"}]).render("config", {}, {"id": "id_config"})
    assert '<label for="id_config_host">host' in html


def test_equal_settings_are_no_change() -> None:
    field = ConnectionConfigField()
    assert not field.has_changed(None, {})
    assert not field.has_changed({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    assert field.has_changed({"a": "1"}, {"a": "2"})


# --- Adding -------------------------------------------------------------------------------------------------------


def test_a_connector_is_added_and_recorded(browser: Client, project: Project, operator: User) -> None:
    make_type("slack")
    save(browser, "connector", project=project.pk, integration_type="slack", scopes=WRITE)
    connector = Connector.objects.get()
    assert (connector.is_declared, connector.scopes, connector.sync_state) == (True, [WRITE], "unknown")
    event = last_event()
    assert (event.verb, event.user, event.project, event.after["scopes"]) == (
        "connector.declared",
        operator,
        project,
        [WRITE],
    )


def test_a_project_has_one_connector_of_a_type(browser: Client, project: Project) -> None:
    make_connector(project, "slack", [READ])
    answer = save(browser, "connector", project=project.pk, integration_type="slack", scopes=WRITE)
    assert "has a connector of this type already" in f"{errors(answer)}"
    assert Connector.objects.get().scopes == [READ]


def test_a_type_that_only_base44_has_is_taken_over_when_added(browser: Client, project: Project) -> None:
    seen = make_connector(project, "slack", registered=[WRITE], is_declared=False)
    save(browser, "connector", project=project.pk, integration_type="slack", scopes=WRITE)
    connector = Connector.objects.get()
    assert (connector.pk, connector.is_declared, connector.scopes) == (seen.pk, True, [WRITE])
    assert connector.sync_state == Connector.SyncState.IN_SYNC
    assert connector.registered_scopes == [WRITE]


def test_a_connector_that_only_base44_has_is_taken_over_by_saving_its_form(browser: Client, project: Project) -> None:
    seen = make_connector(project, "slack", registered=[WRITE], is_declared=False)
    save(browser, "connector", seen.pk)
    seen.refresh_from_db()
    assert (seen.is_declared, seen.scopes, seen.sync_state) == (True, [WRITE], "in_sync")


# --- Changing -----------------------------------------------------------------------------------------------------


def test_a_change_gets_its_verdict_at_once(browser: Client, project: Project) -> None:
    connector = make_connector(project, "slack", [WRITE], registered=[WRITE], sync_state="in_sync")
    save(browser, "connector", connector.pk, scopes=f"{WRITE}\n{READ}")
    connector.refresh_from_db()
    assert (connector.sync_state, connector.needs_attention) == ("differs", True)
    assert READ in connector.sync_note


def test_a_change_is_recorded_with_what_was_there_before(browser: Client, project: Project) -> None:
    connector = make_connector(project, "slack", [WRITE])
    save(browser, "connector", connector.pk, scopes=READ)
    event = last_event()
    assert (event.verb, event.before, event.after) == ("connector.changed", {"scopes": [WRITE]}, {"scopes": [READ]})
    page = browser.get(address("event", "change", event.pk)).content.decode()
    assert f"Removed: </span>{WRITE}" in page
    assert f"Added: </span>{READ}" in page


def test_a_sync_in_the_background_disturbs_nobody_who_edits(browser: Client, project: Project) -> None:
    connector = make_connector(project, "slack", [WRITE])
    data = shown(browser, address("connector", "change", connector.pk))
    seen = RegisteredConnector("slack", "active", (WRITE,), "ops@example.com")
    observe({project: RegisteredState((seen,), "")}, SHELL, timezone.now())
    answer = browser.post(address("connector", "change", connector.pk), {**data, "scopes": READ}, follow=True)
    assert errors(answer) == {}
    connector.refresh_from_db()
    assert (connector.scopes, connector.registered_account) == ([READ], "ops@example.com")


def test_editing_keeps_the_file_that_it_came_from(browser: Client, project: Project) -> None:
    connector = make_connector(project, "slack", [WRITE], source=b"// kept", source_path="slack.jsonc")
    save(browser, "connector", connector.pk, scopes=READ)
    connector.refresh_from_db()
    assert (connector.source_text, connector.source_path) == ("// kept", "slack.jsonc")
    assert "// kept" in browser.get(address("connector", "change", connector.pk)).content.decode()


# --- Deleting -----------------------------------------------------------------------------------------------------


def delete(browser: Client, connector: Connector) -> Any:
    return browser.post(address("connector", "delete", connector.pk), {"post": "yes"}, follow=True)


def test_a_connector_that_base44_does_not_have_is_gone_when_deleted(browser: Client, project: Project) -> None:
    connector = make_connector(project, "slack", [WRITE])
    page = browser.get(address("connector", "delete", connector.pk)).content.decode()
    assert "nothing has to be done there" in page
    answer = delete(browser, connector)
    assert "was deleted successfully" in told(answer)
    assert not Connector.objects.exists()
    assert (last_event().verb, last_event().before["scopes"]) == ("connector.undeclared", [WRITE])


def test_a_connector_that_base44_has_stays_in_sight_when_deleted(browser: Client, project: Project) -> None:
    connector = make_connector(project, "slack", [WRITE], registered=[WRITE])
    page = browser.get(address("connector", "delete", connector.pk)).content.decode()
    assert "Base44 still has it" in page
    answer = delete(browser, connector)
    assert "apply this plan to remove it there" in told(answer)
    assert answer.redirect_chain[-1][0] == reverse("admin:connectors_project_plan", args=[project.pk])
    connector.refresh_from_db()
    assert (connector.is_declared, connector.scopes, connector.sync_state) == (False, [], "not_declared")


def test_what_only_base44_has_cannot_be_deleted_here(browser: Client, project: Project) -> None:
    connector = make_connector(project, "slack", registered=[WRITE], is_declared=False)
    assert browser.get(address("connector", "delete", connector.pk)).status_code == 403
    assert delete(browser, connector).status_code == 403
    assert Connector.objects.exists()
    assert IntegrationType.objects.filter(pk="slack").exists()
