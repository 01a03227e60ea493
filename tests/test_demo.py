"""`make demo`: what it asks for, what it makes, what it keeps."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db.models import F
from django.utils import timezone
from environ import Env
from pytest_django import Settings

from connectors.core.base44.emulator import Emulator
from connectors.core.errors import Refused
from connectors.core.three_way import Change
from connectors.flows.consent_desk import desk_of
from connectors.flows.forecast import forecast_for
from connectors.flows.refresh import refresh_now
from connectors.flows.repository_compare import differences
from connectors.flows.repository_read import read_repository
from connectors.models import (
    AlertDelivery,
    AlertRoute,
    Event,
    Incident,
    LedgerEntry,
    OAuthClient,
    Placement,
    PolicyRule,
    Repository,
    RepositoryRun,
    ReviewCampaign,
    ScopePeriod,
    Token,
    TokenRefresh,
    Workspace,
)
from portal.demo import oauth_samples, seed
from portal.demo import place as places
from portal.demo.ledger_samples import DRIVE, MAYA
from portal.demo.place import DemoPlace
from tests.factories import SHELL

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def place(tmp_path: Path) -> DemoPlace:
    return DemoPlace(tmp_path, "127.0.0.1", 8000, 8044)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def test_a_taken_port_is_refused_with_how_to_choose_another(tmp_path: Path, taken_port: int) -> None:
    place = DemoPlace(tmp_path, "127.0.0.1", taken_port, free_ports(1)[0])
    with pytest.raises(Refused, match=f"Port {taken_port} .*make demo PORT={taken_port + 1}"):
        places.require_free_ports(place)


def test_a_taken_emulator_port_names_its_own_variable(tmp_path: Path, taken_port: int) -> None:
    place = DemoPlace(tmp_path, "127.0.0.1", free_ports(1)[0], taken_port)
    with pytest.raises(Refused, match=f"make demo EMULATOR_PORT={taken_port + 1}"):
        places.require_free_ports(place)


def test_one_port_cannot_serve_both(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="both 8000"):
        places.require_free_ports(DemoPlace(tmp_path, "127.0.0.1", 8000, 8000))


def test_a_reset_deletes_what_the_demo_made_and_nothing_else(tmp_path: Path) -> None:
    for name in ("db.sqlite3", "db.sqlite3-wal", "beat-schedule.db", "notes.txt", "secrets/secret_key", "demo/token"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    places.forget(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"notes.txt", "secrets/secret_key"}


@pytest.mark.django_db
def test_the_login_is_shown_again_at_the_next_start(place: DemoPlace) -> None:
    first = seed.ensure_login(place)
    assert first is not None
    assert seed.ensure_login(place) == first
    assert stat.S_IMODE(place.password_file.stat().st_mode) == 0o600


@pytest.mark.django_db
def test_a_password_that_was_changed_is_not_shown(place: DemoPlace, django_user_model: Any) -> None:
    seed.ensure_login(place)
    user = django_user_model.objects.get(username=seed.LOGIN)
    user.set_password("another one entirely")
    user.save()
    assert seed.ensure_login(place) is None


@pytest.mark.django_db
def test_samples_are_not_put_beside_real_workspaces(workspace: Workspace) -> None:
    with pytest.raises(Refused, match="did not make"):
        seed.require_demo_database()


@pytest.mark.parametrize("slug", seed.SAMPLES)
def test_each_sample_project_has_files(slug: str) -> None:
    assert list((places.PROJECTS / slug / "base44" / "connectors").glob("*.json*"))


@pytest.fixture
def seeded(tmp_path: Path, db: None) -> Iterator[DemoPlace]:
    """A demo's database after its first start, and its emulator."""
    token_file = tmp_path / "demo" / "token"
    with Emulator(seed="demo") as emulator:
        token_file.parent.mkdir()
        token_file.write_text(emulator.pat)
        place = DemoPlace(tmp_path, "127.0.0.1", 8000, urlsplit(emulator.url).port or 0)
        seed.ensure_login(place)
        seed.seed(place)
        yield place


def conditions() -> dict[tuple[str, str], str]:
    rows = Token.objects.select_related("connector__project", "oauth_client")
    return {
        (row.connector.project.slug, row.connector.integration_type_id): row.condition(timezone.now()) for row in rows
    }


def test_the_samples_show_tokens_in_the_conditions_that_a_team_meets(seeded: DemoPlace) -> None:
    assert conditions() == {
        ("storefront", "gmail"): "fresh",
        ("helpdesk", "gmail"): "needs_consent",
        ("insights", "googlesheets"): "fresh",
        ("storefront", "hubspot"): "misconfigured",
        ("insights", "salesforce"): "fresh",
        ("helpdesk", "salesforce"): "fresh",
    }


