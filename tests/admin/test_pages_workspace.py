"""A workspace's pages: discover its apps, sign in with a code, verify the credential."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from connectors.core.base44.emulator import Emulator
from connectors.models import Event, Project, SyncRun, Workspace
from tests.factories import make_project, make_workspace
from tests.flows.conftest import APP


def discover(workspace: Workspace) -> str:
    return reverse("admin:connectors_workspace_discover", args=[workspace.pk])


def apps(workspace: Workspace) -> str:
    return reverse("admin:connectors_workspace_discover_apps", args=[workspace.pk])


def sign_in(workspace: Workspace) -> str:
    return reverse("admin:connectors_workspace_device_login", args=[workspace.pk])


def poll(workspace: Workspace) -> str:
    return reverse("admin:connectors_workspace_device_login_poll", args=[workspace.pk])


def verify(workspace: Workspace) -> str:
    return reverse("admin:connectors_workspace_verify", args=[workspace.pk])


# Discover


def test_the_page_itself_asks_base44_nothing(browser: Client, base44: Emulator, live_workspace: Workspace) -> None:
    assert apps(live_workspace) in browser.get(discover(live_workspace)).content.decode()
    assert not base44.requests


def test_apps_are_listed_with_their_projects(browser: Client, base44: Emulator, live_project: Project) -> None:
    base44.add_app("app-shop", "Shop")
    answer = browser.get(apps(live_project.workspace))
    assert {app.app_id: app.project for app in answer.context["apps"]} == {APP: live_project, "app-shop": None}


def test_ticked_apps_become_projects_in_their_environments(
    browser: Client, base44: Emulator, live_workspace: Workspace
) -> None:
    for name in ("Shop", "Careers", "Intranet"):
        base44.add_app(f"app-{name.lower()}", name)
    form = {"app": ["app-shop", "app-careers"], "environment-app-shop": "production"}
    answer = browser.post(discover(live_workspace), form)
    assert answer["Location"] == discover(live_workspace)
    assert set(Project.objects.values_list("slug", "environment")) == {
        ("shop", "production"),
        ("careers", "development"),
    }
    assert not SyncRun.objects.exists()


def test_new_projects_are_read_right_away_when_asked_for(browser: Client, live_workspace: Workspace) -> None:
    browser.post(discover(live_workspace), {"app": [APP], "sync": "1"})
    assert SyncRun.objects.get().kind == SyncRun.Kind.SYNC


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "Nothing is ticked"),
        ({"app": ["somebody-elses-app"]}, "lists no app somebody-elses-app"),
        ({"app": [APP], f"environment-{APP}": "moon"}, "no environment 'moon'"),
    ],
)
def test_a_forged_choice_adds_nothing(
    browser: Client, live_workspace: Workspace, form: dict[str, Any], words: str
) -> None:
    answer = browser.post(discover(live_workspace), form)
    assert words in answer.context["problem"]
    assert not Project.objects.exists()


def test_an_app_that_has_a_project_already_is_refused(browser: Client, live_project: Project) -> None:
    answer = browser.post(discover(live_project.workspace), {"app": [APP]})
    assert "project already" in answer.context["problem"]


def test_ticks_survive_a_refusal(browser: Client, live_workspace: Workspace) -> None:
    answer = browser.post(discover(live_workspace), {"app": [APP, "unknown"]})
    assert f"app={APP}&amp;" in answer.content.decode()
    assert b"checked" in browser.get(f"{apps(live_workspace)}?app={APP}").content.split(b"</table>")[0]


def test_a_workspace_without_credential_is_told(browser: Client, workspace: Workspace) -> None:
    assert "no Base44 credential" in browser.get(apps(workspace)).context["problem"]


def test_the_list_costs_the_same_however_many_apps(
    browser: Client, base44: Emulator, live_workspace: Workspace
) -> None:
    browser.get(apps(live_workspace))
    counts = []
    for first, last in ((0, 2), (2, 40)):
        for number in range(first, last):
            base44.add_app(f"app-{number}", f"App {number}")
            make_project(f"p{number}", workspace=live_workspace, app_id=f"app-{number}")
        with CaptureQueriesContext(connection) as captured:
            browser.get(apps(live_workspace))
        counts.append(len(captured))
    assert counts[0] == counts[1]


# Sign in with a code


@pytest.fixture
def fresh(db: None, base44: Emulator) -> Workspace:
    """A workspace at the emulator, without a credential."""
    return make_workspace("Fresh", api_url=base44.url)


def decide(base44: Emulator, user_code: str, *, approve: bool = True) -> None:
    """What a person does on Base44's page."""
    body = json.dumps({"user_code": user_code, "approve": approve}).encode()
    request = urllib.request.Request(
        f"{base44.url}/_emulator/logins/decide", body, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=5).close()


