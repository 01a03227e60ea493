"""Declaring, changing and deleting a connector in its form."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from connectors.models import Connector, Event, IntegrationType, Project
from tests.admin.html import parse
from tests.factories import make_connector, make_project, make_type, make_workspace

READ = "https://www.googleapis.com/auth/gmail.readonly"
SEND = "https://www.googleapis.com/auth/gmail.send"
SUBDOMAIN = {
    "name": "subdomain",
    "display_name": "Subdomain",
    "required": True,
    "validation_pattern": "^[a-z]+$",
    "validation_error": "Lower-case letters only.",
}


def change(connector: Connector) -> str:
    return reverse("admin:connectors_connector_change", args=[connector.pk])


def fields_of(client: Client, address: str) -> dict[str, str]:
    """What a browser would post if the form were submitted as it is."""
    (form,) = parse(client.get(address).content).having("id", "connector_form")
    return form.fields()


def said(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def test_scopes_go_through_the_form_and_back_in_their_order(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", [SEND, READ])
    posted = fields_of(browser, change(connector))
    assert posted["scopes"].split() == [SEND, READ]
    browser.post(change(connector), posted)
    connector.refresh_from_db()
    assert connector.scopes == [SEND, READ]
    assert not Event.objects.filter(target_type="connector").exists()


def test_blank_lines_and_repeats_are_dropped(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", [READ])
    posted = {**fields_of(browser, change(connector)), "scopes": f"\r\n {SEND}\r\n{READ}\r\n{SEND}\r\n"}
    browser.post(change(connector), posted)
    connector.refresh_from_db()
    assert connector.scopes == [SEND, READ]


def test_a_change_is_recorded_with_what_was_there_before(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", [READ])
    browser.post(change(connector), {**fields_of(browser, change(connector)), "scopes": SEND})
    event = Event.objects.get(verb="connector.changed")
    assert (event.before["scopes"], event.after["scopes"], event.door) == ([READ], [SEND], "admin")


def test_an_unknown_scope_is_taken_with_a_warning(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", [READ])
    answer = browser.post(change(connector), {**fields_of(browser, change(connector)), "scopes": "gmail.reed"})
    connector.refresh_from_db()
    assert connector.scopes == ["gmail.reed"]
    assert "gmail.reed" in said(answer)
    assert "Not in the catalogue" in said(answer)


def test_the_picker_gets_the_catalogues_scopes_with_title_and_sensitivity(browser: Client, project: Project) -> None:
    make_type("gmail")
    answer = browser.get(reverse("admin:connectors_connector_catalogue"), {"type": "gmail"})
    found = {scope["name"]: scope for scope in answer.json()["catalogue"]}
    assert found[READ]["sensitivity"] == "high"
    assert found[READ]["title"]


def test_adding_a_connector_declares_it(browser: Client, project: Project) -> None:
    make_type("gmail")
    posted = {"project": project.pk, "integration_type": "gmail", "scopes": READ}
    browser.post(reverse("admin:connectors_connector_add"), posted)
    assert Connector.objects.get().spec.scopes == (READ,)
    assert Event.objects.filter(verb="connector.declared").count() == 1


def test_adding_a_type_that_only_base44_has_takes_that_row_over(browser: Client, project: Project) -> None:
    seen = make_connector(project, "gmail", registered=[READ], is_declared=False)
    posted = {"project": project.pk, "integration_type": "gmail", "scopes": READ}
    browser.post(reverse("admin:connectors_connector_add"), posted)
    row = Connector.objects.get()
    assert (row.pk, row.is_declared, row.sync_state) == (seen.pk, True, Connector.SyncState.IN_SYNC)


def test_a_second_connector_of_a_type_is_refused(browser: Client, project: Project) -> None:
    make_connector(project, "gmail", [READ])
    posted = {"project": project.pk, "integration_type": "gmail", "scopes": SEND}
    answer = browser.post(reverse("admin:connectors_connector_add"), posted)
    assert "has a connector of this type already" in answer.content.decode()
    assert Connector.objects.get().scopes == [READ]


def test_a_forged_post_moves_a_connector_neither_to_another_project_nor_to_another_type(
    browser: Client, project: Project
) -> None:
    connector = make_connector(project, "gmail", [READ])
    other = make_project("other", workspace=make_workspace())
    make_type("slack")
    posted = {**fields_of(browser, change(connector)), "project": other.pk, "integration_type": "slack"}
    browser.post(change(connector), posted)
    connector.refresh_from_db()
    assert (connector.project_id, connector.integration_type_id) == (project.pk, "gmail")


def test_what_base44_was_seen_to_have_cannot_be_posted(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", [READ], registered=[SEND])
    forged = {"registered_status": "expired", "registered_scopes": "[]", "sync_state": "in_sync", "is_declared": ""}
    browser.post(change(connector), {**fields_of(browser, change(connector)), **forged})
    connector.refresh_from_db()
    assert (connector.registered_status, connector.registered_scopes, connector.is_declared) == ("active", [SEND], True)


@pytest.mark.parametrize(("value", "fault"), [("", "Subdomain is required."), ("ACME", "Lower-case letters only.")])
def test_a_wrong_setting_is_explained_at_its_input(value: str, fault: str, browser: Client, project: Project) -> None:
    IntegrationType.objects.create(slug="zendesk", display_name="Zendesk", connection_config_fields=[SUBDOMAIN])
    connector = make_connector(project, "zendesk", ["read"], config={"subdomain": "acme"})
    posted = {**fields_of(browser, change(connector)), "connection_config.subdomain": value}
    page = parse(browser.post(change(connector), posted).content)
    (field,) = page.having("name", "connection_config.subdomain")
    (problem,) = page.having("id", field.attributes["aria-describedby"])
    assert problem.text.strip() == fault


def test_settings_that_the_catalogue_does_not_name_are_kept(browser: Client, project: Project) -> None:
    connector = make_connector(project, "mystery", ["read"], config={"region": "eu = west"})
    browser.post(change(connector), {**fields_of(browser, change(connector)), "scopes": "write"})
    connector.refresh_from_db()
    assert (connector.scopes, connector.connection_config) == (["write"], {"region": "eu = west"})


def test_the_second_of_two_people_who_edit_at_once_is_told(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", [READ])
    first, second = fields_of(browser, change(connector)), fields_of(browser, change(connector))
    browser.post(change(connector), {**first, "scopes": SEND})
    answer = browser.post(change(connector), {**second, "scopes": f"{READ}\n{SEND}"})
    connector.refresh_from_db()
    assert "Somebody has changed this connector" in answer.content.decode()
    assert connector.scopes == [SEND]


def test_a_sync_meanwhile_does_not_get_in_the_way_of_saving(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", [READ])
    posted = {**fields_of(browser, change(connector)), "scopes": SEND}
    Connector.objects.update(registered_scopes=[READ], registered_status="active", sync_state="differs")
    browser.post(change(connector), posted)
    connector.refresh_from_db()
    assert (connector.scopes, connector.registered_scopes) == ([SEND], [READ])


def test_deleting_what_base44_does_not_have_removes_the_row(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", [READ])
    browser.post(reverse("admin:connectors_connector_delete", args=[connector.pk]), {"post": "yes"})
    assert not Connector.objects.exists()
    assert Event.objects.get(target_type="connector").verb == "connector.undeclared"


def test_deleting_what_base44_has_keeps_it_in_sight_and_leads_to_the_plan(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", [READ], registered=[READ])
    address = reverse("admin:connectors_connector_delete", args=[connector.pk])
    assert "Base44 still has it" in browser.get(address).content.decode()
    answer = browser.post(address, {"post": "yes"})
    connector.refresh_from_db()
    assert not connector.is_declared
    assert answer.headers["Location"] == reverse("admin:connectors_project_plan", args=[project.pk])
    assert "deleted successfully" not in said(answer)


def test_what_only_base44_has_cannot_be_deleted_here(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", registered=[READ], is_declared=False)
    address = reverse("admin:connectors_connector_delete", args=[connector.pk])
    assert browser.post(address, {"post": "yes"}).status_code == 403
    assert Connector.objects.filter(pk=connector.pk).exists()


def test_the_page_shows_differences_and_the_imported_file(browser: Client, project: Project) -> None:
    source: dict[str, Any] = {"source": b'{"type": "gmail" /* team inbox */}', "source_path": "gmail.jsonc"}
    connector = make_connector(project, "gmail", [READ], registered=[SEND], **source)
    page = parse(browser.get(change(connector)).content)
    assert READ in page.having("class", "pc-chip--add")[0].text
    assert SEND in page.having("class", "pc-chip--del")[0].text
    assert "/* team inbox */" in page.text
