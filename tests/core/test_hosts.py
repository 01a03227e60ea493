"""Pull requests at the three hosts: opened once, found again, seen merged and closed, and refusals in words."""

from __future__ import annotations

import datetime as dt
from email.utils import format_datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.core.hosts import PULL_REQUESTS, READ, WRITE, Host, HostError, HostFault, host_for
from connectors.core.net import Allowed
from tests.servers.forge import Forge, Kind, Project
from tests.servers.git_repos import RepoMaker

KINDS: tuple[Kind, ...] = ("github", "gitlab", "gitea")
LOOPBACK = Allowed.of(["127.0.0.1"], setting="GIT_ALLOWED_PRIVATE_HOSTS")
BRANCH = "connector-portal/main/all"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Every test of this file runs against each host."""
    found: Kind = request.param
    return found


@pytest.fixture
def project(forge: Forge, tmp_path: Path) -> Project:
    """`acme/shop` with a branch main, and one commit more on the portal's branch."""
    repo = RepoMaker(tmp_path / "shop.git")
    repo.git("update-ref", f"refs/heads/{BRANCH}", repo.commit({"readme": "one"}))
    repo.commit({"readme": "two"}, branch=BRANCH)
    return forge.add("acme/shop", repo)


@pytest.fixture
def host(forge: Forge, project: Project, kind: Kind) -> Host:
    return seen_with(forge, kind, forge.token)


def seen_with(forge: Forge, kind: Kind, token: SecretStr, path: str = "acme/shop") -> Host:
    return host_for(kind, f"{forge.url}/{path}.git", forge.api(kind), token, LOOPBACK)


def test_one_is_opened_with_its_title_body_and_branch(host: Host, project: Project) -> None:
    view = host.open(BRANCH, "main", "Update connectors", "The plan.")
    pull = project.pulls[view.number]
    assert (pull.title, pull.body, pull.branch, pull.base) == ("Update connectors", "The plan.", BRANCH, "main")
    assert (view.state, view.branch, view.title) == ("open", BRANCH, "Update connectors")
    assert view.head == project.repo.head(BRANCH)
    assert view.url.startswith("http://127.0.0.1")


def test_opening_a_second_one_gives_the_first(host: Host, project: Project) -> None:
    first = host.open(BRANCH, "main", "Update connectors", "")
    assert host.open(BRANCH, "main", "Something else", "").number == first.number
    assert len(project.pulls) == 1


def test_the_open_one_is_found_among_others(host: Host, project: Project) -> None:
    project.repo.commit({"x": "y"}, branch="other")
    host.close(host.open(BRANCH, "main", "Closed before", "").number)
    opened = host.open(BRANCH, "main", "Open now", "")
    host.open("other", "main", "Another branch", "")
    assert host.find_open(BRANCH, "main") == opened


def test_none_is_found_where_none_is_open(host: Host, project: Project) -> None:
    project.repo.commit({"x": "y"}, branch="other")
    host.open("other", "main", "Another branch", "")
    assert host.find_open(BRANCH, "main") is None
    assert host.find_open("gone", "main") is None


def test_title_and_body_are_updated(host: Host, project: Project) -> None:
    number = host.open(BRANCH, "main", "Old", "old").number
    assert host.update(number, "New", "new").title == "New"
    assert (project.pulls[number].title, project.pulls[number].body) == ("New", "new")


def test_a_merged_one_is_seen_as_merged(host: Host, forge: Forge, project: Project) -> None:
    number = host.open(BRANCH, "main", "Update", "").number
    head = project.repo.head(BRANCH)
    commit = forge.merge("acme/shop", number)
    view = host.get(number)
    assert (view.state, view.head) == ("merged", head)
    assert project.repo.head("main") == commit
    assert project.repo.read("readme") == b"two"


def test_a_closed_one_is_seen_as_closed(host: Host, forge: Forge) -> None:
    number = host.open(BRANCH, "main", "Update", "").number
    forge.close("acme/shop", number)
    assert host.get(number).state == "closed"


