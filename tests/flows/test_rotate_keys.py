"""Changing the encryption key: everything is written anew, nothing is lost, and it can be done in pieces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.test import override_settings

from connectors.flows import rotate_keys as module
from connectors.flows.rotate_keys import rotate_keys, sealed_fields
from connectors.models import (
    AlertRoute,
    Authorisation,
    Event,
    OAuthClient,
    Project,
    Repository,
    Sealed,
    SignInProvider,
    Token,
    TrailStream,
    Workspace,
)
from tests.factories import SHELL, make_connector, make_oauth_client, make_repository, make_token, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def secrets_of_old(project: Project) -> Iterator[tuple[str, str]]:
    """A token, a client and a workspace whose secrets the old key wrote; gives the old and the new key."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    with override_settings(ENCRYPTION_KEYS=[old]):
        make_token(
            make_connector(project, "gmail"), oauth_client=make_oauth_client(secret="client-1"), access="a", refresh="r"
        )
        make_workspace("Old", token="base44-token")
    with override_settings(ENCRYPTION_KEYS=[new, old]):
        yield old, new


def test_every_model_with_secrets_is_found() -> None:
    found = {model for model, _ in sealed_fields()}
    assert found == {
        AlertRoute,
        Authorisation,
        OAuthClient,
        Repository,
        SignInProvider,
        Token,
        TrailStream,
        Workspace,
    }


def test_afterwards_the_new_key_alone_reads_everything(secrets_of_old: tuple[str, str]) -> None:
    assert rotate_keys(SHELL).rewritten == 4
    with override_settings(ENCRYPTION_KEYS=[secrets_of_old[1]]):
        assert Token.objects.get().access_token.reveal() == "a"
        assert Token.objects.get().refresh_token.reveal() == "r"
        assert OAuthClient.objects.get().client_secret.reveal() == "client-1"
        assert Workspace.objects.get(name="Old").credential.reveal() == "base44-token"


def test_what_opens_a_repository_is_written_anew(secrets_of_old: tuple[str, str]) -> None:
    old, new = secrets_of_old
    with override_settings(ENCRYPTION_KEYS=[old]):
        make_repository(token="t", deploy_key="k", webhook_secret="w")
    rotate_keys(SHELL)
    with override_settings(ENCRYPTION_KEYS=[new]):
        stored = Repository.objects.get()
        revealed = (stored.token.reveal(), stored.deploy_key.reveal(), stored.webhook_secret.reveal())
    assert revealed == ("t", "k", "w")


def test_a_second_run_writes_nothing(secrets_of_old: tuple[str, str]) -> None:
    rotate_keys(SHELL)
    again = rotate_keys(SHELL)
    assert (again.rewritten, again.current) == (0, 4)
    assert Event.objects.filter(verb="keys.rotated").count() == 1


def test_a_run_that_was_stopped_is_taken_up(secrets_of_old: tuple[str, str]) -> None:
    seen: list[int] = []

    def stop(rows: int) -> None:
        seen.append(rows)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate_keys(SHELL, chunk=1, advance=stop)
    rest = rotate_keys(SHELL)
    assert rest.current >= 1
    assert rest.rewritten + rest.current == 4


def test_looking_only_changes_nothing(secrets_of_old: tuple[str, str]) -> None:
    before = Token.objects.get().access_token
    assert rotate_keys(SHELL, write=False).rewritten == 4
    assert Token.objects.get().access_token == before


def test_what_no_key_reads_is_named_and_left(secrets_of_old: tuple[str, str]) -> None:
    Token.objects.update(access_token=Sealed("of-no-key"))
    result = rotate_keys(SHELL)
    assert result.rewritten == 3
    assert result.unreadable == [f"token {Token.objects.get().pk}: access token"]
    assert Token.objects.get().access_token.ciphertext == "of-no-key"


def test_a_secret_that_was_replaced_meanwhile_is_left(secrets_of_old: tuple[str, str]) -> None:
    stale = Token.objects.get()
    Token.objects.update(access_token=Sealed.of("newer"))
    result = module.Rotation()
    module._rotate(stale, "access_token", result, write=True)
    assert Token.objects.get().access_token.reveal() == "newer"


def test_the_keys_of_this_run_need_no_rotation(project: Project) -> None:
    make_token(make_connector(project, "gmail"))
    assert len(settings.ENCRYPTION_KEYS) == 1
    assert rotate_keys(SHELL).rewritten == 0
