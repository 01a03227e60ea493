"""Importing from a repository: what was changed there alone is taken over, by a person or by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.utils import timezone

from connectors.core.errors import Refused
from connectors.core.policy import PolicyRefused
from connectors.core.pull import ChangeKind
from connectors.flows.declare import declare
from connectors.flows.repository_compare import count, differences
from connectors.flows.repository_import import (
    auto_import,
    import_from_repository,
    plan_repository_import,
    waiting,
)
from connectors.models import Connector, Event, Placement, Project, RepositoryFile, ScopePeriod, SyncRun
from tests.factories import SHELL, make_connector, make_placement, make_repository_file, make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def placement(project: Project) -> Placement:
    """The project's place, read just now; nothing is in it."""
    return make_placement(project, path="apps/crm", read_at=timezone.now())


def read_file(
    placement: Placement,
    type_: str,
    scopes: Iterable[str] | None,
    *,
    agreed: Iterable[str] | None = None,
    **values: Any,
) -> RepositoryFile:
    agreed = None if agreed is None else list(agreed)
    return make_repository_file(placement, type_, scopes, agreed=agreed, commit="c0ffee", author="Mira", **values)


def declared(project: Project) -> dict[str, list[str]]:
    return dict(project.connectors.declared().values_list("integration_type_id", "scopes"))


def problem(message: str, kind: str) -> dict[str, Any]:
    return {"path": "apps/crm/base44/connectors/x.jsonc", "message": message, "line": 2, "kind": kind}


