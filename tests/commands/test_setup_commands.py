"""add_workspace, add_project, discover_projects, load_catalogue."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from connectors.core.base44.emulator import Emulator
from connectors.models import IntegrationType, Project, Workspace
from tests.commands.conftest import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def token_file(base44: Emulator, tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(base44.pat + "\n")
    path.chmod(0o600)
    return path


def test_a_workspace_is_added_with_the_token_of_a_file(run: Run, base44: Emulator, token_file: Path) -> None:
    said = run("add_workspace", "Acme", "--api-url", base44.url, "--token-file", str(token_file))
    assert (said.code, said.err) == (0, "")
    assert "admin@acme.example" in said.out
    assert Workspace.objects.get().credential.reveal() == base44.pat


def test_the_token_is_never_printed(run: Run, base44: Emulator, token_file: Path) -> None:
    said = run("add_workspace", "Acme", "--api-url", base44.url, "--token-file", str(token_file), "--json")
    assert base44.pat not in said.out + said.err + said.error


def test_the_token_can_come_from_standard_input(run: Run, base44: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(base44.pat))
    run("add_workspace", "Acme", "--api-url", base44.url, "--token-file", "-")
    assert Workspace.objects.get().credential_state == Workspace.CredentialState.ACCEPTED


def test_a_token_file_that_others_can_read_is_warned_of(run: Run, base44: Emulator, token_file: Path) -> None:
    token_file.chmod(0o644)
    said = run("add_workspace", "Acme", "--api-url", base44.url, "--token-file", str(token_file))
    assert "chmod 600" in said.err


def test_a_token_that_base44_refuses_fails(run: Run, base44: Emulator, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("unknown")
    said = run("add_workspace", "Acme", "--api-url", base44.url, "--token-file", str(tmp_path / "token"))
    assert (said.code, "does not accept" in said.out) == (1, True)


def test_a_missing_token_file_is_wrong_use(run: Run) -> None:
    said = run("add_workspace", "Acme", "--token-file", "/nowhere/token")
    assert (said.code, said.error) == (2, "There is no file /nowhere/token.")
    assert not Workspace.objects.exists()


def test_a_project_is_added_once(run: Run, workspace: Workspace) -> None:
    words = ("add_project", "crm", "--workspace", "Acme", "--app-id", "app1", "--environment", "production", "--json")
    assert run(*words).actions() == {"project": "added"}
    assert run(*words).actions() == {"project": "unchanged"}
    assert Project.objects.get().environment == "production"


def test_an_unknown_workspace_is_answered_with_those_that_are_close(run: Run, workspace: Workspace) -> None:
    said = run("add_project", "crm", "--workspace", "Acne", "--app-id", "app1")
    assert (said.code, said.error) == (2, "There is no workspace Acne. Did you mean Acme?")


def test_a_slug_that_cannot_be_is_one_line_and_wrong_use(run: Run, workspace: Workspace) -> None:
    said = run("add_project", "a b", "--workspace", "Acme", "--app-id", "app1")
    assert said.code == 2
    assert said.error.startswith("slug: ")
    assert "\n" not in said.error


def test_discovering_lists_and_creates_nothing(run: Run, base44: Emulator, live_workspace: Workspace) -> None:
    said = run("discover_projects", "--workspace", "Live", "--json")
    assert [(row["app_id"], row["action"], row["project"]) for row in said.document["results"]] == [
        ("app-crm", "new", None)
    ]
    assert not Project.objects.exists()


def test_discovering_creates_the_named_apps(run: Run, base44: Emulator, live_workspace: Workspace) -> None:
    base44.add_app("app-2", "Shop Two")
    base44.add_app("app-3", "Other")
    run("discover_projects", "--workspace", "Live", "--create", "app-2", "--environment", "staging")
    assert list(Project.objects.values_list("slug", "environment")) == [("shop-two", "staging")]


def test_discovering_creates_all_that_have_no_project(run: Run, base44: Emulator, live_project: Project) -> None:
    base44.add_app("app-2", "Shop")
    run("discover_projects", "--workspace", "Live", "--create-all")
    assert set(Project.objects.values_list("app_id", flat=True)) == {"app-crm", "app-2"}


def test_an_app_that_base44_does_not_list_is_refused(run: Run, live_workspace: Workspace) -> None:
    said = run("discover_projects", "--workspace", "Live", "--create", "nope")
    assert (said.code, "no app nope" in said.error) == (1, True)


def test_the_catalogue_is_loaded_and_base44_asked(run: Run, live_workspace: Workspace) -> None:
    run("load_catalogue")
    assert not IntegrationType.objects.exclude(offered_at=None).exists()
    run("load_catalogue", "--workspace", "Live")
    assert IntegrationType.objects.exclude(offered_at=None).exists()
