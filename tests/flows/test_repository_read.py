"""Reading a repository: what its files say is stored with who said it, and nothing is mistaken for a removal."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.core.git import GitError
from connectors.core.git.history import GENERATIONS
from connectors.flows.declare import declare, undeclare
from connectors.flows.history_words import cause_words
from connectors.flows.repository_compare import differences
from connectors.flows.repository_read import Reading, read_repository
from connectors.flows.repository_state import LONGEST_WAIT
from connectors.models import Connector, Placement, Project, Repository, RepositoryFile, ScopePeriod
from tests.factories import SHELL, make_connector, make_fleet, make_placement, make_project, make_repository
from tests.servers.git_http import GitServer
from tests.servers.git_repos import RepoMaker, symlink

pytestmark = pytest.mark.django_db

ADA = "Ada Byron <ada@example.com>"
GMAIL, SLACK = "apps/crm/base44/connectors/gmail.jsonc", "apps/crm/base44/connectors/slack.jsonc"


def text(type_: str, *scopes: str) -> str:
    return json.dumps({"type": type_, "scopes": scopes})


@pytest.fixture
def repo(tmp_path: Path, git_settings: Any) -> RepoMaker:
    """A repository on disk with one connector file for the project."""
    git_settings.GIT_ALLOW_FILE_URLS = True
    made = RepoMaker(tmp_path / "shop.git")
    made.commit({GMAIL: text("gmail", "a"), "readme.md": "hello"})
    return made


@pytest.fixture
def placement(repo: RepoMaker, project: Project) -> Placement:
    """The project's place in it, not read yet."""
    return make_placement(project, make_repository(url=repo.url), "apps/crm")


def read(placement: Placement, now: dt.datetime | None = None) -> Reading:
    """Reads its repository as a worker would, from rows fresh from the database."""
    reading = read_repository(Repository.objects.get(pk=placement.repository_id), SHELL, now)
    placement.refresh_from_db()
    return reading


def scopes_of(placement: Placement) -> dict[str, list[str] | None]:
    return dict(placement.files.values_list("integration_type_id", "scopes"))


def changes_of(placement: Placement) -> dict[str, str]:
    return {item.type: item.change.value for item in differences([placement])[placement.pk]}


def test_a_file_is_stored_byte_for_byte_with_the_commit_and_author_that_wrote_it(
    repo: RepoMaker, placement: Placement
) -> None:
    commit = repo.commit({SLACK: "// ours\r\n{type: 'slack', scopes: ['x']}"}, author=ADA)
    repo.commit({"readme.md": "more"})
    read(placement)
    file = placement.files.get(integration_type="slack")
    assert (file.name, bytes(file.raw)) == (SLACK, b"// ours\r\n{type: 'slack', scopes: ['x']}")
    assert (file.scopes, file.commit, file.author, file.is_exact) == (["x"], commit, ADA, True)


def test_nobody_is_named_for_a_file_that_was_changed_before_the_commits_that_are_looked_at(
    repo: RepoMaker, placement: Placement
) -> None:
    connector = make_connector(placement.project, "gmail", ["a"])
    for number in range(GENERATIONS):
        repo.commit({"readme.md": str(number)}, author=ADA)
    read(placement)
    connector.refresh_from_db()
    file = placement.files.get()
    assert (file.commit, file.author, file.is_exact) == (repo.head(), "", False)
    assert connector.repository_author == ""
    assert ScopePeriod.objects.get(side="repository", scope="a").begun_by == placement.repository.name


def test_a_reading_tells_how_files_and_portal_differ(repo: RepoMaker, placement: Placement) -> None:
    make_connector(placement.project, "notion", ["n"])
    reading = read(placement)
    assert reading.changes == {"incoming": 1, "outgoing": 1, "conflict": 0}
    assert (placement.incoming, placement.outgoing, placement.conflicts) == (1, 1, 0)


