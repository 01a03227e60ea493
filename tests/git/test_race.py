"""Several processes and a colleague write to one branch at once: every change arrives, none twice, none is lost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.git.exporter import WORDS, Exporter, Orders
from tests.servers.git_http import GitServer
from tests.servers.git_repos import RepoMaker

PROCESSES, WORDS_EACH = 4, (3, 3, 2, 2)
COLLEAGUES_COMMITS = 8


@pytest.fixture
def repo(git_server: GitServer) -> RepoMaker:
    """A repository with an empty list of words."""
    made = git_server.make()
    made.commit({WORDS: "", "README.md": "# Words\n"}, "Begin")
    return made


def orders(server: GitServer, repo: RepoMaker, tmp_path: Path) -> list[Orders]:
    """Ten words for four processes, two of which share a cache, as two workers of one host do."""
    token = server.token.get_secret_value()
    return [
        Orders(str(tmp_path / f"cache-{number // 2}"), repo.url, token, [f"w{number}-{word}" for word in range(count)])
        for number, count in enumerate(WORDS_EACH)
    ]


def commit_at_the_same_time(repo: RepoMaker) -> None:
    """What a colleague does meanwhile: other files."""
    for number in range(COLLEAGUES_COMMITS):
        repo.commit_beside_others({f"docs/{number}.md": "text\n"}, f"Write page {number}", "Ana <ana@example.com>")


def test_ten_exports_of_four_processes_arrive_once_each_beside_a_colleagues_commits(
    git_server: GitServer, repo: RepoMaker, tmp_path: Path
) -> None:
    told = orders(git_server, repo, tmp_path)
    exporters = [Exporter(order) for order in told]
    colleague = threading.Thread(target=commit_at_the_same_time, args=(repo,))
    for exporter in exporters:
        exporter.start()
    colleague.start()
    for exporter in exporters:
        exporter.finish()
    colleague.join()
    words = sorted(word for order in told for word in order.words)
    pages = [f"Write page {number}" for number in range(COLLEAGUES_COMMITS)]
    assert sorted(entry.subject for entry in repo.log()) == sorted(
        ["Begin", *(f"Add {word}" for word in words), *pages]
    )
    assert sorted(repo.read(WORDS).decode().split()) == words
    repo.check()
