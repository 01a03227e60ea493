"""Ten exports of four processes and a colleague's commits go to one branch at once: each change arrives, once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.core.config_files import parse_connector
from connectors.flows.repository_read import read_repository
from connectors.models import Placement, Project, Repository
from tests.factories import SHELL, make_connector, make_placement, make_project, make_repository
from tests.servers.git_http import GitServer
from tests.servers.git_repos import RepoMaker
from tests.servers.worker import ROOT, portal_environment
from tests.workers.repository_exporter import SCOPES

pytestmark = pytest.mark.django_db(transaction=True)

PROJECTS, PROCESSES, PAGES = 10, 4, 8


def path_of(project: Project) -> str:
    return f"apps/{project.slug}/base44/connectors/gmail.jsonc"


@pytest.fixture
def projects(workspace: object) -> list[Project]:
    """Ten projects that ask for one scope."""
    made = [make_project(f"p{number}") for number in range(PROJECTS)]
    for project in made:
        make_connector(project, "gmail", SCOPES[:1])
    return made


@pytest.fixture
def repo(git_server: GitServer, projects: list[Project]) -> RepoMaker:
    """A repository in which each of them has a file that says the same."""
    made = git_server.make()
    text = json.dumps({"type": "gmail", "scopes": SCOPES[:1]})
    made.commit({path_of(project): f"// {project.name}\n{text}\n" for project in projects}, "Begin")
    return made


@pytest.fixture
def repository(git_settings: Any, git_server: GitServer, repo: RepoMaker, projects: list[Project]) -> Repository:
    """The same as the portal knows it, read once: both sides agree."""
    made = make_repository("Apps", url=repo.url, token=git_server.token.get_secret_value())
    for project in projects:
        make_placement(project, made, path=f"apps/{project.slug}")
    read_repository(made, SHELL)
    return made


@contextmanager
def exporter(cache: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process of `tests.workers.repository_exporter` that is ready, and ended at the end."""
    command = [sys.executable, "-m", "tests.workers.repository_exporter", *map(str, arguments)]
    environment = portal_environment() | {"GIT_CACHE_DIR": str(cache)}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.stderr and process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def result(process: subprocess.Popen[str]) -> list[str]:
    """How the exports of a process ended. Raises AssertionError with what it complained of."""
    told, complaint = process.communicate(timeout=180)
    assert process.returncode == 0, complaint
    states: list[str] = json.loads(told)
    return states


def write_pages(repo: RepoMaker) -> None:
    """What a colleague does meanwhile: other files."""
    for number in range(PAGES):
        repo.commit_beside_others({f"docs/{number}.md": "text\n"}, f"Write page {number}", "Ana <ana@example.com>")


def race(repository: Repository, repo: RepoMaker, projects: list[Project], folder: Path) -> list[str]:
    """All of them at once, two and two on a cache as on two hosts; how the exports ended."""
    colleague = threading.Thread(target=write_pages, args=(repo,))
    with ExitStack() as stack:
        running = []
        for number in range(PROCESSES):
            mine = [project.pk for project in projects[number::PROCESSES]]
            alone = ["--alone"] if number % 2 else []
            running.append(stack.enter_context(exporter(folder / f"host-{number // 2}", repository.pk, *mine, *alone)))
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        colleague.start()
        states = [state for process in running for state in result(process)]
    colleague.join()
    return states


def test_each_change_is_in_the_history_once_and_both_sides_agree_in_the_end(
    repository: Repository, repo: RepoMaker, projects: list[Project], tmp_path: Path
) -> None:
    states = race(repository, repo, projects, tmp_path)
    assert set(states) <= {"done", "unchanged"}  # unchanged: another process's export took the change along
    changed = [path for entry in repo.log()[:-1] for path in repo.changed(entry.oid)]
    assert sorted(changed) == sorted([*map(path_of, projects), *(f"docs/{number}.md" for number in range(PAGES))])
    for project in projects:
        raw = repo.read(path_of(project))
        assert parse_connector(raw, "gmail.jsonc").scopes == SCOPES
        assert raw.startswith(f"// {project.name}\n".encode())
    repo.check()
    assert set(Placement.objects.values_list("incoming", "outgoing", "conflicts")) == {(0, 0, 0)}