def begin(browser: Client, workspace: Workspace) -> str:
    """Begins a sign-in; gives the code that the page shows."""
    browser.post(sign_in(workspace))
    return str(browser.get(sign_in(workspace)).context["login"]["user_code"])


def test_the_page_shows_the_code_and_where_to_type_it(browser: Client, fresh: Workspace) -> None:
    code = begin(browser, fresh)
    content = browser.get(sign_in(fresh)).content.decode()
    assert code in content
    assert f'hx-post="{poll(fresh)}"' in content


def test_the_secret_code_is_in_no_page_and_lies_sealed_in_the_session(
    browser: Client, base44: Emulator, fresh: Workspace
) -> None:
    user_code = begin(browser, fresh)
    logins = base44.state.data.device_logins
    (secret,) = [code for code, login in logins.items() if login.user_code == user_code]
    stored = repr([session.get_decoded() for session in Session.objects.all()])
    assert secret not in stored
    assert secret not in browser.get(sign_in(fresh)).content.decode()


def test_polling_goes_on_until_the_person_has_agreed(browser: Client, base44: Emulator, fresh: Workspace) -> None:
    code = begin(browser, fresh)
    assert b"hx-post" in browser.post(poll(fresh)).content
    decide(base44, code)
    answer = browser.post(poll(fresh))
    fresh.refresh_from_db()
    assert b"hx-post" not in answer.content
    assert (fresh.credential_kind, fresh.credential_state) == ("device", "accepted")


def test_a_declined_sign_in_is_told_and_over(browser: Client, base44: Emulator, fresh: Workspace) -> None:
    code = begin(browser, fresh)
    decide(base44, code, approve=False)
    assert "declined" in browser.post(poll(fresh)).context["problem"]
    assert browser.get(sign_in(fresh)).context["login"] is None


def test_a_hitch_does_not_end_the_sign_in(browser: Client, base44: Emulator, fresh: Workspace) -> None:
    begin(browser, fresh)
    base44.fail("POST", "/oauth/token", "html", status=403, times=None)
    answer = browser.post(poll(fresh))
    assert answer.context["hitch"]
    assert b"hx-post" in answer.content


def test_a_sign_in_belongs_to_the_workspace_it_was_begun_for(
    browser: Client, base44: Emulator, fresh: Workspace
) -> None:
    code = begin(browser, fresh)
    other = make_workspace("Other", api_url=base44.url)
    decide(base44, code)
    browser.post(poll(other))
    other.refresh_from_db()
    assert other.credential_kind == ""


def test_a_base44_that_does_not_answer_is_told(browser: Client, workspace: Workspace) -> None:
    assert browser.post(sign_in(workspace)).context["problem"]


# Verify


def test_an_accepted_credential_is_said_to_be(browser: Client, live_workspace: Workspace) -> None:
    answer = browser.post(verify(live_workspace))
    live_workspace.refresh_from_db()
    assert answer["Location"] == reverse("admin:connectors_workspace_change", args=[live_workspace.pk])
    assert live_workspace.credential_state == "accepted"
    assert Event.objects.filter(verb="credential.checked", actor_label="operator").exists()


def test_a_refused_credential_is_said_to_be(browser: Client, base44: Emulator) -> None:
    workspace = make_workspace("Bad", api_url=base44.url, token="not-a-token")
    answer = browser.post(verify(workspace), follow=True)
    workspace.refresh_from_db()
    assert workspace.credential_state == "refused"
    assert "refuses the credential" in answer.content.decode()


def test_no_credential_is_said_to_be_missing(browser: Client, workspace: Workspace) -> None:
    assert "no Base44 credential" in browser.post(verify(workspace), follow=True).content.decode()