def test_closing_closes_without_merging(host: Host, project: Project) -> None:
    before = project.repo.head("main")
    number = host.open(BRANCH, "main", "Update", "").number
    assert host.close(number).state == "closed"
    assert project.repo.head("main") == before


def test_what_somebody_else_pushed_shows_as_its_head(host: Host, project: Project) -> None:
    number = host.open(BRANCH, "main", "Update", "").number
    pushed = project.repo.commit({"readme": "three"}, branch=BRANCH)
    assert host.get(number).head == pushed


def test_long_titles_and_bodies_are_cut(host: Host, project: Project) -> None:
    number = host.open(BRANCH, "main", "t" * 400, "b" * 2_000_000).number
    pull = project.pulls[number]
    assert (len(pull.title), pull.title[-1]) == (255, "…")
    assert pull.body.endswith("b\n\n…")


def test_a_title_is_one_line_whatever_is_in_it(host: Host, project: Project) -> None:
    number = host.open(BRANCH, "main", "Update\r\nconnectors\x00of\tCRM", "").number
    assert project.pulls[number].title == "Update connectors of CRM"


def test_the_token_tells_whose_it_is(host: Host) -> None:
    assert host.whoami() == "portal-bot"


def test_the_token_tells_what_it_may_do(host: Host, forge: Forge, kind: Kind) -> None:
    assert host.permissions() == {READ, WRITE, PULL_REQUESTS}
    assert seen_with(forge, kind, forge.read_only_token).permissions() == {READ}


def test_an_archived_repository_takes_nothing(host: Host, project: Project) -> None:
    project.is_archived = True
    assert host.permissions() == {READ}


def test_a_wrong_token_is_said_to_be_one(forge: Forge, project: Project, kind: Kind) -> None:
    with pytest.raises(HostError, match="does not accept the token") as caught:
        seen_with(forge, kind, SecretStr("none")).get(1)
    assert (caught.value.fault, caught.value.permanent, caught.value.status) == (HostFault.CREDENTIAL, True, 401)


def test_a_token_that_may_only_read_is_refused_in_the_hosts_words(forge: Forge, project: Project, kind: Kind) -> None:
    with pytest.raises(HostError, match="does not let this token do that: ") as caught:
        seen_with(forge, kind, forge.read_only_token).open(BRANCH, "main", "Update", "")
    assert (caught.value.fault, caught.value.permanent) == (HostFault.REFUSED, True)


def test_a_repository_that_is_not_shown_is_said_so(forge: Forge, kind: Kind) -> None:
    with pytest.raises(HostError, match="shows this token no such repository") as caught:
        seen_with(forge, kind, forge.token, "acme/gone").find_open(BRANCH, "main")
    assert caught.value.fault == HostFault.NOT_FOUND


def test_a_renamed_repository_is_said_to_be_one(host: Host, forge: Forge) -> None:
    forge.renamed["acme/shop"] = "acme/store"
    with pytest.raises(HostError, match="renamed or moved") as reading:
        host.get(1)
    with pytest.raises(HostError, match="renamed or moved") as writing:
        host.open(BRANCH, "main", "Update", "")
    assert (reading.value.status, writing.value.status) == (301, 307)
    assert (writing.value.fault, writing.value.permanent) == (HostFault.MOVED, True)
    assert len(forge.asked) == 2


def test_groups_within_groups_are_one_path_at_gitlab(forge: Forge, project: Project) -> None:
    forge.projects["group/sub/shop"] = project
    view = seen_with(forge, "gitlab", forge.token, "group/sub/shop").open(BRANCH, "main", "Update", "")
    assert view.number == 1
    assert "/projects/group%2Fsub%2Fshop/" in forge.asked[0].target


def test_gitea_looks_on_the_following_pages(forge: Forge, project: Project) -> None:
    host, forge.short_pages = seen_with(forge, "gitea", forge.token), True
    opened = host.open(BRANCH, "main", "Update", "")
    for number in range(5):
        project.start(f"b{number}", "main", "Another", "")
    assert host.find_open(BRANCH, "main") == opened