def test_the_samples_fill_the_consent_desk_and_the_forecast(seeded: DemoPlace, django_user_model: Any) -> None:
    admin, now = django_user_model.objects.get(username=seed.LOGIN), timezone.now()
    held = [need for group in desk_of(admin, now).groups for need in group.needs if need.way == "portal"]
    assert sorted(need.account for need in held) == ["admin@acme.example", *["support@acme.example"] * 2]
    doomed = forecast_for(admin, now, dt.timedelta(days=30)).doomed
    assert [row.token.connector.project.slug for row in doomed] == ["insights", "insights", "helpdesk"]
    assert doomed[0].death.at - now < dt.timedelta(days=2)


def test_a_sample_token_is_refreshed_at_the_stand_in(seeded: DemoPlace) -> None:
    token = Token.objects.get(connector__project__slug="storefront", connector__integration_type="gmail")
    assert (token.account, token.expires_at) != ("", None)
    assert refresh_now(token, SHELL).outcome == TokenRefresh.Outcome.OK


def found(**conditions: object) -> set[tuple[str, str, str]]:
    rows = LedgerEntry.objects.filter(**conditions).values_list("project__slug", "integration_type", "scope")
    return {(project, type_, scope.rpartition("/")[2]) for project, type_, scope in rows}


def test_the_samples_differ_in_every_way_that_the_ledger_tells_apart(seeded: DemoPlace) -> None:
    assert ("storefront", "gmail", "gmail.modify") in found(verdict="excess", granted=True, declared=False)
    assert ("storefront", "slackbot", "files:write") in found(verdict="excess", registered=True)
    assert ("helpdesk", "salesforce", "api") in found(verdict="missing", registered=True, granted=False)
    assert ("insights", "hubspot", "crm.lists.read") in found(verdict="missing", repository=False)
    assert found(verdict="drift") == {("helpdesk", "github", "repo")}


def test_the_samples_have_been_there_for_weeks(seeded: DemoPlace) -> None:
    now = timezone.now()
    assert Event.objects.order_by("at")[0].at < now - dt.timedelta(days=40)
    periods = ScopePeriod.objects.filter(type_slug="googledrive", side="registered").exclude(scope="")
    assert set(periods.at(now - dt.timedelta(days=14)).values_list("scope", flat=True)) >= {DRIVE + "metadata.readonly"}
    assert DRIVE + "readonly" in set(periods.at(now).values_list("scope", flat=True))
    assert not ScopePeriod.objects.filter(until__lt=F("since")).exists()
    assert not Event.objects.filter(at__gt=now).exists()


def test_the_samples_hold_policies_an_exception_and_a_review_half_decided(seeded: DemoPlace) -> None:
    rules = {(rule.effect, rule.is_enabled) for rule in PolicyRule.objects.all()}
    assert rules == {("warn", True), ("block", True), ("approval", False)}
    assert found(policy="excepted") == {("helpdesk", "gmail", "gmail.modify")}
    assert ("storefront", "gmail", "gmail.send") in found(policy="warn")
    campaign = ReviewCampaign.objects.get()
    assert 0 < campaign.decided_count < campaign.item_count
    assert {item.decided_by_label for item in campaign.items.exclude(decision="")} == {seed.LOGIN, MAYA}


def test_incidents_wait_for_the_worker_to_tell_of_them(seeded: DemoPlace) -> None:
    assert {"drift", "policy", "consent", "client", "token_end"} <= {row.kind for row in Incident.objects.open()}
    assert set(AlertDelivery.objects.values_list("route__channel", flat=True)) == {"email", "webhook"}


def test_the_repository_holds_one_change_to_import_one_to_export_and_a_conflict(
    seeded: DemoPlace, settings: Settings, tmp_path: Path
) -> None:
    settings.GIT_ALLOW_FILE_URLS, settings.GIT_CACHE_DIR = True, str(tmp_path / "git")
    assert [run.reason for run in RepositoryRun.objects.open()] == ["The demo begins."]
    read_repository(Repository.objects.get(), SHELL)
    waiting = {
        (row.project.slug, item.type, item.change.value)
        for row in Placement.objects.select_related("project")
        for item in differences([row])[row.pk]
        if item.change is not Change.SAME
    }
    assert waiting == {
        ("insights", "slackbot", "incoming"),
        ("insights", "hubspot", "outgoing"),
        ("helpdesk", "github", "conflict"),
    }


