"""The workflow files that the portal hands out, run as a runner would: in a checkout, against a portal that answers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from django.core.cache import cache
from pytest_django.live_server_helper import LiveServer

from connectors.core.ci_files import SECRET, Place, github_workflow, gitlab_job, shell_script
from connectors.flows.repositories import make_check_token
from connectors.models import Connector
from tests import needs
from tests.factories import SHELL, make_connector, make_placement, make_project, make_repository
from tests.servers.git_repos import RepoMaker, clean_environment

SLACK = '{"type": "slack", "scopes": ["a"]}'
PLACES = [Place("apps/my shop"), Place("lib/connectors", "lib/connectors")]
SYSTEMS = ["github", "gitlab", "shell"]


def script_for(system: str, url: str) -> str:
    """What the runner of a system executes."""
    address = f"{url}/api/check/"
    if system == "github":
        steps = yaml.safe_load(github_workflow(address, "main", PLACES))["jobs"]["connectors"]["steps"]
        return str(steps[-1]["run"])
    if system == "gitlab":
        return "\n".join(yaml.safe_load(gitlab_job(address, "main", PLACES))["connectors"]["script"])
    return shell_script(address, PLACES)


class Runner:
    """A checkout, and a shell in it whose curl writes down what stands on its command line."""

    def __init__(self, folder: Path, url: str, token: str) -> None:
        self.repo = RepoMaker(folder / "shop.git")
        self.repo.commit(
            {f"{place}/slack.jsonc": SLACK for place in ("apps/my shop/base44/connectors", "lib/connectors")}
        )
        self._folder, self._url, self._token = folder, url, token
        self.command_lines = folder / "command-lines"
        shim = folder / "bin" / "curl"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\necho "$@" >> "{self.command_lines}"\nexec {shutil.which("curl")} "$@"\n')
        shim.chmod(0o755)

    def run(self, system: str, *, token: str | None = None) -> subprocess.CompletedProcess[str]:
        checkout = self._folder / f"checkout-{system}"
        environment = clean_environment() | {
            "PATH": f"{self._folder / 'bin'}:{os.environ['PATH']}",
            SECRET: self._token if token is None else token,
        }
        clone = ["git", "clone", "-q", "--depth=1", self.repo.url, str(checkout)]
        subprocess.run(clone, check=True, env=environment)
        script = script_for(system, self._url)
        return subprocess.run(
            ["bash", "-e", "-c", script], cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def runner(live_server: LiveServer, tmp_path: Path) -> Runner:
    """A checkout that agrees with the portal, and the token of its repository."""
    if shutil.which("curl") is None:
        needs.require("curl", "curl was not found")
    cache.clear()
    repository = make_repository("Shops")
    for place in PLACES:
        project = make_project()
        make_connector(project, "slack", ["a"], registered=["a"], sync_state=Connector.SyncState.IN_SYNC)
        make_placement(project, repository, place.path)
    return Runner(tmp_path, live_server.url, make_check_token(repository, SHELL).get_secret_value())


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_build_that_agrees_passes(runner: Runner, system: str) -> None:
    done = runner.run(system)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"Shops at {runner.repo.head()}: nothing differs."


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_build_that_differs_fails_and_says_where(runner: Runner, system: str) -> None:
    runner.repo.commit({"apps/my shop/base44/connectors/slack.jsonc": SLACK.replace("a", "b", 1)})
    Connector.objects.update(scopes=["a", "c"])
    done = runner.run(system)
    assert done.returncode != 0
    assert "The file lacks c" in done.stdout
    assert ("::error file=lib/connectors/slack.jsonc,line=1" in done.stdout) == (system == "github")


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_build_without_the_right_token_fails_in_words(runner: Runner, system: str) -> None:
    done = runner.run(system, token="")
    assert done.returncode != 0
    assert "The check token is missing" in done.stdout


def test_a_folder_that_is_gone_fails_in_gits_words(runner: Runner) -> None:
    runner.repo.commit({"lib/connectors/slack.jsonc": None})
    done = runner.run("shell")
    assert done.returncode != 0
    assert "'lib/connectors*' did not match any files" in done.stderr


def test_the_token_is_on_no_command_line(runner: Runner) -> None:
    runner.run("github")
    lines = runner.command_lines.read_text()
    assert "--data-binary" in lines
    assert "portal_check_" not in lines
