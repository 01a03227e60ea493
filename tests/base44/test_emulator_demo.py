"""The demo's first plan: the emulator's seed compared with the sample projects shows every kind of difference."""

from __future__ import annotations

import pytest

from connectors.core.base44.client import Base44Client
from connectors.core.base44.credentials import PersonalAccessToken
from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.seed import OWNER
from connectors.core.config_files.locate import locate_project
from connectors.core.plan import Plan, make_plan
from connectors.core.scopes import ScopeRules
from portal.demo.place import PROJECTS


def first_plan(slug: str) -> Plan:
    """What the portal would show of a sample project before anybody did anything."""
    files = locate_project(PROJECTS / slug)
    with Emulator(seed="demo") as emulator:
        client = Base44Client(emulator.url, PersonalAccessToken(emulator.pat))
        registered = client.registered_state(files.app_id)
        rules = ScopeRules(auto_added=client.auto_added_scopes())
    return make_plan([file.spec for file in files.files], registered, rules=rules, acting_account=OWNER)


@pytest.mark.parametrize(
    ("slug", "actions", "kept"),
    [
        (
            "storefront",
            {"googlecalendar": "set", "slackbot": "set", "stripe": "provision", "googledrive": "remove"},
            {"gmail", "hubspot", "notion"},
        ),
        ("helpdesk", {"gmail": "consent", "linear": "set", "github": "set"}, {"salesforce", "slack"}),
        (
            "insights",
            {"hubspot": "consent", "slackbot": "set", "share_point": "remove", "stripe": "remove_stripe"},
            {"googlesheets", "notion", "salesforce"},
        ),
    ],
)
def test_first_plan_of_a_sample_project(slug: str, actions: dict[str, str], kept: set[str]) -> None:
    plan = first_plan(slug)
    assert {action.type: action.kind.value for action in plan.actions} == actions
    assert {row.type for row in plan.kept} == kept


def test_narrowing_in_the_first_plan_says_what_goes() -> None:
    slackbot = next(action for action in first_plan("storefront").actions if action.type == "slackbot")
    assert (slackbot.added, slackbot.removed, slackbot.needs_consent) == ((), ("files:write",), True)


def test_five_apps_wait_to_be_discovered() -> None:
    samples = {locate_project(folder).app_id for folder in PROJECTS.iterdir() if folder.is_dir()}
    with Emulator(seed="demo") as emulator:
        apps = {app.id for app in Base44Client(emulator.url, PersonalAccessToken(emulator.pat)).list_apps()}
    assert len(apps - samples) == 5
    assert samples < apps
