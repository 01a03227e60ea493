"""Repositories are kept with their secrets sealed, and what is void after a change is forgotten."""

from __future__ import annotations

import datetime as dt
import secrets
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.crypto import fingerprint as hash_of
from connectors.core.errors import Refused
from connectors.core.git import GitError, fingerprint, make_deploy_key
from connectors.flows import repository_caches
from connectors.flows.placements import save_placements
from connectors.flows.repositories import (
    delete_repository,
    forget_key,
    make_check_token,
    make_key,
    make_webhook_secret,
    objections,
    save_repository,
    set_key,
    set_known_hosts,
    set_token,
)
from connectors.models import (
    Connector,
    Event,
    Placement,
    Project,
    PullRequest,
    Repository,
    RepositoryFile,
    RepositoryRun,
    ScopePeriod,
)
from tests.factories import (
    SHELL,
    keep_ledger,
    make_connector,
    make_placement,
    make_project,
    make_repository,
    make_repository_file,
)

pytestmark = pytest.mark.django_db

HTTPS, SSH = "https://github.com/acme/apps.git", "git@github.com:acme/apps.git"


def verbs() -> list[str]:
    return list(Event.objects.order_by("id").values_list("verb", flat=True))


def make_pull_request(repository: Repository, state: str = "open", number: int = 7) -> PullRequest:
    now = timezone.now()
    values = {"branch": "connector-portal/main/all", "head": "a" * 40, "opened_at": now, "updated_at": now}
    return PullRequest.objects.create(repository=repository, key="all", number=number, state=state, **values)


def read_once(repository: Repository, project: Project) -> tuple[Placement, Connector]:
    """A place of which everything is known, and the connector that its file speaks of."""
    placement = make_placement(project, repository, read_at=timezone.now(), read_commit="c" * 40, incoming=1)
    make_repository_file(placement, "slack", ["chat:write"])
    connector = make_connector(
        project,
        "slack",
        ["chat:write"],
        repository_scopes=["chat:write"],
        repository_read_at=timezone.now(),
        repository_commit="c" * 40,
        repository_author="Mira",
    )
    keep_ledger(connector)
    Repository.objects.filter(pk=repository.pk).update(state="working", head="c" * 40, read_at=timezone.now())
    repository.refresh_from_db()
    return placement, connector


# --- Add and change ----------------------------------------------------------------------------------------------


def test_a_new_repository_is_on_record() -> None:
    save_repository(Repository(name="Apps", url=HTTPS), SHELL)
    event = Event.objects.get()
    assert (event.verb, event.after["url"], event.after["branch"]) == ("repository.added", HTTPS, "main")


def test_a_token_is_sealed_and_stands_in_no_event() -> None:
    token = secrets.token_urlsafe(24)
    repository = Repository(name="Apps", url=HTTPS)
    save_repository(repository, SHELL, token=SecretStr(token))
    stored = Repository.objects.get()
    assert stored.token.reveal() == token
    assert stored.token_set_at is not None
    assert token not in str(list(Event.objects.values()))


def test_saving_without_a_token_keeps_the_one_that_is_set() -> None:
    repository = make_repository(url=HTTPS, token="kept-for-now")
    repository.name = "Renamed"
    save_repository(repository, SHELL)
    assert Repository.objects.get().token.reveal() == "kept-for-now"


def test_a_token_can_be_forgotten() -> None:
    repository = make_repository(url=HTTPS, token="no-more")
    save_repository(repository, SHELL, forget_token=True)
    assert not Repository.objects.get().token
    assert verbs() == ["repository.token_forgotten"]


def test_saving_nothing_new_is_no_event() -> None:
    save_repository(make_repository(url=HTTPS), SHELL)
    assert verbs() == []


def test_a_change_is_recorded_with_what_was_there_before() -> None:
    repository = make_repository(url=HTTPS, read_minutes=15)
    repository.read_minutes = 5
    save_repository(repository, SHELL)
    event = Event.objects.get()
    assert (event.before, event.after) == ({"read_minutes": 15}, {"read_minutes": 5})


