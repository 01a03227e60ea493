"""Exporting into a real repository: one commit on top of whatever is there, and nobody's change lost."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.core.errors import Refused
from connectors.core.git import Fault, GitError
from connectors.flows.declare import declare, undeclare
from connectors.flows.export_choices import Choices
from connectors.flows.export_outcome import Exported
from connectors.flows.repository_export import TRIES, export_repository
from connectors.flows.repository_export_plan import plan_repository_export
from connectors.models import Event, LedgerEntry, Placement, Project, Repository, RepositoryFile, RepositoryRun
from tests.factories import SHELL, make_connector, make_fleet, make_placement, make_project, make_repository
from tests.servers.git_http import GitServer
from tests.servers.git_repos import RepoMaker, symlink

pytestmark = pytest.mark.django_db

State = RepositoryRun.State
GMAIL = "apps/crm/base44/connectors/gmail.jsonc"
SLACK = "apps/crm/base44/connectors/slack.jsonc"
COMMENTED = '// the sales inbox\n{"type": "gmail", "scopes": ["a" /* read */]}\n'


@pytest.fixture
def repo(disk_repo: RepoMaker) -> RepoMaker:
    """A repository on this disk with one project's file."""
    disk_repo.commit({GMAIL: COMMENTED, "README.md": "# Apps\n"})
    return disk_repo


@pytest.fixture
def repository(db: None, repo: RepoMaker) -> Repository:
    """The same as the portal knows it."""
    return make_repository("Apps", url=repo.url)


@pytest.fixture
def crm(project: Project, repository: Repository) -> Placement:
    """The project's place; its file and the portal agree."""
    make_connector(project, "gmail", ["a"])
    return make_placement(project, repository, path="apps/crm")


def export(placement: Placement, choices: Choices | None = None, **values: object) -> Exported:
    repository = Repository.objects.get(pk=placement.repository_id)
    return export_repository(repository, SHELL, choices, pause=lambda _: None, **values)  # type: ignore[arg-type]


def change(placement: Placement, type_: str = "gmail", *scopes: str) -> None:
    """The portal's side changes."""
    declare(placement.project, type_, scopes, {}, SHELL)


def agreed(placement: Placement) -> dict[str, object]:
    return dict(placement.files.values_list("integration_type_id", "agreed"))


def interfering(act: Callable[[], object], times: int) -> Callable[[str], None]:
    """Somebody else who pushes after our commit is made and before it is pushed, so many times."""
    left = [times]

    def somebody(_: str) -> None:
        if left[0]:
            left[0] -= 1
            act()

    return somebody


def test_a_changed_file_is_edited_in_place_and_committed(repo: RepoMaker, crm: Placement) -> None:
    export(crm)
    change(crm, "gmail", "a", "b")
    done = export(crm, reason="For the newsletter.")
    assert repo.read(GMAIL).decode() == COMMENTED.replace("*/]", '*/, "b"]')
    newest = repo.log()[0]
    assert (done.state, done.commit) == (State.DONE, newest.oid)
    assert repo.changed(newest.oid) == [GMAIL]
    assert newest.author == "Connector portal <connector-portal@localhost>"
    assert newest.subject == f"Update connectors of {crm.project}: gmail.jsonc"
    assert "For the newsletter." in newest.body
    assert "Requested-by: tests" in newest.body


def test_what_agrees_makes_no_commit(repo: RepoMaker, crm: Placement) -> None:
    head = repo.head()
    assert export(crm).state == State.UNCHANGED
    assert repo.head() == head