def test_a_second_start_makes_no_second_repository(seeded: DemoPlace) -> None:
    Repository.objects.update(name="Ours")
    seed.seed(seeded)
    assert [row.name for row in Repository.objects.all()] == ["Ours"]


def test_mail_and_webhooks_of_the_demo_stay_on_this_machine(place: DemoPlace) -> None:
    env = places.environment(place)
    assert Env.email_url_config(env["EMAIL_URL"])["EMAIL_FILE_PATH"] == str(place.mail_dir)
    assert env["ALERT_ALLOWED_PRIVATE_HOSTS"] == "127.0.0.1"


def test_a_second_start_keeps_what_people_made_of_policies_reviews_and_scopes(seeded: DemoPlace) -> None:
    PolicyRule.objects.filter(is_enabled=False).delete()
    AlertRoute.objects.all().delete()
    before = set(PolicyRule.objects.values_list("name", flat=True)), found(), ScopePeriod.objects.count()
    seed.seed(seeded)
    assert (set(PolicyRule.objects.values_list("name", flat=True)), found(), ScopePeriod.objects.count()) == before
    assert (ReviewCampaign.objects.count(), AlertRoute.objects.count()) == (1, 0)


def test_a_second_start_keeps_clients_and_tokens(seeded: DemoPlace) -> None:
    Token.objects.filter(connector__project__slug="helpdesk").delete()
    before = conditions(), list(OAuthClient.objects.values("slug", "client_id", "state"))
    seed.seed(seeded)
    assert (conditions(), list(OAuthClient.objects.values("slug", "client_id", "state"))) == before


def test_a_start_on_another_emulator_port_points_the_clients_there(seeded: DemoPlace) -> None:
    oauth_samples.follow_emulator(dataclasses.replace(seeded, emulator_port=9))
    issuers = {row.settings["issuer"] for row in OAuthClient.objects.all()}
    assert issuers == {"http://127.0.0.1:9/provider"}


def test_a_client_that_was_pointed_elsewhere_stays_there(seeded: DemoPlace) -> None:
    OAuthClient.objects.update(settings={})
    oauth_samples.follow_emulator(dataclasses.replace(seeded, emulator_port=9))
    assert not OAuthClient.objects.exclude(settings={}).exists()


def test_no_secret_is_sent_over_the_network(seeded: DemoPlace) -> None:
    Token.objects.all().delete()
    OAuthClient.objects.all().delete()
    oauth_samples.seed_oauth(dataclasses.replace(seeded, host="192.0.2.1"), seed.LOGIN)
    assert not OAuthClient.objects.exists()


def demo(data_dir: Path, ports: list[int], *options: str) -> subprocess.Popen[str]:
    variables = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "manage.py"),
            "demo",
            f"--port={ports[0]}",
            f"--emulator-port={ports[1]}",
            *options,
        ],
        env=variables | {"PORTAL_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    pytest.fail("".join(lines))


def test_the_demo_runs_is_seeded_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    ports = free_ports(2)
    with demo(tmp_path, ports) as process:
        try:
            shown = read_until(process, "What to try")
            with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/", timeout=30) as page:
                assert page.url.startswith(f"http://127.0.0.1:{ports[0]}/accounts/login/")
        finally:
            process.send_signal(signal.SIGINT)
        rest = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0
    assert "Its data is kept" in rest
    assert any("Password" in line for line in shown)
    assert not [line for line in shown if "ERROR" in line or "Traceback" in line]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile alone, where nothing is installed."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "portal" / "requirements").mkdir(parents=True)
    (tmp_path / "portal" / "requirements" / "base.txt").touch()
    return tmp_path


def make_demo(checkout: Path, python: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "demo", f"PYTHON={python}"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def python_that(checkout: Path, script: str) -> str:
    path = checkout / "python"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_machine_without_python_is_told_so(checkout: Path) -> None:
    done = make_demo(checkout, "no-such-python")
    assert done.returncode == 2
    assert "no-such-python was not found. Install Python 3.11" in done.stderr


def test_an_old_python_is_named_with_its_version(checkout: Path) -> None:
    python = python_that(checkout, '[ "$1" = -V ] && echo "Python 3.9.2" && exit 0; exit 1')
    assert "needs Python 3.11 or newer" in (stderr := make_demo(checkout, python).stderr)
    assert "Python 3.9.2" in stderr


def test_a_python_without_venv_is_answered_by_the_package_to_install(checkout: Path) -> None:
    python = python_that(checkout, 'case "$2" in *ensurepip*) exit 1;; esac; exit 0')
    assert "sudo apt install python3-venv" in make_demo(checkout, python).stderr