def test_a_change_leaves_alone_what_a_worker_wrote_meanwhile() -> None:
    repository = make_repository(url=HTTPS)
    Repository.objects.update(head="d" * 40, failures=2)
    repository.read_minutes = 5
    save_repository(repository, SHELL)
    stored = Repository.objects.get()
    assert (stored.head, stored.failures, stored.read_minutes) == ("d" * 40, 2, 5)


@pytest.mark.parametrize("change", [{"url": "https://github.com/acme/other.git"}, {"branch": "develop"}])
def test_another_repository_or_branch_makes_what_was_read_void(change: dict[str, str], project: Project) -> None:
    repository = make_repository(url=HTTPS)
    placement, connector = read_once(repository, project)
    for name, value in change.items():
        setattr(repository, name, value)
    save_repository(repository, SHELL)
    repository.refresh_from_db()
    placement.refresh_from_db()
    connector.refresh_from_db()
    assert (repository.state, repository.head, repository.read_at) == ("unchecked", "", None)
    assert (placement.incoming, placement.read_at, placement.read_commit) == (0, None, "")
    assert not RepositoryFile.objects.exists()
    assert (connector.repository_read_at, connector.repository_scopes) == (None, None)


def test_another_way_to_the_same_repository_keeps_what_was_read(project: Project) -> None:
    repository = make_repository(url=HTTPS)
    read_once(repository, project)
    repository.url = SSH
    save_repository(repository, SHELL)
    repository.refresh_from_db()
    assert (repository.state, repository.head) == ("working", "c" * 40)
    assert RepositoryFile.objects.count() == 1


def test_what_ended_with_a_change_of_branch_is_in_the_history(project: Project) -> None:
    repository = make_repository(url=HTTPS)
    read_once(repository, project)
    repository.branch = "develop"
    save_repository(repository, SHELL)
    ended = ScopePeriod.objects.filter(side="repository", scope="chat:write").get()
    assert (ended.ended_through, ended.until is not None) == ("repository.changed", True)


def test_the_first_scheduled_export_is_one_interval_away() -> None:
    repository = make_repository(url=HTTPS)
    repository.export_when, repository.export_hours = Repository.ExportWhen.SCHEDULED, 6
    save_repository(repository, SHELL)
    left = Repository.objects.get().next_export_at - timezone.now()  # type: ignore[operator]
    assert dt.timedelta(hours=5) < left <= dt.timedelta(hours=6)


def test_a_change_makes_the_next_reading_due() -> None:
    repository = make_repository(url=HTTPS, next_read_at=timezone.now() + dt.timedelta(hours=6))
    repository.token_user = "robot"
    save_repository(repository, SHELL)
    assert Repository.objects.due_to_read(timezone.now()).exists()


# --- Addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "api_url"),
    [
        ("https://evil.example.com/acme/apps.git", ""),
        ("git@evil.example.com:acme/apps.git", ""),
        ("http://github.com/acme/apps.git", ""),
        ("https://github.com:8443/acme/apps.git", ""),
        (HTTPS, "https://evil.example.com/api/v3"),
    ],
)
def test_a_token_goes_to_no_other_server_without_being_entered_again(url: str, api_url: str) -> None:
    repository = make_repository(url=HTTPS, token="of-github")
    assert list(objections(repository, url, api_url, keeps_token=True)) == ["access_token"]
    repository.url, repository.api_url = url, api_url
    with pytest.raises(Refused, match="Enter the token again"):
        save_repository(repository, SHELL)
    assert Repository.objects.get().url == HTTPS


@pytest.mark.parametrize("url", [SSH, "https://github.com/acme/renamed.git", "https://GitHub.com/acme/apps"])
def test_a_token_may_stay_with_its_server(url: str) -> None:
    assert objections(make_repository(url=HTTPS, token="of-github"), url, "", keeps_token=True) == {}


def test_a_new_token_may_go_to_a_new_server() -> None:
    repository = make_repository(url=HTTPS, token="of-github")
    repository.url = "https://gitlab.com/acme/apps.git"
    save_repository(repository, SHELL, token=SecretStr("of-gitlab"))
    assert Repository.objects.get().token.reveal() == "of-gitlab"


