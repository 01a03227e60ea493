"""Which files wait to be imported or exported, read from rows alone."""

from __future__ import annotations

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.core.three_way import Change
from connectors.flows.repository_compare import Difference, count, differences
from connectors.models import Placement, Project, Repository, RepositoryFile
from tests.factories import make_connector, make_project, make_type


@pytest.fixture
def repository(db: None) -> Repository:
    return Repository.objects.create(name="Apps", url="https://git.example.com/apps.git")


@pytest.fixture
def placement(repository: Repository, project: Project) -> Placement:
    return Placement.objects.create(repository=repository, project=project)


def file(placement: Placement, type_: str, scopes: list[str] | None, agreed: list[str] | None = None) -> RepositoryFile:
    return RepositoryFile.objects.create(
        placement=placement,
        integration_type=make_type(type_),
        name=f"base44/connectors/{type_}.jsonc",
        scopes=scopes,
        agreed=agreed,
        read_at=timezone.now(),
    )


def found(placement: Placement) -> dict[str, Difference]:
    return {item.type: item for item in differences([placement])[placement.pk]}


def test_each_type_is_compared_with_what_both_last_had(placement: Placement) -> None:
    for type_, scopes in (("gmail", ["a", "b"]), ("slack", ["a"]), ("notion", []), ("github", ["x"])):
        make_connector(placement.project, type_, scopes)
    file(placement, "gmail", ["a"], agreed=["a"])
    file(placement, "slack", ["a", "c"], agreed=["a"])
    file(placement, "notion", [], agreed=[])
    file(placement, "github", None, agreed=["y"])
    file(placement, "hubspot", ["crm"])
    changes = {type_: item.change for type_, item in found(placement).items()}
    assert changes == {
        "gmail": Change.OUTGOING,
        "slack": Change.INCOMING,
        "notion": Change.SAME,
        "github": Change.CONFLICT,
        "hubspot": Change.INCOMING,
    }


def test_what_was_added_and_taken_away_is_told_from_the_portals_side(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["b", "c"])
    file(placement, "gmail", ["a", "b"], agreed=["a", "b"])
    assert (found(placement)["gmail"].added, found(placement)["gmail"].removed) == (("c",), ("a",))


def test_an_undeclared_connector_whose_file_is_there_is_to_be_removed(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"], is_declared=False)
    file(placement, "gmail", ["a"], agreed=["a"])
    assert found(placement)["gmail"].change is Change.OUTGOING
    assert found(placement)["gmail"].portal is None


def test_the_file_that_was_imported_by_hand_counts_as_what_both_had(placement: Placement) -> None:
    source = b'{"type": "gmail", "scopes": ["a"]}'
    make_connector(placement.project, "gmail", ["a", "b"], source=source, source_path="gmail.jsonc")
    make_connector(placement.project, "slack", ["a", "b"])
    file(placement, "gmail", ["a"])
    file(placement, "slack", ["a"])
    assert found(placement)["gmail"].change is Change.OUTGOING
    assert found(placement)["slack"].change is Change.CONFLICT


def test_an_imported_file_that_cannot_be_read_any_more_decides_nothing(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a", "b"], source=b"{", source_path="gmail.jsonc")
    file(placement, "gmail", ["a"])
    assert found(placement)["gmail"].change is Change.CONFLICT


def test_the_counts_are_stored(placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    file(placement, "slack", ["a"])
    file(placement, "github", ["a"])
    count(placement, differences([placement])[placement.pk])
    placement.refresh_from_db()
    assert (placement.incoming, placement.outgoing, placement.conflicts) == (2, 1, 0)


@pytest.mark.parametrize("projects", [1, 8])
def test_the_number_of_queries_does_not_grow(
    projects: int, repository: Repository, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    placements = []
    for number in range(projects):
        project = make_project()
        placements.append(Placement.objects.create(repository=repository, project=project, path=f"p{number}"))
        make_connector(project, "gmail", ["a"], source=b'{"type": "gmail"}', source_path="gmail.jsonc")
        file(placements[-1], "gmail", ["b"])
    with django_assert_num_queries(3):
        differences(placements)
