"""What an export would write, what it leaves alone and why, by what was last read."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.core.config_files import locate_file, parse_connector, read_zip
from connectors.core.config_files.tree import Tree
from connectors.core.lock_file import LOCK_NAME
from connectors.flows.declare import declare
from connectors.flows.export_choices import Choices
from connectors.flows.export_terms import ProjectExport
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import plan_import
from connectors.flows.policies import recheck
from connectors.flows.repository_export_plan import plan_repository_export
from connectors.models import Placement, Project, Repository, RepositoryFile
from tests.factories import (
    SHELL,
    keep_ledger,
    make_connector,
    make_fleet,
    make_placement,
    make_repository,
    make_repository_file,
    make_rule,
)

pytestmark = pytest.mark.django_db

FOLDER = "apps/crm/base44/connectors"


@pytest.fixture
def placement(project: Project) -> Placement:
    """The project's place, read just now; nothing is in it."""
    return make_placement(project, path="apps/crm", read_at=timezone.now())


def plan(placement: Placement, choices: Choices | None = None, tree: Tree | None = None) -> ProjectExport:
    return plan_repository_export(placement.repository, choices, tree=tree).projects[0]


def read_file(placement: Placement, type_: str, scopes: Iterable[str] | None, **values: Any) -> RepositoryFile:
    """What the repository has now; `agreed` is what both had."""
    return make_repository_file(placement, type_, scopes, **values)