def test_a_branch_that_is_gone_has_no_head(forge: Forge, project: Project) -> None:
    number = project.start("never", "main", "Update", "").number
    assert seen_with(forge, "gitlab", forge.token).get(number).head == ""


def test_a_gitlab_token_for_git_alone_opens_no_pull_requests(forge: Forge, project: Project) -> None:
    forge.scopes = ("read_api", "write_repository")
    assert seen_with(forge, "gitlab", forge.token).permissions() == {READ, WRITE}


def test_rights_that_gitlab_does_not_tell_count_as_given(forge: Forge, project: Project) -> None:
    forge.can(200, {"visibility": "private", "permissions": {"project_access": None, "group_access": None}})
    assert seen_with(forge, "gitlab", forge.token).permissions() == {READ, WRITE, PULL_REQUESTS}


def test_a_scope_that_a_gitlab_token_lacks_is_said_in_gitlabs_words(forge: Forge, project: Project) -> None:
    forge.can(403, {"error": "insufficient_scope", "error_description": "The request requires higher privileges."})
    with pytest.raises(HostError, match="do that: The request requires higher privileges"):
        seen_with(forge, "gitlab", forge.token).permissions()


def test_who_may_not_ask_for_its_name_has_none(host: Host, forge: Forge) -> None:
    forge.can(403, {"message": "Resource not accessible by integration"})
    assert host.whoami() == ""


def test_a_branch_that_github_does_not_know_yet_is_worth_another_try(forge: Forge, project: Project) -> None:
    with pytest.raises(HostError, match="Validation Failed; head is invalid") as caught:
        seen_with(forge, "github", forge.token).open("pushed-just-now", "main", "Update", "")
    assert (caught.value.permanent, caught.value.status) == (False, 422)


def test_a_branch_without_commits_of_its_own_is_not(forge: Forge, project: Project) -> None:
    project.repo.git("update-ref", "refs/heads/same", project.repo.head("main"))
    with pytest.raises(HostError, match="No commits between main and same") as caught:
        seen_with(forge, "github", forge.token).open("same", "main", "Update", "")
    assert caught.value.permanent


def test_gitlabs_objections_are_told_by_field(forge: Forge, project: Project) -> None:
    forge.can(400, {"message": {"title": ["is too long", "is dull"], "base": ["is odd"]}})
    with pytest.raises(HostError, match="title is too long; title is dull; base is odd"):
        seen_with(forge, "gitlab", forge.token).update(1, "t", "b")


