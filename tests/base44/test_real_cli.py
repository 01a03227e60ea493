"""The emulator is honest: the real CLI works against it as it does against Base44."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.core.base44.emulator import Emulator
from tests.servers.base44_cli import Base44Cli, CliRun, linked_project, write_connectors

pytestmark = pytest.mark.cli

AUTH = "/api/apps/shop/external-auth"
SLACK = ["chat:write", "channels:read"]


def rows(run: CliRun) -> dict[str, str]:
    """What `push --json` did, by type."""
    return {row["type"]: row["action"] for row in run.json["results"]}


def saved(folder: Path) -> dict[str, Any]:
    """The connector files of a folder, by file name."""
    return {path.name: json.loads(path.read_text()) for path in folder.iterdir()}


# list-available


def test_cli_lists_every_integration_type(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    linked_project(tmp_path / "project", "shop")
    run = cli.run(tmp_path / "project", "connectors", "list-available", "--json")
    assert [row["integrationType"] for row in run.json["integrations"]] == list(emulator.state.integrations)


def test_cli_shows_the_connection_config_field_of_sharepoint(cli: Base44Cli, tmp_path: Path) -> None:
    run = cli.run(tmp_path, "connectors", "list-available", "--app-id", "shop", "--json")
    fields = {row["integrationType"]: row["connectionConfigFields"] for row in run.json["integrations"]}
    assert [(field["name"], field["required"]) for field in fields["share_point"]] == [("subdomain", True)]


# initiate


def test_cli_initiates_with_a_link_that_connects(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    arguments = ("connectors", "initiate", "--app-id", "shop", "--integration-type", "slackbot", "--scopes", *SLACK)
    first = cli.run(tmp_path, *arguments, "--json")
    assert first.json["redirectUrl"].startswith(f"{emulator.url}/connect/")
    emulator.consent("shop", "slackbot")
    assert cli.run(tmp_path, *arguments, "--json").json["alreadyAuthorized"] is True


def test_cli_initiates_in_a_linked_project(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    linked_project(tmp_path / "project", "shop")
    run = cli.run(tmp_path / "project", "connectors", "initiate", "--integration-type", "gmail")
    assert run.exit_code == 0
    assert f"{emulator.url}/connect/" in run.text


def test_cli_tells_the_server_s_words_for_an_unknown_type(cli: Base44Cli, tmp_path: Path) -> None:
    run = cli.run(tmp_path, "connectors", "initiate", "--app-id", "shop", "--integration-type", "myspace", "--json")
    assert (run.exit_code, run.json["statusCode"]) == (1, 400)
    assert "Unsupported integration type: myspace" in run.json["error"]


def test_cli_names_the_colleague_whose_connection_it_is(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.register("shop", "slackbot", SLACK, account="colleague@acme.example")
    arguments = ("--app-id", "shop", "--integration-type", "slackbot", "--scopes", *SLACK)
    run = cli.run(tmp_path, "connectors", "initiate", *arguments)
    assert "different_user (already authorized by colleague@acme.example)" in run.text


# push


def test_cli_push_asks_for_consent_and_is_synced_after_it(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    linked_project(tmp_path / "project", "shop", {"slackbot": SLACK})
    before = cli.run(tmp_path / "project", "connectors", "push", "--yes", "--json")
    emulator.consent("shop", "slackbot")
    after = cli.run(tmp_path / "project", "connectors", "push", "--yes", "--json")
    assert (rows(before), rows(after)) == ({"slackbot": "needs_oauth"}, {"slackbot": "synced"})


def test_cli_push_removes_what_has_no_file(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.register("shop", "notion")
    linked_project(tmp_path / "project", "shop")
    run = cli.run(tmp_path / "project", "connectors", "push", "--yes", "--json")
    assert rows(run) == {"notion": "removed"}
    assert emulator.app("shop").connections == {}


def test_cli_push_by_app_id_reads_the_connectors_folder(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.register("shop", "slackbot", SLACK)
    write_connectors(tmp_path / "connectors", {"slackbot": SLACK[::-1]})
    assert rows(cli.run(tmp_path, "connectors", "push", "--yes", "--app-id", "shop", "--json")) == {
        "slackbot": "synced"
    }


def test_cli_push_shows_a_fault_as_a_row_and_goes_on(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.register("shop", "slackbot", SLACK)
    emulator.fail("PUT", "/integrations/gmail$", status=400, message="No luck today")
    linked_project(tmp_path / "project", "shop", {"gmail": [], "slackbot": SLACK})
    run = cli.run(tmp_path / "project", "connectors", "push", "--yes", "--json")
    assert rows(run) == {"gmail": "error", "slackbot": "synced"}
    assert "No luck today" in run.stdout


def test_cli_tries_again_after_too_many_requests(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.fail("GET", "/list$", status=429, retry_after=0)
    run = cli.run(tmp_path, "connectors", "push", "--yes", "--app-id", "shop")
    assert run.exit_code == 0
    assert emulator.count("GET", "/list") == 2


def test_cli_is_refused_with_a_read_only_token(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    cli.sign_in(emulator.add_token(read_only=True))
    linked_project(tmp_path / "project", "shop", {"gmail": []})
    run = cli.run(tmp_path / "project", "connectors", "push", "--yes", "--json")
    assert rows(run) == {"gmail": "error"}
    assert "read-only" in run.stdout


def test_cli_is_refused_with_a_workspace_key(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    key = emulator.add_token("key")
    run = cli.run(tmp_path, "connectors", "pull", "--app-id", "shop", "--json", BASE44_API_KEY=key)
    assert (run.exit_code, run.json["statusCode"]) == (1, 403)


# Stripe


def test_cli_push_provisions_stripe_and_shows_the_claim_link(
    emulator: Emulator, cli: Base44Cli, tmp_path: Path
) -> None:
    linked_project(tmp_path / "project", "shop", {"stripe": []})
    run = cli.run(tmp_path / "project", "connectors", "push", "--yes", "--json")
    assert rows(run) == {"stripe": "provisioned"}
    assert run.json["results"][0]["claimUrl"].startswith(f"{emulator.url}/claim/")


def test_cli_push_leaves_installed_stripe_alone(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.install_stripe("shop", "live")
    linked_project(tmp_path / "project", "shop", {"stripe": []})
    assert rows(cli.run(tmp_path / "project", "connectors", "push", "--yes", "--json")) == {"stripe": "synced"}


def test_cli_push_removes_stripe_without_a_file(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.install_stripe("shop")
    assert rows(cli.run(tmp_path, "connectors", "push", "--yes", "--app-id", "shop", "--json")) == {"stripe": "removed"}
    assert emulator.app("shop").stripe.mode == ""


# pull


def test_cli_pull_writes_what_is_registered(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.register("shop", "slackbot", SLACK)
    emulator.register("shop", "notion", status="expired")
    emulator.install_stripe("shop")
    folder = linked_project(tmp_path / "project", "shop")
    cli.run(tmp_path / "project", "connectors", "pull")
    assert saved(folder) == {
        "notion.jsonc": {"type": "notion", "scopes": []},
        "slackbot.jsonc": {"type": "slackbot", "scopes": SLACK},
        "stripe.jsonc": {"type": "stripe", "scopes": []},
    }


def test_cli_pull_by_app_id_deletes_files_of_unlisted_types(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.register("shop", "slackbot", SLACK)
    write_connectors(tmp_path / "connectors", {"gmail": []})
    run = cli.run(tmp_path, "connectors", "pull", "--app-id", "shop", "--json")
    assert run.json["deleted"] == ["gmail"]
    assert list(saved(tmp_path / "connectors")) == ["slackbot.jsonc"]


def test_cli_push_after_pull_changes_nothing(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.register("shop", "slack", ["identify", "users:read"])
    emulator.register("shop", "gmail", ["https://www.googleapis.com/auth/gmail.send"])
    linked_project(tmp_path / "project", "shop")
    cli.run(tmp_path / "project", "connectors", "pull")
    run = cli.run(tmp_path / "project", "connectors", "push", "--yes", "--json")
    assert rows(run) == {"slack": "synced", "gmail": "synced"}


def test_cli_shows_a_gateway_page_as_the_error_that_it_is(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> None:
    emulator.fail("GET", "/list$", "html", status=502, times=None)
    run = cli.run(tmp_path, "connectors", "pull", "--app-id", "shop", "--json")
    assert (run.exit_code, run.json["statusCode"]) == (1, 502)
    assert "502 Bad Gateway" in run.json["error"]


# signing in


def test_cli_refreshes_its_login_and_the_old_refresh_token_is_spent(
    emulator: Emulator, cli: Base44Cli, tmp_path: Path
) -> None:
    access, refresh = emulator.state.open_session("admin@acme.example")
    cli.sign_in(access, refresh, expires_in=1)
    run = cli.run(tmp_path, "connectors", "pull", "--app-id", "shop")
    assert run.exit_code == 0
    assert emulator.count("POST", "/oauth/token") == 1
    assert json.loads(cli.login_file.read_text())["refreshToken"] not in ("", refresh)
    assert emulator.state.rotate(refresh) is None
