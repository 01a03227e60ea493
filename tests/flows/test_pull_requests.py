"""The portal's pull requests: one open for each set of projects, and what becomes of them at the host."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from connectors.core.actor import Actor, Door
from connectors.core.errors import Refused
from connectors.core.hosts import HostError, HostFault
from connectors.flows.pull_requests import (
    LOOK_EVERY,
    LOOK_LATER,
    YOUNG,
    look_at,
    look_at_open,
    open_one,
    open_or_update,
)
from connectors.models import Event, PullRequest, Repository
from tests.factories import make_project, make_repository
from tests.servers import forge as forges
from tests.servers.forge import Forge, Kind
from tests.servers.git_repos import RepoMaker

pytestmark = pytest.mark.django_db

BRANCH = "connector-portal/main/all"
NOW = timezone.now()
ANN = Actor("ann", Door.ADMIN)
Opening = Callable[..., PullRequest]


@pytest.fixture(params=["github", "gitlab", "gitea"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def shop(forge: Forge, tmp_path: Path) -> forges.Project:
    """The repository at the host, with what the portal pushed to its branch."""
    repo = RepoMaker(tmp_path / "shop.git")
    repo.git("update-ref", f"refs/heads/{BRANCH}", repo.commit({"readme": "one"}))
    repo.commit({"readme": "two"}, branch=BRANCH)
    return forge.add("acme/shop", repo)


@pytest.fixture
def repository(forge: Forge, shop: forges.Project, kind: Kind, settings: Settings) -> Repository:
    settings.GIT_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    token = forge.token.get_secret_value()
    url, api = f"{forge.url}/acme/shop.git", forge.api(kind)
    return make_repository("Shop", url=url, host=kind, api_url=api, token=token, next_read_at=NOW)


@pytest.fixture
def opened(repository: Repository, shop: forges.Project) -> Opening:
    """Opens or updates the pull request for all projects, as an export does after its push."""

    def call(title: str = "Update connectors", now: dt.datetime = NOW, **values: Any) -> PullRequest:
        branch = values.get("branch", BRANCH)
        projects = values.get("projects", [])
        key = values.get("key", "all")
        head = shop.repo.head(branch)
        return open_or_update(repository, key, projects, branch, head, title, "The plan.", now, actor=ANN)

    return call


def verbs() -> list[str]:
    return list(Event.objects.order_by("id").values_list("verb", flat=True))


def test_the_first_is_opened_stored_and_recorded(opened: Opening, repository: Repository, shop: forges.Project) -> None:
    crm = make_project("crm")
    row = opened(projects=[crm])
    stored = PullRequest.objects.get(pk=row.pk)
    assert (stored.number, stored.key, stored.branch, stored.state) == (1, "all", BRANCH, "open")
    assert stored.head == shop.repo.head(BRANCH)
    assert stored.url.startswith("http://127.0.0.1")
    assert list(stored.projects.all()) == [crm]
    event = Event.objects.get(verb="pull_request.opened")
    assert (event.actor_label, event.note) == ("ann", "Shop: Update connectors")


def test_the_second_updates_the_first(opened: Opening, shop: forges.Project) -> None:
    first = opened()
    shop.repo.commit({"readme": "three"}, branch=BRANCH)
    later = NOW + dt.timedelta(hours=1)
    second = opened("Update more connectors", later)
    assert (second.pk, second.title, second.opened_at, second.updated_at) == (
        first.pk,
        "Update more connectors",
        NOW,
        later,
    )
    assert second.head == shop.repo.head(BRANCH)
    assert shop.pulls[1].title == "Update more connectors"
    assert len(shop.pulls) == 1
    assert verbs() == ["pull_request.opened", "pull_request.updated"]


def test_other_projects_get_one_of_their_own(opened: Opening, shop: forges.Project) -> None:
    opened()
    other = "connector-portal/main/crm"
    shop.repo.commit({"x": "y"}, branch=other)
    assert opened(key="crm", branch=other).number == 2
    assert PullRequest.objects.open().count() == 2


def test_one_that_a_killed_worker_opened_is_taken_over(opened: Opening, shop: forges.Project) -> None:
    shop.start(BRANCH, "main", "Opened, and then nothing was stored", "")
    row = opened()
    assert (row.number, row.title, len(shop.pulls)) == (1, "Update connectors", 1)


def test_a_merged_one_is_noticed_and_another_opened(opened: Opening, forge: Forge, shop: forges.Project) -> None:
    first = opened()
    forge.merge("acme/shop", 1)
    shop.repo.commit({"readme": "three"}, branch=BRANCH)
    second = opened()
    first.refresh_from_db()
    assert (first.state, second.number, second.state) == ("merged", 2, "open")
    assert verbs() == ["pull_request.opened", "pull_request.merged", "pull_request.opened"]


def test_when_the_branch_is_another_the_old_one_is_closed(opened: Opening, shop: forges.Project) -> None:
    first = opened()
    moved = "connector-portal/trunk/all"
    shop.repo.commit({"x": "y"}, branch=moved)
    second = opened(branch=moved)
    first.refresh_from_db()
    assert (first.state, shop.pulls[1].state, second.number) == ("closed", "closed", 2)


def test_one_that_was_reopened_at_the_host_is_the_same_row(opened: Opening, forge: Forge, shop: forges.Project) -> None:
    first = opened()
    forge.close("acme/shop", 1)
    look_at(first, NOW)
    shop.pulls[1].state = "open"
    again = opened()
    assert (again.pk, again.state, again.ended_at) == (first.pk, "open", None)


def test_looking_finds_it_merged_and_has_the_repository_read(
    opened: Opening, forge: Forge, repository: Repository
) -> None:
    row = opened()
    forge.merge("acme/shop", 1)
    later = NOW + dt.timedelta(hours=2)
    seen = look_at(row, later)
    stored = PullRequest.objects.get(pk=row.pk)
    assert (seen.state, stored.state, stored.ended_at, stored.checked_at) == ("merged", "merged", later, later)
    repository.refresh_from_db()
    assert repository.next_read_at is None
    assert Event.objects.get(verb="pull_request.merged").before == {"state": "open"}


def test_looking_finds_it_closed_and_lets_the_repository_be(
    opened: Opening, forge: Forge, repository: Repository
) -> None:
    row = opened()
    forge.close("acme/shop", 1)
    assert look_at(row, NOW).state == "closed"
    repository.refresh_from_db()
    assert repository.next_read_at == NOW
    assert verbs() == ["pull_request.opened", "pull_request.closed"]


def test_the_end_is_recorded_once_by_whoever_sees_it_first(opened: Opening, forge: Forge) -> None:
    row = opened()
    same = PullRequest.objects.get(pk=row.pk)
    forge.merge("acme/shop", 1)
    look_at(row, NOW)
    look_at(same, NOW)
    assert verbs().count("pull_request.merged") == 1


def test_a_title_that_people_changed_is_taken_over(opened: Opening, shop: forges.Project) -> None:
    row = opened()
    shop.pulls[1].title = "Better words"
    look_at(row, NOW)
    assert PullRequest.objects.get(pk=row.pk).title == "Better words"


def test_one_that_is_gone_from_the_host_counts_as_closed(opened: Opening, shop: forges.Project) -> None:
    row = opened()
    del shop.pulls[1]
    assert look_at(row, NOW).state == "closed"


def test_a_repository_that_is_not_shown_closes_nothing(opened: Opening, forge: Forge) -> None:
    row = opened()
    forge.projects.clear()
    with pytest.raises(HostError) as caught:
        look_at(row, NOW)
    assert caught.value.fault == HostFault.NOT_FOUND
    assert PullRequest.objects.get(pk=row.pk).state == "open"


def test_without_a_token_it_is_refused_in_words(repository: Repository, shop: forges.Project) -> None:
    bare = make_repository("Bare", url=repository.url + "x", host="github")
    with pytest.raises(Refused, match="need an access token"):
        open_or_update(bare, "all", [], BRANCH, "a" * 40, "t", "b", NOW)
    assert shop.pulls == {}


def test_the_open_one_is_known_by_its_key(opened: Opening, repository: Repository, forge: Forge) -> None:
    row = opened()
    assert open_one(repository, "all") == row
    assert open_one(repository, "crm") is None
    forge.close("acme/shop", 1)
    look_at(row, NOW)
    assert open_one(repository, "all") is None


class TestRounds:
    """Which of the open ones a round looks at."""

    @pytest.fixture
    def kind(self) -> Kind:
        return "github"

    @pytest.fixture
    def row(self, opened: Opening, forge: Forge) -> PullRequest:
        made = opened()
        forge.merge("acme/shop", 1)
        return made

    def state(self, row: PullRequest) -> str:
        return PullRequest.objects.get(pk=row.pk).state

    def test_a_young_one_is_looked_at_often(self, row: PullRequest) -> None:
        assert look_at_open(NOW + LOOK_EVERY / 2) == 0
        assert look_at_open(NOW + LOOK_EVERY) == 1
        assert self.state(row) == "merged"

    def test_an_old_one_is_looked_at_seldom(self, row: PullRequest) -> None:
        PullRequest.objects.update(updated_at=NOW - YOUNG)
        assert look_at_open(NOW + LOOK_EVERY) == 0
        assert look_at_open(NOW + LOOK_LATER) == 1

    def test_one_that_a_webhook_told_of_is_looked_at_at_once(self, row: PullRequest) -> None:
        PullRequest.objects.update(checked_at=None)
        assert look_at_open(NOW) == 1
        assert self.state(row) == "merged"

    def test_an_ended_one_is_not_looked_at(self, row: PullRequest, forge: Forge) -> None:
        look_at_open(NOW + LOOK_EVERY)
        forge.asked.clear()
        assert look_at_open(NOW + LOOK_LATER * 2) == 0
        assert forge.asked == []

    def test_a_repository_that_is_not_in_use_is_left_alone(self, row: PullRequest, repository: Repository) -> None:
        Repository.objects.update(is_enabled=False)
        assert look_at_open(NOW + LOOK_LATER) == 0

    def test_a_failure_of_one_does_not_keep_the_others(
        self, row: PullRequest, forge: Forge, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = make_repository("Bare", host="github")
        values = {"key": "all", "title": "t", "branch": "b", "opened_at": NOW, "updated_at": NOW}
        PullRequest.objects.create(repository=other, number=9, **values)
        with caplog.at_level(logging.WARNING):
            assert look_at_open(NOW + LOOK_EVERY) == 1
        assert "Pull request 9" in caplog.text
        assert forge.token.get_secret_value() not in caplog.text
        assert self.state(row) == "merged"

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_host_that_had_enough_is_not_asked_again_in_this_round(
        self, row: PullRequest, opened: Opening, forge: Forge, shop: forges.Project, status: int
    ) -> None:
        shop.repo.commit({"x": "y"}, branch="b2")
        opened(key="crm", branch="b2")
        forge.asked.clear()
        forge.can(status, {"message": "slow down"})
        assert look_at_open(NOW + LOOK_EVERY) == 0
        assert len(forge.asked) == 1
        assert self.state(row) == "open"

    def test_a_round_looks_at_no_more_than_it_may(
        self, row: PullRequest, opened: Opening, shop: forges.Project
    ) -> None:
        shop.repo.commit({"x": "y"}, branch="b2")
        opened(key="crm", branch="b2")
        assert look_at_open(NOW + LOOK_EVERY, limit=1) == 1