def test_a_second_export_finds_nothing_to_do(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    assert export(crm).state == State.DONE
    assert export(crm).state == State.UNCHANGED
    assert len(repo.log()) == 2


def test_all_projects_of_the_repository_share_one_commit(repo: RepoMaker, crm: Placement) -> None:
    shop = make_placement(make_project("shop"), crm.repository, path="apps/shop")
    change(crm, "slack", "chat:write")
    change(shop, "notion", "read")
    export(crm)
    assert repo.changed(repo.head()) == [SLACK, "apps/shop/base44/connectors/notion.jsonc"]


def test_what_was_written_is_agreed_upon_and_counted(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    export(crm)
    crm.refresh_from_db()
    assert agreed(crm) == {"gmail": ["a"], "slack": ["chat:write"]}
    assert (crm.outgoing, crm.conflicts, crm.read_commit) == (0, 0, repo.head())


def test_a_change_made_while_it_was_pushed_is_not_lost(crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    export(crm, on_commit=lambda _: change(crm, "slack", "chat:write", "im:read"))
    crm.refresh_from_db()
    assert (agreed(crm)["slack"], crm.outgoing, crm.conflicts) == (["chat:write"], 1, 0)


def test_the_ledger_names_the_commit_and_its_author(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    export(crm)
    row = crm.project.connectors.get(integration_type="slack")
    assert (row.repository_scopes, row.repository_commit) == (["chat:write"], repo.head())
    assert row.repository_author.startswith("Connector portal")
    assert LedgerEntry.objects.get(connector=row).repository


def test_an_export_is_on_record_for_repository_and_project(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    export(crm)
    events = {event.verb: event for event in Event.objects.filter(verb__endswith=".exported")}
    assert events["repository.exported"].after["commit"] == repo.head()
    assert (events["project.exported"].project, events["project.exported"].after["files"]) == (crm.project, [SLACK])


def test_when_the_branch_moves_it_is_done_again_on_top(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    done = export(crm, on_commit=interfering(lambda: repo.commit({"README.md": secrets.token_hex()}), 3))
    assert (done.state, done.detail["attempts"]) == (State.DONE, 4)
    assert [entry.author.split()[0] for entry in repo.log()] == ["Connector", "Mira", "Mira", "Mira", "Mira"]


def test_a_file_that_changes_on_both_sides_meanwhile_is_a_conflict_and_not_overwritten(
    repo: RepoMaker, crm: Placement
) -> None:
    export(crm)
    change(crm, "gmail", "a", "b")
    theirs = COMMENTED.replace('["a"', '["a", "z"')
    done = export(crm, on_commit=interfering(lambda: repo.commit({GMAIL: theirs}), 1))
    assert done.state == State.PARTIAL
    assert done.detail["projects"][str(crm.project_id)]["conflicts"] == [GMAIL]
    assert repo.read(GMAIL).decode() == theirs


def test_a_conflict_in_one_project_does_not_stop_the_other(repo: RepoMaker, crm: Placement) -> None:
    export(crm)
    shop = make_placement(make_project("shop"), crm.repository, path="apps/shop")
    change(crm, "gmail", "ours")
    change(shop, "notion", "read")
    repo.commit({GMAIL: COMMENTED.replace('"a"', '"theirs"')})
    assert export(crm).state == State.PARTIAL
    assert repo.changed(repo.head()) == ["apps/shop/base44/connectors/notion.jsonc"]
    crm.refresh_from_db()
    assert crm.conflicts == 1


def test_the_portals_side_of_a_conflict_is_written_when_chosen(repo: RepoMaker, crm: Placement) -> None:
    export(crm)
    change(crm, "gmail", "ours")
    repo.commit({GMAIL: COMMENTED.replace('"a"', '"theirs"')})
    assert export(crm, Choices.of(ours={crm.project_id: ["gmail"]})).state == State.DONE
    assert repo.read(GMAIL).decode() == COMMENTED.replace('"a" /* read */', '"ours"')


def test_a_file_is_removed_when_ticked_and_then_forgotten(repo: RepoMaker, crm: Placement) -> None:
    export(crm)
    undeclare(crm.project.connectors.get(), SHELL)
    assert export(crm).state == State.UNCHANGED
    export(crm, Choices.of(removals={crm.project_id: ["gmail"]}))
    assert repo.paths() == ["README.md"]
    assert not RepositoryFile.objects.exists()


def test_a_branch_that_never_rests_is_given_up_for_now(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    with pytest.raises(GitError) as caught:
        export(crm, on_commit=lambda _: repo.commit({"README.md": secrets.token_hex()}) and None)
    assert (caught.value.fault, caught.value.permanent) == (Fault.MOVED, False)
    assert len(repo.log()) == 1 + TRIES
    assert Repository.objects.get().state == Repository.State.WORKING


def test_a_plan_that_was_shown_is_carried_out(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    export(crm, Choices.of([]))  # reads
    shown = plan_repository_export(crm.repository).fingerprint
    assert export(crm, fingerprint=shown).state == State.DONE


@pytest.mark.parametrize("side", ["portal", "repository"])
def test_another_plan_than_the_one_shown_is_refused(repo: RepoMaker, crm: Placement, side: str) -> None:
    export(crm)
    change(crm, "gmail", "a", "b")
    shown = plan_repository_export(crm.repository).fingerprint
    if side == "portal":
        change(crm, "gmail", "a", "c")
    else:
        repo.commit({GMAIL: f"// new\n{COMMENTED}"})
    head = repo.head()
    with pytest.raises(Refused, match="Nothing was written"):
        export(crm, fingerprint=shown)
    assert repo.head() == head


def test_another_file_of_the_repository_may_change_between_plan_and_export(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    export(crm, Choices.of([]))
    shown = plan_repository_export(crm.repository).fingerprint
    repo.commit({"README.md": "# New\n"})
    assert export(crm, fingerprint=shown).state == State.DONE


def test_an_empty_repository_gets_its_first_commit(tmp_path: Path, repo: RepoMaker, project: Project) -> None:
    empty = RepoMaker(tmp_path / "empty.git")
    placement = make_placement(project, make_repository(url=empty.url))
    change(placement, "slack", "chat:write")
    assert export(placement).state == State.DONE
    assert empty.paths() == ["base44/connectors/slack.jsonc"]
    placement.refresh_from_db()
    assert (placement.outgoing, placement.read_commit) == (0, empty.head())


def test_a_missing_branch_of_a_repository_with_others_is_not_begun(repo: RepoMaker, crm: Placement) -> None:
    Repository.objects.update(branch="release")
    with pytest.raises(GitError) as caught:
        export(crm)
    assert caught.value.fault == Fault.NO_BRANCH
    assert repo.branches() == ["main"]
    assert Repository.objects.get().state == Repository.State.FAILING


def test_a_push_that_the_host_forbids_is_stored_on_the_repository(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    repo.configure("receive.maxInputSize", "1")
    with pytest.raises(GitError):
        export(crm)
    stored = Repository.objects.get()
    assert stored.state == Repository.State.FAILING
    assert stored.problem
    assert not Event.objects.filter(verb="repository.exported").exists()


def test_a_template_makes_the_message(repo: RepoMaker, crm: Placement) -> None:
    Repository.objects.update(message_template="OPS-7: $summary", author_name="Config bot", author_email="b@acme.dev")
    change(crm, "slack", "chat:write")
    export(crm)
    assert repo.log()[0].subject == f"OPS-7: Add connectors of {crm.project}: slack.jsonc"
    assert repo.log()[0].author == "Config bot <b@acme.dev>"


def test_the_lock_file_is_committed_and_then_left_alone(repo: RepoMaker, crm: Placement) -> None:
    Placement.objects.update(writes_lock_file=True)
    assert export(crm).state == State.DONE
    assert "gmail" in json.loads(repo.read("apps/crm/base44/connectors.lock.json"))["connectors"]
    assert export(crm).state == State.UNCHANGED


def test_an_attempt_whose_worker_died_after_the_push_counts_as_done(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    pushed = export(crm).commit
    again = export(crm, earlier=pushed)
    assert (again.state, again.commit) == (State.DONE, pushed)
    assert len(repo.log()) == 2


def test_a_project_whose_folder_is_a_link_is_left_out(repo: RepoMaker, crm: Placement) -> None:
    shop = make_placement(make_project("shop"), crm.repository, path="apps/shop")
    repo.commit({"apps/shop/base44": symlink("../crm/base44")})
    change(crm, "slack", "chat:write")
    change(shop, "notion", "read")
    done = export(crm)
    assert (done.state, repo.changed(repo.head())) == (State.PARTIAL, [SLACK])
    assert done.detail["projects"][str(shop.project_id)]["problem"]


def test_the_time_of_the_commit_is_now(repo: RepoMaker, crm: Placement) -> None:
    change(crm, "slack", "chat:write")
    export(crm)
    committed = RepositoryFile.objects.get(integration_type="slack").committed_at
    assert committed is not None
    assert dt.datetime.now(dt.UTC) - committed < dt.timedelta(minutes=5)


@pytest.mark.usefixtures("git_settings")
def test_many_projects_cost_the_server_no_more_requests_than_few(git_server: GitServer, tmp_path: Path) -> None:
    def requests(projects: int) -> int:
        made = git_server.make(f"acme/apps-{projects}")
        fleet = make_fleet(projects, 2)
        text = '{"type": "type-0", "scopes": ["a:read"]}'
        made.commit({f"{project.slug}/base44/connectors/type-0.jsonc": text for project in fleet})
        repository = make_repository(url=made.url, token=git_server.token.get_secret_value())
        placements = [
            make_placement(project, repository, path=project.slug, writes_lock_file=True) for project in fleet
        ]
        git_server.count_anew()
        files = Choices.of(ours={project.pk: ["type-0"] for project in fleet})
        assert export(placements[0], files).state == State.DONE
        assert len(made.changed(made.head())) == 3 * projects
        return len(git_server.requests)

    assert requests(2) == requests(12)