def tree_of(files: Mapping[str, str]) -> Tree:
    """A tree with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return read_zip(buffer.getvalue())


def kinds(found: ProjectExport) -> dict[str, str]:
    return {file.path.removeprefix(f"{FOLDER}/"): file.kind for file in found.files}


def test_what_the_portal_alone_changed_is_written_and_the_rest_is_left(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a", "b"])
    make_connector(placement.project, "slack", ["ours"])
    make_connector(placement.project, "notion", ["same"])
    make_connector(placement.project, "github", ["repo"])
    read_file(placement, "gmail", ["a"], agreed=["a"])
    read_file(placement, "slack", ["theirs"], agreed=["base"])
    read_file(placement, "notion", ["same"], agreed=["same"])
    found = plan(placement)
    assert kinds(found) == {"github.jsonc": "new", "gmail.jsonc": "edited"}
    assert [(left.path, left.is_conflict, left.tick) for left in found.left] == [
        (f"{FOLDER}/slack.jsonc", True, "ours")
    ]


def test_a_file_is_changed_in_place(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a", "b"])
    raw = b'// the inbox\n{"type": "gmail", "scopes": ["a" /* read */]}'
    read_file(placement, "gmail", ["a"], agreed=["a"], raw=raw, name=f"{FOLDER}/mail.json")
    (file,) = plan(placement).files
    assert file.path == f"{FOLDER}/mail.json"
    assert file.change.after == b'// the inbox\n{"type": "gmail", "scopes": ["a" /* read */, "b"]}'
    assert f"--- a/{FOLDER}/mail.json" in file.diff


def test_a_connector_that_was_imported_comes_back_with_its_comments(placement: Placement) -> None:
    raw = b"// ours\n{type: 'gmail', scopes: ['a']}"
    apply_import(plan_import(placement.project, locate_file("mail.jsonc", raw)), SHELL)
    (file,) = plan(placement).files
    assert (file.path, file.change.after) == (f"{FOLDER}/mail.jsonc", raw)


def test_a_file_is_removed_only_when_that_was_ticked(placement: Placement) -> None:
    read_file(placement, "gmail", ["a"], agreed=["a"])
    (left,) = plan(placement).left
    assert (left.tick, left.is_conflict) == ("removals", False)
    ticked = plan(placement, Choices.of(removals={placement.project_id: ["gmail"]}))
    assert (kinds(ticked), ticked.left) == ({"gmail.jsonc": "removed"}, ())


def test_a_conflict_is_written_when_somebody_chose_the_portals(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["ours"])
    read_file(placement, "gmail", ["theirs"], agreed=["base"])
    (file,) = plan(placement, Choices.of(ours={placement.project_id: ["gmail"]})).files
    assert (file.added, file.removed) == (("ours",), ("theirs",))


@pytest.mark.parametrize(
    ("portal", "repository", "agreed", "says"),
    [
        (["ours"], ["theirs"], ["base"], "on both sides"),
        (["ours"], ["theirs"], None, "nothing tells"),
        (None, ["theirs"], ["base"], "portal no longer asks"),
        (["ours"], None, ["base"], "repository removed it"),
    ],
)
def test_a_conflict_says_how_it_came_about(
    placement: Placement,
    portal: list[str] | None,
    repository: list[str] | None,
    agreed: list[str] | None,
    says: str,
) -> None:
    if portal is not None:
        make_connector(placement.project, "gmail", portal)
    read_file(placement, "gmail", repository, agreed=agreed)
    (left,) = plan(placement).left
    assert says in left.reason


def test_what_the_repository_changed_waits_for_an_import(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    read_file(placement, "gmail", ["a", "b"], agreed=["a"])
    found = plan(placement)
    assert found.files == ()
    assert "changed in the repository" in found.left[0].reason


def test_the_portals_state_is_put_back_where_the_team_wants_that(placement: Placement) -> None:
    Repository.objects.update(on_drift=Repository.OnDrift.EXPORT)
    placement.refresh_from_db()
    make_connector(placement.project, "gmail", ["a"])
    make_connector(placement.project, "slack", ["s"])
    read_file(placement, "gmail", ["a", "b"], agreed=["a"])
    read_file(placement, "slack", None, agreed=["s"])
    read_file(placement, "notion", ["new"])
    found = plan(placement)
    assert kinds(found) == {"gmail.jsonc": "edited", "slack.jsonc": "new"}
    assert [left.difference.type for left in found.left] == ["notion"]


def test_it_is_not_put_back_where_the_project_imports_by_itself(placement: Placement) -> None:
    Repository.objects.update(on_drift=Repository.OnDrift.EXPORT)
    Placement.objects.update(auto_import=True)
    placement.refresh_from_db()
    make_connector(placement.project, "gmail", ["a"])
    read_file(placement, "gmail", ["a", "b"], agreed=["a"])
    assert plan(placement).files == ()


def test_a_project_with_a_broken_file_is_left_out_and_the_others_go_on(placement: Placement) -> None:
    broken = {"path": f"{FOLDER}/x.jsonc", "message": "expected a comma", "line": 2, "kind": "file"}
    Placement.objects.update(problems=[broken])
    other = make_placement(repository=placement.repository, path="apps/shop")
    for project in (placement.project, other.project):
        make_connector(project, "gmail", ["a"])
    first, second = plan_repository_export(placement.repository).projects
    assert (first.files, first.problem) == ((), f"{FOLDER}/x.jsonc:2: expected a comma")
    assert len(second.files) == 1


def test_a_file_that_cannot_be_edited_is_its_projects_problem(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a", "b"])
    read_file(placement, "gmail", ["a"], agreed=["a"], raw=b'// \xff\n{"type": "gmail", "scopes": ["a"]}')
    found = plan(placement)
    assert found.files == ()
    assert "cannot be edited" in found.problem


def test_a_first_export_begins_the_projects_directory(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    found = plan(placement)
    assert (found.directory, found.is_new, kinds(found)) == (FOLDER, True, {"gmail.jsonc": "new"})


def test_a_project_says_itself_where_its_directory_is_to_be(placement: Placement) -> None:
    Project.objects.update(connectors_dir="config/connectors")
    make_connector(placement.project, "gmail", ["a"])
    assert plan(placement).directory == "apps/crm/config/connectors"


def test_a_place_that_was_never_read_says_so(placement: Placement) -> None:
    Placement.objects.update(read_at=None)
    assert plan(placement).is_unread


def test_a_new_file_does_not_take_the_name_of_another_types_file_in_any_case(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    make_connector(placement.project, "slack", ["s"])
    read_file(placement, "slack", ["s"], agreed=["s"], name=f"{FOLDER}/GMAIL.jsonc")
    assert kinds(plan(placement)) == {"gmail.connector.jsonc": "new"}


@pytest.mark.parametrize("occupied", [f"{FOLDER}/Gmail.jsonc/x.txt", "apps/crm/base44"])
def test_a_new_file_does_not_take_the_place_of_anything_else(placement: Placement, occupied: str) -> None:
    make_connector(placement.project, "gmail", ["a"])
    found = plan(placement, tree=tree_of({occupied: ""}))
    assert found.files == ()
    assert "written" in found.problem


def test_of_two_projects_that_would_write_one_file_the_second_is_left_out(placement: Placement) -> None:
    other = make_placement(repository=placement.repository, path="apps", connectors_dir=FOLDER)
    make_connector(placement.project, "gmail", ["a"])
    make_connector(other.project, "gmail", ["b"])
    found = plan_repository_export(placement.repository).projects
    assert [len(one.files) for one in found] == [1, 0]
    assert "writes this file too" in found[1].problem


def test_only_the_chosen_projects_are_planned(placement: Placement) -> None:
    other = make_placement(repository=placement.repository, path="apps/shop")
    (found,) = plan_repository_export(placement.repository, Choices.of([other.project_id])).projects
    assert found.project == other.project


def test_the_lock_file_is_written_beside_the_directory(placement: Placement) -> None:
    Placement.objects.update(writes_lock_file=True)
    make_connector(placement.project, "gmail", ["a"])
    *_, lock = plan(placement, tree=tree_of({})).files
    assert (lock.path, lock.kind, lock.type) == (f"apps/crm/base44/{LOCK_NAME}", "new", "")


def test_a_lock_file_that_says_the_same_is_left_as_it_is(placement: Placement) -> None:
    Placement.objects.update(writes_lock_file=True)
    make_connector(placement.project, "gmail", ["a"])
    *_, lock = plan(placement, tree=tree_of({})).files
    there = tree_of({lock.path: (lock.change.after or b"").decode()})
    assert [file.type for file in plan(placement, tree=there).files] == ["gmail"]


def test_each_file_says_who_changed_it_in_the_portal_and_when(placement: Placement) -> None:
    declare(placement.project, "gmail", ["a"], {}, SHELL)
    (file,) = plan(placement).files
    assert file.why.startswith("declared in the portal by tests, 20")
    assert file.why.endswith(" UTC")


def test_the_newest_change_counts_also_when_it_took_something_away(placement: Placement) -> None:
    declare(placement.project, "gmail", ["a", "b"], {}, SHELL)
    declare(placement.project, "gmail", ["a"], {}, SHELL)
    assert plan(placement).files[0].why.startswith("changed in the portal by tests")


def test_what_the_policies_say_stands_beside_the_plan(placement: Placement) -> None:
    make_rule("No mail", types=["gmail"])
    keep_ledger(make_connector(placement.project, "gmail", ["a"]))
    recheck([placement.project_id])
    (finding,) = plan_repository_export(placement.repository).findings
    assert (finding.rule, finding.type, finding.project) == ("No mail", "gmail", placement.project.name)


def test_the_fingerprint_follows_what_is_there_and_what_would_be(placement: Placement) -> None:
    connector = make_connector(placement.project, "gmail", ["a", "b"])
    file = read_file(placement, "gmail", ["a"], agreed=["a"])
    first = plan_repository_export(placement.repository).fingerprint
    assert plan_repository_export(placement.repository).fingerprint == first
    RepositoryFile.objects.filter(pk=file.pk).update(raw=b"// new\n" + bytes(file.raw))
    second = plan_repository_export(placement.repository).fingerprint
    connector.scopes = ["a", "c"]
    connector.save()
    assert len({first, second, plan_repository_export(placement.repository).fingerprint}) == 3


def test_the_fingerprint_does_not_follow_the_lock_file(placement: Placement) -> None:
    Placement.objects.update(writes_lock_file=True)
    make_connector(placement.project, "gmail", ["a"])
    shown, made = (plan_repository_export(placement.repository, tree=tree) for tree in (None, tree_of({})))
    assert shown.fingerprint == made.fingerprint


def test_many_projects_cost_no_more_queries_than_few() -> None:
    def queries(projects: int) -> int:
        repository = make_repository()
        for project in make_fleet(projects, 2):
            make_placement(project, repository, path=project.slug, read_at=timezone.now())
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert len(plan_repository_export(repository).files) == 2 * projects
        return len(captured)

    assert queries(2) == queries(20)


Side = list[str] | None
SIDES: list[Side] = [None, [], ["a"], ["b"], ["a", "b"]]


@pytest.fixture
def every_case(placement: Placement) -> Mapping[str, tuple[Side, ...]]:
    """A connector for each way in which portal, file and what both last had can differ: (agreed, portal, file)."""
    cases = {f"t{number}": case for number, case in enumerate(itertools.product(SIDES, SIDES, SIDES))}
    for type_, (agreed, portal, file) in cases.items():
        if portal is not None:
            make_connector(placement.project, type_, portal)
        if file is not None or agreed is not None:
            read_file(placement, type_, file, agreed=agreed)
    return cases


def test_in_no_case_is_anything_overwritten_or_removed_that_the_repository_changed(
    placement: Placement, every_case: Mapping[str, tuple[Side, ...]]
) -> None:
    found = plan(placement)
    assert {file.type for file in found.files} == {
        type_
        for type_, (agreed, portal, file) in every_case.items()
        if portal is not None and file == agreed and portal != file
    }


def test_in_every_case_a_written_file_says_what_the_portal_does(
    placement: Placement, every_case: Mapping[str, tuple[Side, ...]]
) -> None:
    everything = Choices.of(ours={placement.project_id: every_case}, removals={placement.project_id: every_case})
    found = plan(placement, everything)
    said = {file.type: file.change.after and parse_connector(file.change.after, "x").scopes for file in found.files}
    differing = {type_: portal for type_, (_, portal, file) in every_case.items() if portal != file}
    assert found.left == ()
    assert {type_: None if scopes is None else set(scopes) for type_, scopes in said.items()} == {
        type_: None if portal is None else set(portal) for type_, portal in differing.items()
    }


def test_whatever_differs_is_either_written_or_named(
    placement: Placement, every_case: Mapping[str, tuple[Side, ...]]
) -> None:
    found = plan(placement)
    told = [file.type for file in found.files] + [left.difference.type for left in found.left]
    assert sorted(told) == sorted(type_ for type_, (_, portal, file) in every_case.items() if portal != file)


def test_choices_survive_their_way_through_a_row() -> None:
    choices = Choices.of([3, 1], removals={1: ["gmail"]}, ours={3: ["slack", "notion"]}, starts_over=True)
    assert Choices.from_json(choices.as_json()) == choices
    assert (Choices().as_json(), Choices.from_json({})) == ({}, Choices())
    assert Choices.from_json(Choices.of([]).as_json()).projects == frozenset()