def test_only_what_the_repository_alone_changed_is_planned(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    make_connector(placement.project, "slack", ["ours"])
    make_connector(placement.project, "notion", ["ours"])
    read_file(placement, "gmail", ["a", "b"], agreed=["a"])
    read_file(placement, "slack", ["theirs"], agreed=["base"])
    read_file(placement, "notion", ["base"], agreed=["base"])
    read_file(placement, "github", ["repo"])
    changes = plan_repository_import(placement).changes
    assert [(change.type, change.kind, change.added) for change in changes] == [
        ("github", ChangeKind.NEW, ("repo",)),
        ("gmail", ChangeKind.CHANGED, ("b",)),
    ]


def test_an_import_takes_the_files_over_byte_for_byte_and_both_sides_agree(placement: Placement) -> None:
    file = read_file(placement, "gmail", ["a", "b"], raw=b"// ours\n{type: 'gmail', scopes: ['a', 'b']}")
    import_from_repository(placement, plan_repository_import(placement), SHELL)
    row = placement.project.connectors.get()
    assert (row.scopes, bytes(row.source or b""), row.source_path) == (["a", "b"], bytes(file.raw), "gmail.jsonc")
    file.refresh_from_db()
    assert file.agreed == ["a", "b"]


def test_an_import_is_on_record_with_repository_and_project(placement: Placement) -> None:
    read_file(placement, "gmail", ["a"])
    import_from_repository(placement, plan_repository_import(placement), SHELL)
    event = Event.objects.get(verb="repository.imported")
    assert (event.target_label, event.after) == (
        placement.repository.name,
        {"project": "crm", "connectors": ["gmail"]},
    )


def test_the_other_side_of_a_conflict_is_taken_when_it_was_chosen(placement: Placement) -> None:
    make_connector(placement.project, "slack", ["ours"])
    read_file(placement, "slack", ["theirs"], agreed=["base"])
    import_from_repository(placement, plan_repository_import(placement, theirs=["slack"]), SHELL)
    assert declared(placement.project) == {"slack": ["theirs"]}
    assert differences([placement])[placement.pk][0].change == "same"


def test_choosing_a_side_where_there_is_no_conflict_any_more_is_refused(placement: Placement) -> None:
    read_file(placement, "slack", ["theirs"])
    with pytest.raises(Refused, match="no conflict about slack"):
        plan_repository_import(placement, theirs=["slack"])


def test_a_removed_file_takes_its_connector_away_only_when_that_is_chosen(placement: Placement) -> None:
    make_connector(placement.project, "slack", ["a"])
    read_file(placement, "slack", None, agreed=["a"])
    plan = plan_repository_import(placement)
    assert plan.missing == ("slack",)
    import_from_repository(placement, plan, SHELL)
    assert declared(placement.project) == {"slack": ["a"]}
    import_from_repository(placement, plan_repository_import(placement), SHELL, removals=["slack"])
    assert declared(placement.project) == {}


def test_after_the_last_files_removal_nothing_is_left_to_compare(placement: Placement) -> None:
    make_connector(placement.project, "slack", ["a"])
    read_file(placement, "slack", None, agreed=["a"])
    import_from_repository(placement, plan_repository_import(placement), SHELL, removals=["slack"])
    assert differences([placement])[placement.pk] == ()


def test_what_only_the_portal_has_is_never_planned_for_removal(placement: Placement) -> None:
    make_connector(placement.project, "notion", ["a"])
    read_file(placement, "gmail", ["b"])
    assert plan_repository_import(placement).missing == ()


def test_a_file_that_cannot_be_read_refuses_the_projects_import(placement: Placement) -> None:
    read_file(placement, "gmail", ["a"])
    placement.problems = [problem("expected a string", "file")]
    run = import_from_repository(placement, plan_repository_import(placement), SHELL)
    assert (run.state, declared(placement.project)) == (SyncRun.State.REFUSED, {})


def test_a_portal_that_changed_since_the_plan_refuses_it(placement: Placement) -> None:
    read_file(placement, "gmail", ["a"])
    plan = plan_repository_import(placement)
    declare(placement.project, "slack", ["x"], {}, SHELL)
    with pytest.raises(Refused, match="has changed since"):
        import_from_repository(placement, plan, SHELL)


def test_a_newer_commit_since_the_plan_stays_incoming(placement: Placement) -> None:
    file = read_file(placement, "gmail", ["a"])
    plan = plan_repository_import(placement)
    RepositoryFile.objects.filter(pk=file.pk).update(scopes=["a", "new"])
    import_from_repository(placement, plan, SHELL)
    assert differences([placement])[placement.pk][0].change == "incoming"


def test_a_project_that_was_moved_since_the_plan_refuses_it(placement: Placement) -> None:
    read_file(placement, "gmail", ["a"])
    plan = plan_repository_import(placement)
    Placement.objects.update(path="apps/elsewhere")
    with pytest.raises(Refused, match="somewhere else"):
        import_from_repository(placement, plan, SHELL)


def test_a_rule_that_stops_a_scope_refuses_all_of_it(placement: Placement) -> None:
    make_rule()
    read_file(placement, "gmail", ["a"])
    plan = plan_repository_import(placement)
    assert plan.stopped
    with pytest.raises(PolicyRefused):
        import_from_repository(placement, plan, SHELL)
    assert declared(placement.project) == {}


def test_the_ledger_names_commit_and_author_of_an_imported_connector(placement: Placement) -> None:
    read_file(placement, "gmail", ["a"])
    import_from_repository(placement, plan_repository_import(placement), SHELL)
    row = Connector.objects.get()
    assert (row.repository_scopes, row.repository_commit, row.repository_author) == (["a"], "c0ffee", "Mira")
    period = ScopePeriod.objects.get(side="repository", scope="a")
    assert (period.begun_through, period.begun_by) == ("repository.read", "Mira")


def test_counts_follow_an_import(placement: Placement) -> None:
    read_file(placement, "gmail", ["a"])
    count(placement, differences([placement])[placement.pk])
    import_from_repository(placement, plan_repository_import(placement), SHELL)
    placement.refresh_from_db()
    assert (placement.incoming, placement.outgoing, placement.conflicts) == (0, 0, 0)


def test_what_waits_is_told_by_project_with_conflicts_apart(placement: Placement) -> None:
    make_connector(placement.project, "slack", ["ours"])
    read_file(placement, "slack", ["theirs"], agreed=["base"])
    read_file(placement, "gmail", ["a"])
    make_connector(make_placement().project, "notion")
    (found,), more = waiting(Placement.objects.all(), 10)
    assert [change.type for change in found.incoming.changes] == ["gmail"]
    assert found.conflicts is not None
    assert [change.type for change in found.conflicts.changes] == ["slack"]
    assert more == 0


# By itself


@pytest.fixture
def automatic(placement: Placement) -> Placement:
    """As `placement`, and it imports by itself."""
    placement.auto_import = True
    placement.save()
    return placement


def by_itself(placement: Placement) -> dict[int, int]:
    return auto_import(placement.repository, timezone.now())


def test_a_project_that_wants_it_gets_what_is_incoming_by_itself(automatic: Placement) -> None:
    read_file(automatic, "gmail", ["a"])
    assert by_itself(automatic) == {automatic.project_id: 1}
    assert declared(automatic.project) == {"gmail": ["a"]}
    assert Event.objects.get(verb="project.imported").door == "task"


def test_nothing_is_imported_by_itself_where_nobody_said_so(placement: Placement) -> None:
    read_file(placement, "gmail", ["a"])
    assert by_itself(placement) == {}
    assert declared(placement.project) == {}


def test_importing_by_itself_leaves_conflicts_and_removals_to_a_person(automatic: Placement) -> None:
    make_connector(automatic.project, "slack", ["ours"])
    make_connector(automatic.project, "notion", ["a"])
    read_file(automatic, "slack", ["theirs"], agreed=["base"])
    read_file(automatic, "notion", None, agreed=["a"])
    assert by_itself(automatic) == {}
    assert declared(automatic.project) == {"slack": ["ours"], "notion": ["a"]}


@pytest.mark.parametrize("kind", ["file", "app"])
def test_nothing_is_imported_by_itself_while_something_is_wrong_with_the_files(automatic: Placement, kind: str) -> None:
    read_file(automatic, "gmail", ["a"])
    automatic.problems = [problem("something", kind)]
    automatic.save()
    assert by_itself(automatic) == {}
    assert declared(automatic.project) == {}


def test_a_rule_keeps_an_import_from_happening_by_itself_and_the_project_says_so_once(automatic: Placement) -> None:
    make_rule("No mail")
    read_file(automatic, "gmail", ["a"])
    by_itself(automatic)
    by_itself(automatic)
    automatic.refresh_from_db()
    assert declared(automatic.project) == {}
    assert "No mail" in automatic.problems[0]["message"]
    assert Event.objects.filter(verb="import.refused").count() == 1


def test_the_project_no_longer_says_so_once_the_rule_is_gone(automatic: Placement) -> None:
    rule = make_rule()
    read_file(automatic, "gmail", ["a"])
    by_itself(automatic)
    rule.delete()
    by_itself(automatic)
    automatic.refresh_from_db()
    assert (automatic.problems, declared(automatic.project)) == ([], {"gmail": ["a"]})
