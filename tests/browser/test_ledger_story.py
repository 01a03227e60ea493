"""The scope ledger's story as people live it: from a new scope to a policy, an exception, a review and the history."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.seed import GOOGLE, GOOGLE_BASICS
from connectors.core.config_files import locate_file
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import plan_import
from connectors.flows.sync import sync_projects
from connectors.models import Connector, PolicyException, PolicyRule, Project, ReviewCampaign, SavedView
from portal.demo.past import days_ago
from tests.browser.conftest import OpenWindow
from tests.browser.harness import Watched
from tests.factories import SHELL, make_project, make_user, make_workspace

pytestmark = pytest.mark.browser

APP = "app-shop"
SEND, MODIFY, SETTINGS = f"{GOOGLE}gmail.send", f"{GOOGLE}gmail.modify", f"{GOOGLE}gmail.settings.basic"
FILES = {
    "gmail.jsonc": f'{{"type": "gmail", "scopes": ["{SEND}"]}}'.encode(),
    "slackbot.jsonc": b'{"type": "slackbot", "scopes": ["chat:write", "files:write"]}',
}
RULE = "Production never changes a mailbox"
WHY = "No invoice is a file any more."


@pytest.fixture
def base44() -> Iterator[Emulator]:
    with Emulator() as emulator:
        emulator.register(APP, "gmail", [SEND, *GOOGLE_BASICS])
        emulator.register(APP, "slackbot", ["chat:write", "files:write"])
        yield emulator


@pytest.fixture
def owner(admin: User) -> User:
    """Answers for the shop, and may look at it."""
    olga = make_user("olga", staff=True)
    names = ("view_project", "view_connector", "view_ledgerentry", "view_reviewcampaign")
    olga.user_permissions.set(Permission.objects.filter(codename__in=names))
    return olga


@pytest.fixture
def shop(owner: User, base44: Emulator) -> Project:
    """An app in production that has been in the portal for ten days, in agreement on every side."""
    workspace = make_workspace("Acme", api_url=base44.url, token=base44.pat)
    project = make_project("shop", workspace=workspace, app_id=APP, environment="production", owner=owner)
    with days_ago(10):
        for name, data in FILES.items():
            apply_import(plan_import(project, locate_file(name, data)), SHELL)
        sync_projects([project], SHELL)
    return project


def test_from_a_new_scope_to_its_policy_exception_review_and_history(
    admin: User, owner: User, shop: Project, open_window: OpenWindow
) -> None:
    ada, bob, olga = open_window(admin), open_window(make_user("bob", staff=True, superuser=True)), open_window(owner)
    gmail = Connector.objects.get(project=shop, integration_type="gmail")
    add_a_scope_and_see_it_missing(ada, gmail)
    find_who_can_send_mail_and_keep_the_view(ada)
    make_a_policy_and_switch_it_on(ada)
    be_refused_and_ask_for_an_exception(ada, gmail)
    grant_it(bob)
    save_with_scope(ada, gmail, SETTINGS)
    ada.page.wait_for_url("**/connectors/connector/")
    assert Connector.objects.get(pk=gmail.pk).scopes == [SEND, MODIFY, SETTINGS]
    campaign = open_a_review(ada)
    decide_to_remove(olga, campaign)
    carry_it_out(ada, campaign)
    see_the_removal_in_the_plan(ada, shop)
    assert removal_in_evidence(ada, campaign) == ["Shop", "slackbot", "files:write", "olga", WHY]
    look_back(ada)
    assert [window.faults for window in (ada, bob, olga)] == [[], [], []]


def add_a_scope_and_see_it_missing(window: Watched, connector: Connector) -> None:
    save_with_scope(window, connector, MODIFY)
    window.page.wait_for_url("**/connectors/connector/")
    window.open(f"/admin/connectors/connector/{connector.pk}/ledger/")
    row = row_with(window.page, "gmail.modify")
    expect(row).to_contain_text("Missing")
    expect(row).to_contain_text("not registered at Base44")


def save_with_scope(window: Watched, connector: Connector, scope: str) -> None:
    window.open(f"/admin/connectors/connector/{connector.pk}/change/")
    window.page.get_by_role("combobox", name="Add a scope").focus()
    window.page.keyboard.type(scope)
    window.page.keyboard.press("Enter")
    window.page.get_by_role("button", name="Save", exact=True).click()


def find_who_can_send_mail_and_keep_the_view(window: Watched) -> None:
    page = window.page
    window.open("/admin/connectors/ledgerentry/by/scopes/")
    search(page, "send mail")
    expect(row_with(page, SEND)).to_contain_text("Send mail as the user")
    row_with(page, SEND).get_by_role("link", name="List").click()
    expect(page.get_by_role("row").filter(has_text="gmail.send")).to_have_count(1)
    window.open("/admin/connectors/ledgerentry/?verdict=missing")
    page.get_by_text("Save or remove views").click()
    page.get_by_label("Name for the search and filters").fill("Missing mail scopes")
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_role("link", name="Missing mail scopes")).to_have_attribute("aria-current", "true")
    assert SavedView.objects.get().query == "verdict=missing"


def make_a_policy_and_switch_it_on(window: Watched) -> None:
    page = window.page
    window.open("/admin/connectors/policyrule/add/")
    page.get_by_label("Name").fill(RULE)
    page.get_by_label("Explanation").fill("Apps send mail and leave mailboxes alone.")
    page.locator("select[name=effect]").select_option("block")
    page.locator("textarea[name=scope_patterns]").fill(f"{MODIFY}\n{GOOGLE}gmail.settings.*")
    page.get_by_label("Production").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="1 connector in 1 project breaks it")).to_be_visible()
    expect(page.get_by_text(f"{MODIFY} is forbidden")).to_be_visible()
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text(f"“{RULE}” is in force now.")).to_be_visible()
    assert PolicyRule.objects.get().is_enabled


def be_refused_and_ask_for_an_exception(window: Watched, connector: Connector) -> None:
    page = window.page
    save_with_scope(window, connector, SETTINGS)
    refusal = page.locator(".errorlist, [role=alert], .pc-notice").filter(has_text=RULE).first
    expect(refusal).to_contain_text("Apps send mail and leave mailboxes alone.")
    assert Connector.objects.get(pk=connector.pk).scopes == [SEND, MODIFY]
    refusal.get_by_role("link", name="Request it here").click()
    page.get_by_label("Reason").fill("The out-of-office text is set by the app over Christmas.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Somebody else has to decide on it.").first).to_be_visible()


def grant_it(window: Watched) -> None:
    page = window.page
    window.open("/admin/connectors/policyexception/")
    page.get_by_role("link", name=RULE).click()
    page.get_by_role("textbox", name="Note").fill("Until January.")
    page.get_by_role("button", name="Grant").click()
    expect(page.get_by_text("Granted: the change can be made now.")).to_be_visible()
    assert PolicyException.objects.get().scope == SETTINGS


def open_a_review(window: Watched) -> ReviewCampaign:
    page, due = window.page, timezone.now() + dt.timedelta(days=14)
    window.open("/admin/connectors/reviewcampaign/add/")
    page.get_by_label("Name").fill("Access review, winter")
    page.locator("input[name=due_at_0]").fill(due.strftime("%Y-%m-%d"))
    page.locator("input[name=due_at_1]").fill("12:00")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/reviewcampaign/*/open/")
    expect(row_with(page, "olga")).to_be_visible()
    page.get_by_role("button", name="Open the review").click()
    page.wait_for_url("**/reviewcampaign/*/change/")
    return ReviewCampaign.objects.get(state=ReviewCampaign.State.OPEN)


def decide_to_remove(window: Watched, campaign: ReviewCampaign) -> None:
    window.open(f"/admin/connectors/reviewcampaign/{campaign.pk}/decide/")
    page = window.page
    item = page.locator(".rv-item").filter(has=page.get_by_role("group", name="What is to become of files:write"))
    item.get_by_label("Remove").check()
    item.get_by_label("Reason").fill(WHY)
    item.get_by_role("button", name="Save").click()
    expect(window.page.get_by_role("heading", name=f"1 of {campaign.item_count} decided")).to_be_visible()


def carry_it_out(window: Watched, campaign: ReviewCampaign) -> None:
    window.open(f"/admin/connectors/reviewcampaign/{campaign.pk}/carry-out/")
    window.page.get_by_role("button", name="Declare 1 scope").click()
    expect(window.page.get_by_role("link", name="Plan of shop")).to_be_visible()


def see_the_removal_in_the_plan(window: Watched, project: Project) -> None:
    page = window.page
    page.get_by_role("link", name="Plan of shop").click()
    removed = page.locator(".pc-chip--del")
    expect(removed.first).to_contain_text("files:write")
    expect(removed).to_have_count(1)


def removal_in_evidence(window: Watched, campaign: ReviewCampaign) -> list[str]:
    """What the evidence says in CSV of the scope that is to go."""
    window.open(f"/admin/connectors/reviewcampaign/{campaign.pk}/evidence/")
    window.page.locator("summary").filter(has_text="Download").click()
    with window.page.expect_download() as download:
        window.page.get_by_role("link", name="CSV").click()
    with download.value.path().open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["decision"] == "remove"]
    names = ("project_name", "type", "scope", "decided_by", "decision_reason")
    return [row[name] for row in rows for name in names]


def look_back(window: Watched) -> None:
    """Five days ago nobody asked for more than sending."""
    page, then = window.page, timezone.now() - dt.timedelta(days=5)
    window.open("/admin/connectors/ledgerentry/history/")
    page.get_by_label("Date and time").fill(then.strftime("%Y-%m-%dT%H:%M"))
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**at=2*")
    expect(row_with(page, "gmail.send")).to_be_visible()
    assert page.get_by_text("gmail.modify").count() == 0
    page.get_by_role("link", name="What changed since then").click()
    expect(page.get_by_text("gmail.modify").first).to_be_visible()


def search(page: Page, words: str) -> None:
    page.locator("#searchbar").fill(words)
    page.keyboard.press("Enter")
    page.wait_for_url("**q=send*")


def row_with(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text).first
