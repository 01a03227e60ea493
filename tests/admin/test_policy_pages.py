"""Policies and exceptions in the admin: what is shown, what a refusal leads to, and who decides."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.flows import policies
from connectors.models import Connector, Event, PolicyException, PolicyFinding, PolicyRule, Project
from tests.admin.form_data import address, errors, save, told
from tests.admin.html import parse
from tests.factories import keep_ledger, make_connector, make_exception, make_project, make_rule, make_type, make_user
from tests.teams import browser_of

pytestmark = pytest.mark.django_db

READ, SEND = "https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"


@pytest.fixture
def rule(db: None) -> PolicyRule:
    return make_rule("No sending", effect="approval", explanation="Use the mail service.", scope_patterns=[SEND])


def mail(project: Project, *scopes: str) -> Connector:
    connector = make_connector(project, "gmail", scopes)
    keep_ledger(connector)
    return connector


def test_a_new_policy_is_off_and_leads_to_its_rehearsal(browser: Client, project: Project) -> None:
    make_type("gmail")
    answer = save(
        browser,
        "policyrule",
        name="No sending",
        effect="block",
        environments=["production"],
        tags="Payments, internal",
        types="gmail",
        scope_patterns=f"{SEND}\n\n*.read",
        account_domains="@acme.com",
        min_sensitivity="2",
    )
    row = PolicyRule.objects.get()
    assert answer.redirect_chain[-1][0] == address("policyrule", "rehearsal", row.pk)
    assert not row.is_enabled
    assert (row.environments, row.tags, row.types) == (["production"], ["payments", "internal"], ["gmail"])
    assert (row.scope_patterns, row.account_domains, row.min_sensitivity) == ([SEND, "*.read"], ["acme.com"], 2)
    assert Event.objects.latest("id").verb == "policy.added"


def test_a_policy_without_any_condition_is_refused(browser: Client) -> None:
    assert "at least one condition" in str(errors(save(browser, "policyrule", name="All", effect="warn")))


def test_a_policy_about_an_unknown_type_is_refused(browser: Client) -> None:
    assert "types" in errors(save(browser, "policyrule", name="All", effect="warn", types="gmial"))


def test_changing_a_policy_in_force_judges_the_fleet_anew(browser: Client, rule: PolicyRule, project: Project) -> None:
    mail(project, READ)
    assert not PolicyFinding.objects.exists()
    save(browser, "policyrule", rule.pk, scope_patterns=READ)
    assert PolicyFinding.objects.get().scopes == [READ]


def test_a_rehearsal_lists_each_finding_by_project(browser: Client, rule: PolicyRule, project: Project) -> None:
    PolicyRule.objects.update(is_enabled=False)
    mail(project, SEND)
    mail(make_project("empty"), READ)
    answer = browser.get(address("policyrule", "rehearsal", rule.pk))
    text = parse(answer.content).text
    assert "1 connector in 1 project breaks it" in text
    assert f"{SEND} needs approval: the policy names it." in text
    assert not PolicyFinding.objects.exists()


def test_switching_on_and_off_finds_and_clears(browser: Client, rule: PolicyRule, project: Project) -> None:
    PolicyRule.objects.update(is_enabled=False)
    mail(project, SEND)
    switch = address("policyrule", "switch", rule.pk)
    assert "is in force now" in told(browser.post(switch, {"on": "1"}, follow=True))
    assert PolicyFinding.objects.count() == 1
    assert "was in force already" in told(browser.post(switch, {"on": "1"}, follow=True))
    browser.post(switch, {"on": "0"})
    assert not PolicyFinding.objects.exists()


def test_a_policy_in_force_is_not_deleted(browser: Client, rule: PolicyRule) -> None:
    answer = browser.post(address("policyrule", "delete", rule.pk), {"post": "yes"}, follow=True)
    assert "Switch it off" in told(answer)
    assert PolicyRule.objects.exists()


def test_the_connector_form_names_the_rule_and_leads_to_a_request_with_everything_filled_in(
    browser: Client, rule: PolicyRule, project: Project, operator: User
) -> None:
    connector = mail(project, READ)
    answer = save(browser, "connector", connector.pk, scopes=f"{READ}\n{SEND}")
    (problem,) = errors(answer)["scopes"]
    assert "“No sending” says so. Use the mail service. Ask for an exception." in problem
    (link,) = parse(answer.content).having("href", problem.split('href="')[1].split('"')[0].replace("&amp;", "&"))
    asked = parse_qs(urlsplit(link.attributes["href"]).query)
    assert asked == {
        "rule": [str(rule.pk)],
        "project": [str(project.pk)],
        "type_slug": ["gmail"],
        "scope": [SEND],
    }
    initial = browser.get(link.attributes["href"]).context["adminform"].form
    shown = {name: str(initial[name].value()) for name in ("rule", "project", "type_slug", "scope", "owner")}
    assert shown == {
        "rule": str(rule.pk),
        "project": str(project.pk),
        "type_slug": "gmail",
        "scope": SEND,
        "owner": str(operator.pk),
    }
    connector.refresh_from_db()
    assert connector.scopes == [READ]


def test_after_the_grant_the_same_form_is_taken(browser: Client, rule: PolicyRule, project: Project) -> None:
    connector = mail(project, READ)
    make_exception(rule, project, type_slug="gmail", scope=SEND)
    assert not errors(save(browser, "connector", connector.pk, scopes=f"{READ}\n{SEND}"))
    connector.refresh_from_db()
    assert connector.scopes == [READ, SEND]


def test_a_warning_is_shown_and_the_form_is_taken(browser: Client, rule: PolicyRule, project: Project) -> None:
    PolicyRule.objects.update(effect="warn")
    connector = mail(project, READ)
    assert "“No sending” says so" in told(save(browser, "connector", connector.pk, scopes=SEND))
    connector.refresh_from_db()
    assert connector.scopes == [SEND]


def request_for(browser: Client, rule: PolicyRule, project: Project, **typed: Any) -> Any:
    path = f"{address('policyexception', 'add')}?rule={rule.pk}&project={project.pk}"
    data = {"rule": rule.pk, "project": project.pk, "type_slug": "", "scope": "", "reason": "Until spring.", **typed}
    form = browser.get(path).context["adminform"].form
    return browser.post(path, {"owner": form["owner"].value(), "until": form["until"].value(), **data}, follow=True)


def test_a_request_is_stored_as_it_was_asked(browser: Client, rule: PolicyRule, project: Project) -> None:
    request_for(browser, rule, project, scope=SEND)
    row = PolicyException.objects.get()
    assert (row.state, row.scope, row.reason, row.owner_label, row.requested_by_label) == (
        "requested",
        SEND,
        "Until spring.",
        "operator",
        "operator",
    )
    assert dt.timedelta(days=29) < row.expires_at - timezone.now() < dt.timedelta(days=32)


def test_a_request_for_more_than_a_year_comes_back(browser: Client, rule: PolicyRule, project: Project) -> None:
    late = (timezone.localdate() + dt.timedelta(days=500)).isoformat()
    assert "a year at most" in str(errors(request_for(browser, rule, project, until=late)))


def waiting(rule: PolicyRule, project: Project, asker: User | None = None) -> PolicyException:
    return make_exception(rule, project, state="requested", requested_by=asker)


def test_whoever_asked_reads_that_somebody_else_decides(
    browser: Client, operator: User, rule: PolicyRule, project: Project
) -> None:
    row = waiting(rule, project, operator)
    page = parse(browser.get(address("policyexception", "change", row.pk)).content)
    assert "Somebody else has to decide" in page.text
    assert not page.having("value", "grant")
    answer = browser.post(address("policyexception", "decide", row.pk), {"decision": "grant"}, follow=True)
    assert "Somebody else has to decide" in told(answer)


def decider(*codenames: str) -> Client:
    user = make_user("decider", staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_policyexception", "view_policyrule", *codenames])
    )
    return browser_of(user)


def test_a_decider_grants_with_a_click(rule: PolicyRule, project: Project) -> None:
    row, browser = waiting(rule, project), decider("decide_policyexception")
    assert parse(browser.get(address("policyexception", "change", row.pk)).content).having("value", "grant")
    browser.post(address("policyexception", "decide", row.pk), {"decision": "grant"})
    row.refresh_from_db()
    assert (row.state, row.decided_by_label) == ("granted", "decider")


def test_an_exception_from_a_policy_that_blocks_wants_more(project: Project) -> None:
    row = waiting(make_rule(), project)
    answer = decider("decide_policyexception").post(
        address("policyexception", "decide", row.pk), {"decision": "grant"}, follow=True
    )
    assert "only somebody who may change the policies" in told(answer)
    row.refresh_from_db()
    assert row.state == "requested"


def test_declining_without_a_word_is_refused(rule: PolicyRule, project: Project) -> None:
    row = waiting(rule, project)
    answer = decider("decide_policyexception").post(
        address("policyexception", "decide", row.pk), {"decision": "decline"}, follow=True
    )
    assert "Say why you decline" in told(answer)


def test_whoever_asked_may_withdraw(rule: PolicyRule, project: Project, reader: User) -> None:
    row = waiting(rule, project, reader)
    browser_of(reader).post(address("policyexception", "withdraw", row.pk))
    row.refresh_from_db()
    assert row.state == "withdrawn"


def test_nobody_rewrites_a_request(browser: Client, rule: PolicyRule, project: Project) -> None:
    row = waiting(rule, project)
    assert browser.post(address("policyexception", "change", row.pk), {"reason": "Other"}).status_code == 403
    assert b'name="_save"' not in browser.get(address("policyexception", "change", row.pk)).content


def test_the_plan_shows_what_is_stopped_and_where_to_ask(browser: Client, rule: PolicyRule, project: Project) -> None:
    Project.objects.update(synced_at=timezone.now())
    make_connector(project, "gmail", [SEND])
    page = parse(browser.get(reverse("admin:connectors_project_plan", args=[project.pk])).content)
    assert page.text.count("“No sending” says so") == 1
    assert "Request it here" in [found.text for found in page.walk() if found.tag == "a"]


def test_the_page_to_authorise_says_what_stops_it(browser: Client, rule: PolicyRule, project: Project) -> None:
    connector = mail(project, SEND)
    page = parse(browser.get(reverse("admin:connectors_connector_authorise", args=[connector.pk])).content)
    assert page.text.count("“No sending” says so") == 1


def test_tags_and_owner_of_a_project_are_edited_and_judged(browser: Client, operator: User, project: Project) -> None:
    make_rule(tags=["payments"])
    mail(project, SEND)
    save(browser, "project", project.pk, tags="Payments, Internal", owner=operator.pk)
    project.refresh_from_db()
    assert (project.tags, project.owner) == (["payments", "internal"], operator)
    assert PolicyFinding.objects.count() == 1
    assert Event.objects.get(verb="project.changed").after == {
        "tags": ["payments", "internal"],
        "owner_id": operator.pk,
    }


def test_a_tag_with_odd_characters_is_refused(browser: Client, project: Project) -> None:
    assert "tags" in errors(save(browser, "project", project.pk, tags="pay/ments"))


def queries(browser: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(path).status_code == 200
    return len(captured)


@pytest.mark.parametrize(("page", "count"), [("changelist", 4), ("change", 6), ("rehearsal", 10)])
def test_the_number_of_queries_does_not_grow(
    browser: Client, rule: PolicyRule, project: Project, page: str, count: int
) -> None:
    path = address("policyrule", page, None if page == "changelist" else rule.pk)
    mail(project, SEND)
    make_exception(rule, project)
    browser.get(path)
    few = queries(browser, path)
    for number in range(6):
        other = make_project(f"more-{number}")
        mail(other, SEND)
        make_exception(rule, other)
        make_rule(f"More {number}", is_enabled=False, min_sensitivity=3)
    policies.recheck_all()
    assert (few, queries(browser, path)) == (count, count)