def test_open_pull_requests_hold_a_repository_where_it_is() -> None:
    repository = make_repository(url=HTTPS)
    make_pull_request(repository)
    found = objections(repository, "https://github.com/acme/other.git", "", keeps_token=True)
    assert list(found) == ["url"]
    assert objections(repository, SSH, "", keeps_token=True) == {}


def test_pull_requests_of_another_repository_are_forgotten_with_it() -> None:
    repository = make_repository(url=HTTPS)
    make_pull_request(repository, "merged")
    repository.url = "https://github.com/acme/other.git"
    save_repository(repository, SHELL)
    assert not PullRequest.objects.exists()


# --- Secrets -----------------------------------------------------------------------------------------------------


def test_a_made_key_shows_its_public_half_only() -> None:
    repository = make_repository(url=SSH)
    make_key(repository, SHELL)
    stored = Repository.objects.get()
    assert stored.deploy_public_key.startswith("ssh-ed25519 ")
    assert "PRIVATE KEY" in stored.deploy_key.reveal()
    assert Event.objects.get().after == {"deploy_key": fingerprint(stored.deploy_public_key)}


def test_an_own_key_is_taken_over() -> None:
    repository, pair = make_repository(url=SSH), make_deploy_key("mine")
    set_key(repository, pair.private, SHELL)
    assert Repository.objects.get().deploy_public_key.split()[1] == pair.public.split()[1]
    assert verbs() == ["repository.key_set"]


def test_what_is_no_key_changes_nothing() -> None:
    repository, pair = make_repository(url=SSH), make_deploy_key("mine")
    with pytest.raises(GitError, match="public half"):
        set_key(repository, SecretStr(pair.public), SHELL)
    assert not Repository.objects.get().deploy_key


def test_a_key_can_be_forgotten() -> None:
    repository = make_repository(url=SSH)
    make_key(repository, SHELL)
    forget_key(repository, SHELL)
    stored = Repository.objects.get()
    assert (bool(stored.deploy_key), stored.deploy_public_key) == (False, "")
    assert Event.objects.latest("id").after == {"deploy_key": "not set"}


def test_confirmed_host_keys_are_kept() -> None:
    repository = make_repository(url="git@git.example.com:acme/apps.git")
    line = f"git.example.com {make_deploy_key('').public}"
    set_known_hosts(repository, f"\n {line} \n", SHELL)
    assert Repository.objects.get().known_hosts == line
    assert verbs() == ["repository.host_keys_set"]


def test_a_line_that_is_no_host_key_is_refused() -> None:
    with pytest.raises(GitError, match="no ssh key"):
        set_known_hosts(make_repository(url=SSH), "git.example.com nonsense", SHELL)


def test_a_webhook_secret_is_given_once_and_kept_sealed() -> None:
    repository = make_repository(webhook_note="The signature was wrong.")
    secret = make_webhook_secret(repository, SHELL).get_secret_value()
    stored = Repository.objects.get()
    assert (stored.webhook_secret.reveal(), stored.webhook_note) == (secret, "")
    assert secret not in str(list(Event.objects.values()))


def test_of_a_check_token_only_the_hash_is_kept() -> None:
    token = make_check_token(make_repository(), SHELL).get_secret_value()
    stored = Repository.objects.get()
    assert stored.check_token_hash == hash_of(token)
    assert token not in str(list(Event.objects.values()))


def test_each_secret_is_another_one() -> None:
    repository = make_repository()
    made = [make_check_token(repository, SHELL), make_check_token(repository, SHELL)]
    made += [make_webhook_secret(repository, SHELL), make_webhook_secret(repository, SHELL)]
    assert len({secret.get_secret_value() for secret in made}) == 4


def test_what_was_put_right_is_tried_soon() -> None:
    later = timezone.now() + dt.timedelta(hours=6)
    repository = make_repository(url=HTTPS, state="failing", failures=4, next_read_at=later)
    set_token(repository, SecretStr("a-better-one"), SHELL)
    assert Repository.objects.due_to_read(timezone.now()).exists()


# --- Places ------------------------------------------------------------------------------------------------------


def test_a_project_gets_a_place_and_its_files_are_read_next(project: Project) -> None:
    repository = make_repository(next_read_at=timezone.now() + dt.timedelta(hours=1))
    save_placements(repository, [Placement(project=project, path="apps/crm")], SHELL)
    event = Event.objects.get()
    assert (event.verb, event.project_id, event.after["path"]) == ("placement.added", project.pk, "apps/crm")
    assert Repository.objects.get().next_read_at is None