def test_what_both_sides_have_is_remembered_as_agreed(repo: RepoMaker, placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    read(placement)
    repo.commit({GMAIL: text("gmail", "a", "b")})
    read(placement)
    assert changes_of(placement) == {"gmail": "incoming"}
    assert placement.files.get().agreed == ["a"]


def test_reading_a_commit_again_follows_what_the_portal_changed_meanwhile(placement: Placement) -> None:
    read(placement)
    declare(placement.project, "gmail", ["a"], {}, SHELL)
    reading = read(placement)
    assert (reading.moved, placement.incoming, placement.files.get().agreed) == (False, 0, ["a"])


def test_a_reading_notes_where_the_branch_is_and_when_it_is_due_again(repo: RepoMaker, placement: Placement) -> None:
    now = timezone.now()
    assert read(placement, now).moved
    row = placement.repository
    row.refresh_from_db()
    assert (row.state, row.head, row.read_at) == ("working", repo.head(), now)
    assert row.next_read_at == now + dt.timedelta(minutes=row.read_minutes)


# Removed, moved, broken


def test_a_removed_file_is_incoming_as_a_removal_with_who_removed_it(repo: RepoMaker, placement: Placement) -> None:
    repo.commit({SLACK: text("slack", "x")})
    make_connector(placement.project, "slack", ["x"])
    read(placement)
    commit = repo.commit({SLACK: None}, author=ADA)
    read(placement)
    file = placement.files.get(integration_type="slack")
    assert (file.scopes, file.commit, file.author) == (None, commit, ADA)
    assert changes_of(placement)["slack"] == "incoming"


def test_a_type_that_neither_side_has_any_more_is_forgotten(repo: RepoMaker, placement: Placement) -> None:
    repo.commit({SLACK: text("slack", "x")})
    read(placement)
    repo.commit({SLACK: None})
    read(placement)
    assert scopes_of(placement) == {"gmail": ["a"]}


def test_a_file_that_was_renamed_keeps_its_type_and_gets_its_new_name(repo: RepoMaker, placement: Placement) -> None:
    read(placement)
    repo.commit({GMAIL: None, "apps/crm/base44/connectors/mail.json": text("gmail", "a")})
    read(placement)
    file = placement.files.get()
    assert (file.name, file.scopes) == ("apps/crm/base44/connectors/mail.json", ["a"])


@pytest.mark.parametrize("left", [{}, {"apps/crm/base44/config.jsonc": "{}"}], ids=["project gone", "files gone"])
def test_a_folder_that_vanished_takes_no_connector_away(
    repo: RepoMaker, placement: Placement, left: dict[str, str]
) -> None:
    make_connector(placement.project, "gmail", ["a"])
    read(placement)
    repo.commit({GMAIL: None, "apps/new/base44/connectors/gmail.jsonc": text("gmail", "a"), **left})
    read(placement)
    assert (scopes_of(placement), changes_of(placement)) == ({"gmail": ["a"]}, {"gmail": "same"})
    assert "gone" in placement.problems[0]["message"]


def test_a_vanished_folder_is_no_problem_any_more_once_the_portal_asks_for_nothing_in_it(
    repo: RepoMaker, placement: Placement
) -> None:
    row = make_connector(placement.project, "gmail", ["a"])
    read(placement)
    repo.commit({GMAIL: None})
    read(placement)
    undeclare(row, SHELL)
    read(placement)
    assert (scopes_of(placement), placement.problems) == ({}, [])


def test_a_project_whose_first_file_is_still_to_be_written_has_no_problem(
    repo: RepoMaker, placement: Placement
) -> None:
    other = make_placement(make_project("new"), placement.repository, "apps/new")
    make_connector(other.project, "gmail", ["a"])
    read(other)
    assert (other.problems, other.outgoing) == ([], 1)


def test_a_broken_file_is_told_with_its_place_and_the_good_ones_are_still_compared(
    repo: RepoMaker, placement: Placement
) -> None:
    read(placement)
    repo.commit({SLACK: '{\n  "type": slack\n}', GMAIL: text("gmail", "a", "b")})
    read(placement)
    assert [(row["path"], row["line"]) for row in placement.problems] == [(SLACK, 2)]
    assert scopes_of(placement) == {"gmail": ["a", "b"]}


def test_while_a_file_is_broken_no_other_counts_as_removed(repo: RepoMaker, placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    read(placement)
    repo.commit({GMAIL: None, SLACK: "{"})
    read(placement)
    assert scopes_of(placement) == {"gmail": ["a"]}


def test_a_problem_goes_with_the_commit_that_puts_it_right(repo: RepoMaker, placement: Placement) -> None:
    repo.commit({SLACK: "{"})
    read(placement)
    repo.commit({SLACK: text("slack", "x")})
    read(placement)
    assert placement.problems == []


def test_files_of_another_app_are_told(repo: RepoMaker, placement: Placement) -> None:
    repo.commit({"apps/crm/base44/.app.jsonc": '{"id": "app-other"}'})
    read(placement)
    assert [(row["kind"], "app-other" in row["message"]) for row in placement.problems] == [("app", True)]


HOSTILE = {
    "broken config": ({"apps/crm/base44/config.jsonc": "{"}, "config.jsonc"),
    "leaves the project": ({"apps/crm/base44/config.jsonc": '{connectorsDir: "../../../../etc"}'}, "leaves"),
    "link": ({SLACK: symlink("/etc/passwd")}, "symbolic link"),
    "folder is a link": ({GMAIL: None, "apps/crm/base44/connectors": symlink("../../x")}, ""),
    "two of a type": ({SLACK: text("gmail")}, "declares the type"),
    "type too long": ({SLACK: text("a" * 101)}, "longer than 100"),
    "name too long": ({f"apps/crm/base44/connectors/{'a' * 480}.jsonc": text("slack")}, "longer than 500"),
    "too many scopes": ({SLACK: text("slack", *map(str, range(2_001)))}, "more than 2,000"),
    "too many files": (
        {f"apps/crm/base44/connectors/x{number}.jsonc": text(f"x{number}") for number in range(501)},
        "more than 500 connector files",
    ),
    "deep": ({"apps/crm/base44/config.jsonc": json.dumps({"connectorsDir": "a/" * 200})}, "not a path"),
    "half a character": ({"apps/crm/base44/config.jsonc": '{"connectorsDir": "\\ud800"}'}, ""),
}


@pytest.mark.parametrize(("files", "words"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_hostile_in_one_project_is_told_and_hurts_no_other(
    repo: RepoMaker, placement: Placement, files: dict[str, str], words: str
) -> None:
    other = make_placement(make_project("shop"), placement.repository, "apps/shop")
    repo.commit({**files, "apps/shop/base44/connectors/slack.jsonc": text("slack", "x")})
    read(placement)
    other.refresh_from_db()
    assert any(words in row["message"] or words in row["path"] for row in placement.problems) or not words
    assert (scopes_of(other), other.problems) == ({"slack": ["x"]}, [])


# Who said so


def test_the_ledger_follows_with_commit_and_author(repo: RepoMaker, placement: Placement) -> None:
    connector = make_connector(placement.project, "gmail", ["a"])
    read(placement)
    commit = repo.commit({GMAIL: text("gmail", "a", "b")}, author=ADA)
    read(placement)
    connector.refresh_from_db()
    assert (connector.repository_scopes, connector.repository_commit, connector.repository_author) == (
        ["a", "b"],
        commit,
        ADA,
    )
    period = ScopePeriod.objects.get(side="repository", scope="b")
    assert (cause_words(period.begun_through), period.begun_by) == ("Found in the repository", ADA)


def test_that_a_connector_has_no_file_is_known_after_a_reading(placement: Placement) -> None:
    connector = make_connector(placement.project, "notion", ["n"])
    read(placement)
    connector.refresh_from_db()
    assert (connector.repository_scopes, connector.repository_read_at is None) == (None, False)


def test_a_type_that_only_the_repository_has_makes_no_connector(placement: Placement) -> None:
    read(placement)
    assert not Connector.objects.exists()


def test_a_reading_that_finds_nothing_new_leaves_the_history_alone(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    read(placement)
    before = ScopePeriod.objects.count()
    read(placement)
    assert ScopePeriod.objects.count() == before


def test_what_a_project_imports_by_itself_is_imported_after_a_reading(repo: RepoMaker, placement: Placement) -> None:
    placement.auto_import = True
    placement.save()
    read(placement)
    assert list(placement.project.connectors.declared().values_list("scopes", flat=True)) == [["a"]]
    assert placement.incoming == 0


# Failing


def test_a_branch_that_is_not_there_makes_the_repository_fail_at_once_in_words(placement: Placement) -> None:
    Repository.objects.update(branch="none")
    now = timezone.now()
    with pytest.raises(GitError):
        read(placement, now)
    row = Repository.objects.get()
    assert (row.state, row.failures, row.failing_since) == ("failing", 1, now)
    assert "branch" in row.problem


def test_what_was_read_before_stays_while_a_repository_fails(repo: RepoMaker, placement: Placement) -> None:
    read(placement)
    Repository.objects.update(branch="none")
    with pytest.raises(GitError):
        read(placement)
    assert scopes_of(placement) == {"gmail": ["a"]}


def test_a_repository_works_again_after_a_reading_that_succeeds(placement: Placement) -> None:
    Repository.objects.update(branch="none")
    with pytest.raises(GitError):
        read(placement)
    Repository.objects.update(branch="main")
    read(placement)
    row = Repository.objects.get()
    assert (row.state, row.problem, row.failures, row.failing_since) == ("working", "", 0, None)


# Many


def fleet(repo: RepoMaker, projects: int, connectors: int = 2, branch: str = "main", **values: Any) -> Placement:
    """The first of the places of so many projects on the branch; each has a connector that differs from its file."""
    repository = make_repository(url=repo.url, branch=branch, **values)
    made = make_fleet(projects, connectors)
    places = [make_placement(project, repository, f"apps/{project.slug}") for project in made]
    types = [f"type-{number}" for number in range(connectors)]
    files = {f"{place.path}/base44/connectors/{type_}.jsonc": text(type_, "new") for place in places for type_ in types}
    repo.commit(files, branch=branch)
    return places[0]


def statements(placement: Placement) -> list[str]:
    """What is asked of the database; rows are written in batches, whose number is the database's own affair."""
    with CaptureQueriesContext(connection) as captured:
        read(placement)
    asked = [query["sql"] for query in captured if not query["sql"].startswith("INSERT")]
    return [" ".join(sql.split()[:3]).partition("_x")[0] for sql in asked]


def test_the_number_of_queries_does_not_grow_with_the_projects(repo: RepoMaker) -> None:
    few, many = fleet(repo, 3), fleet(repo, 60, branch="many")
    asked = statements(many)
    assert (statements(few), len(asked)) == (asked, 30)


def test_the_number_of_visits_to_the_server_does_not_grow_with_the_projects(
    git_server: GitServer, git_settings: Any
) -> None:
    visits = []
    for number in (3, 30):
        place = fleet(git_server.make(f"acme/{number}"), number, token=git_server.token.get_secret_value())
        git_server.count_anew()
        read(place)
        visits.append([line.partition("git/")[2] for line in git_server.requests])
    assert visits[0] == visits[1]


def test_two_hundred_projects_are_read_whole(repo: RepoMaker) -> None:
    place = fleet(repo, 200, connectors=1)
    assert read(place).changes["conflict"] == 200
    assert RepositoryFile.objects.exclude(commit=repo.head()).count() == 0


def test_waits_grow_up_to_a_bound_while_a_repository_fails(placement: Placement) -> None:
    Repository.objects.update(branch="none", failures=30)
    now = timezone.now()
    with pytest.raises(GitError):
        read(placement, now)
    assert Repository.objects.get().next_read_at == now + LONGEST_WAIT