class TestRefusals:
    """Answers that no operation announces, from what stands before a host or when it has had enough."""

    @pytest.fixture
    def kind(self) -> Kind:
        return "github"

    @pytest.mark.parametrize("status", [500, 502, 503, 408])
    def test_a_failing_host_is_worth_another_try(self, host: Host, forge: Forge, status: int) -> None:
        forge.can(status, b"<html>secret page</html>")
        with pytest.raises(HostError) as caught:
            host.get(1)
        assert str(caught.value) == f"GitHub failed (HTTP {status})."
        assert (caught.value.fault, caught.value.permanent) == (HostFault.UNREACHABLE, False)

    @pytest.mark.parametrize(
        ("status", "headers"),
        [
            (429, {}),
            (403, {"X-RateLimit-Remaining": "0"}),
            (403, {"Retry-After": "60"}),
            (403, {}),
        ],
    )
    def test_a_rate_limit_is_worth_another_try(
        self, host: Host, forge: Forge, status: int, headers: dict[str, str]
    ) -> None:
        forge.can(status, {"message": "You have exceeded a secondary rate limit."}, **headers)
        with pytest.raises(HostError, match="no more calls for now") as caught:
            host.get(1)
        assert (caught.value.fault, caught.value.permanent) == (HostFault.RATE, False)

    def test_a_rate_limit_says_for_how_long(self, host: Host, forge: Forge) -> None:
        forge.can(429, {}, Retry_After="90")
        with pytest.raises(HostError) as caught:
            host.get(1)
        assert caught.value.retry_after == dt.timedelta(seconds=90)

    def test_a_limits_reset_is_read_by_the_hosts_own_clock(self, host: Host, forge: Forge) -> None:
        now = dt.datetime(2031, 5, 1, 12, 0, tzinfo=dt.UTC)
        reset = str(int(now.timestamp()) + 300)
        clock = {"Date": format_datetime(now, usegmt=True), "X-RateLimit-Reset": reset, "X-RateLimit-Remaining": "0"}
        forge.can(403, {}, **clock)
        with pytest.raises(HostError) as caught:
            host.get(1)
        assert caught.value.retry_after == dt.timedelta(minutes=5)

    def test_a_page_in_place_of_data_is_said_so_and_not_quoted(self, host: Host, forge: Forge) -> None:
        forge.can(200, b"<html>please sign in: secret</html>")
        with pytest.raises(HostError, match="did not answer as its API does") as caught:
            host.get(1)
        assert (caught.value.fault, "secret" in str(caught.value)) == (HostFault.UNREADABLE, False)

    def test_a_refusal_quotes_the_short_message_and_nothing_else(self, host: Host, forge: Forge) -> None:
        body = {"message": "Validation Failed", "errors": [{"message": "No commits\nbetween"}], "debug": "secret"}
        forge.can(422, body)
        with pytest.raises(HostError) as caught:
            host.update(1, "t", "b")
        assert str(caught.value) == "GitHub refused it (HTTP 422): Validation Failed; No commits between"

    def test_a_message_with_the_token_in_it_is_not_shown(self, host: Host, forge: Forge) -> None:
        forge.can(400, {"message": f"bad token {forge.token.get_secret_value()}"})
        with pytest.raises(HostError) as caught:
            host.update(1, "t", "b")
        assert str(caught.value) == "GitHub refused it (HTTP 400)."

    def test_a_long_message_is_cut(self, host: Host, forge: Forge) -> None:
        forge.can(400, {"message": "m" * 5000})
        with pytest.raises(HostError) as caught:
            host.update(1, "t", "b")
        assert len(str(caught.value)) < 260

    def test_an_address_that_is_no_web_address_is_not_shown_as_one(self, host: Host, forge: Forge) -> None:
        head = {"ref": BRANCH, "sha": "not a commit"}
        forge.can(200, {"number": 1, "html_url": "javascript:alert(1)", "title": "t", "state": "open", "head": head})
        view = host.get(1)
        assert (view.url, view.head) == ("", "")

    def test_a_number_that_no_database_holds_is_not_taken(self, host: Host, forge: Forge) -> None:
        head = {"ref": BRANCH, "sha": ""}
        forge.can(200, {"number": 2**40, "html_url": "", "title": "t", "state": "open", "head": head})
        with pytest.raises(HostError):
            host.get(1)

    @pytest.mark.parametrize("token", ["zwei wörter", "a\r\nX-Other: 1", "a b"])
    def test_a_token_that_cannot_be_one_is_not_sent(self, forge: Forge, project: Project, token: str) -> None:
        with pytest.raises(HostError, match="holds characters that no token has") as caught:
            seen_with(forge, "github", SecretStr(token)).whoami()
        assert (caught.value.fault, forge.asked) == (HostFault.CREDENTIAL, [])

    def test_a_private_address_is_refused_unless_it_is_allowed(self, forge: Forge) -> None:
        nobody = Allowed.of([], setting="GIT_ALLOWED_PRIVATE_HOSTS")
        host = host_for("github", f"{forge.url}/acme/shop.git", forge.api("github"), forge.token, nobody)
        with pytest.raises(HostError, match=r"\(GIT_ALLOWED_PRIVATE_HOSTS\)") as caught:
            host.get(1)
        assert (caught.value.fault, forge.asked) == (HostFault.ADDRESS, [])