def test_a_project_has_one_place(project: Project) -> None:
    make_placement(project, make_repository("Apps"))
    with pytest.raises(Refused, match="in the repository Apps already"):
        save_placements(make_repository("Others"), [Placement(project=project)], SHELL)


def test_a_folder_has_one_project(project: Project) -> None:
    repository = make_repository("Apps")
    make_placement(make_project("shop"), repository, "same")
    with pytest.raises(Refused, match="same of Apps belongs to another project already"):
        save_placements(repository, [Placement(project=project, path="same")], SHELL)


def test_another_folder_is_read_anew(project: Project) -> None:
    repository = make_repository()
    placement, connector = read_once(repository, project)
    placement.path = "elsewhere"
    save_placements(repository, [placement], SHELL)
    placement.refresh_from_db()
    connector.refresh_from_db()
    assert (placement.path, placement.incoming, placement.read_at) == ("elsewhere", 0, None)
    assert connector.repository_read_at is None


def test_another_choice_for_the_same_folder_keeps_what_was_read(project: Project) -> None:
    repository = make_repository()
    placement, _ = read_once(repository, project)
    placement.auto_import = True
    save_placements(repository, [placement], SHELL)
    assert Placement.objects.get().incoming == 1
    assert Event.objects.get().after == {"auto_import": True}


def test_a_removed_place_takes_what_was_read_with_it(project: Project) -> None:
    repository = make_repository()
    placement, connector = read_once(repository, project)
    save_placements(repository, [], SHELL, removed=[placement])
    connector.refresh_from_db()
    assert not Placement.objects.exists()
    assert connector.repository_read_at is None
    assert ScopePeriod.objects.get(side="repository", scope="chat:write").ended_through == "placement.removed"


def test_a_folder_that_becomes_free_can_be_taken_in_the_same_step(project: Project) -> None:
    repository = make_repository()
    gone = make_placement(make_project(), repository, "apps/crm")
    save_placements(repository, [Placement(project=project, path="apps/crm")], SHELL, removed=[gone])
    assert Placement.objects.get().project == project


# --- Delete ------------------------------------------------------------------------------------------------------


def test_a_deleted_repository_leaves_the_record_and_no_ledger_side(project: Project) -> None:
    repository = make_repository("Apps")
    _, connector = read_once(repository, project)
    delete_repository(repository, SHELL)
    connector.refresh_from_db()
    assert not Repository.objects.exists()
    assert connector.repository_read_at is None
    assert verbs()[-2:] == ["placement.removed", "repository.deleted"]


def test_a_repository_that_is_worked_on_stays() -> None:
    repository = make_repository()
    RepositoryRun.objects.create(repository=repository, kind="export", state="running", actor_label="x", door="task")
    with pytest.raises(Refused, match="Wait for that"):
        delete_repository(repository, SHELL)
    assert Repository.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_deleted_repository_takes_its_cache_along(settings: Any, tmp_path: Path) -> None:
    settings.GIT_CACHE_DIR = str(tmp_path)
    repository = make_repository()
    folder = tmp_path / str(repository.pk)
    (folder / "objects").mkdir(parents=True)
    delete_repository(repository, SHELL)
    assert not folder.exists()


def test_caches_of_repositories_that_are_gone_are_pruned(settings: Any, tmp_path: Path) -> None:
    settings.GIT_CACHE_DIR = str(tmp_path)
    kept = make_repository()
    for name in (str(kept.pk), str(kept.pk + 1), "lost+found"):
        (tmp_path / name / "objects").mkdir(parents=True)
    (tmp_path / f"{kept.pk + 2}.lock").touch()
    assert repository_caches.prune() == 2
    assert {path.name for path in tmp_path.iterdir()} == {str(kept.pk), "lost+found"}


def test_where_there_are_no_caches_there_is_nothing_to_prune(settings: Any, tmp_path: Path) -> None:
    settings.GIT_CACHE_DIR = str(tmp_path / "none-yet")
    assert repository_caches.prune() == 0
