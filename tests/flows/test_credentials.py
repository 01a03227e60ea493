"""Setting and renewing a workspace's credential."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.base44.client import Base44Client
from connectors.core.base44.credentials import DeviceTokens
from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.account_routes import decide_login
from connectors.core.base44.http import Policy
from connectors.core.errors import ApiError, CredentialError, Refused
from connectors.flows.connect import client_for
from connectors.flows.credentials import (
    clear_credential,
    due_device_logins,
    finish_device_login,
    refresh_device_login,
    refresh_device_tokens,
    set_token,
    start_device_login,
    verify_credential,
)
from connectors.models import Event, Sealed, Workspace
from tests.factories import SHELL, make_workspace

NEXT = DeviceTokens(SecretStr("access-2"), SecretStr("refresh-2"), 4_000_000_000.0)


def signed_in() -> tuple[Workspace, DeviceTokens]:
    workspace = make_workspace(
        credential_kind=Workspace.CredentialKind.DEVICE,
        credential=Sealed.of("access-1"),
        credential_refresh=Sealed.of("refresh-1"),
        credential_expires_at=timezone.now(),
        credential_state=Workspace.CredentialState.ACCEPTED,
    )
    return workspace, DeviceTokens(SecretStr("access-1"), SecretStr("refresh-1"), 0.0)


@pytest.mark.django_db
def test_a_token_is_stored_sealed_and_its_blanks_at_the_ends_are_dropped(workspace: Workspace) -> None:
    set_token(workspace, " token-1\n", SHELL)
    assert workspace.credential.reveal() == "token-1"
    assert "token-1" not in workspace.credential.ciphertext


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "  \n", "two words", "line\nbreak", "b44k_key", "tok\x00en"])
def test_what_cannot_be_a_token_is_refused_without_being_quoted(workspace: Workspace, token: str) -> None:
    with pytest.raises(Refused) as refusal:
        set_token(workspace, token, SHELL)
    assert not token.strip() or token not in str(refusal.value)
    assert not Workspace.objects.get(pk=workspace.pk).credential


@pytest.mark.django_db
def test_a_new_token_forgets_the_verdict_on_the_old_one(workspace: Workspace) -> None:
    Workspace.objects.update(credential_state="refused", credential_account="gone@example.com")
    set_token(workspace, "token-1", SHELL)
    assert (workspace.credential_state, workspace.credential_account) == ("unchecked", "")


@pytest.mark.django_db
def test_clearing_forgets_every_secret() -> None:
    workspace, _ = signed_in()
    clear_credential(workspace, SHELL)
    assert not workspace.credential
    assert not workspace.credential_refresh
    assert workspace.credential_state == Workspace.CredentialState.MISSING


@pytest.mark.django_db
def test_renewing_stores_the_new_tokens() -> None:
    workspace, stale = signed_in()
    assert refresh_device_tokens(workspace.pk, stale, renew=lambda _url, _old: NEXT) == NEXT
    workspace.refresh_from_db()
    assert (workspace.credential.reveal(), workspace.credential_refresh.reveal()) == ("access-2", "refresh-2")
    assert workspace.credential_lease_until is None


@pytest.mark.django_db
def test_tokens_that_were_renewed_meanwhile_are_used_without_asking() -> None:
    workspace, _ = signed_in()
    stale = DeviceTokens(SecretStr("access-0"), SecretStr("refresh-0"), 0.0)
    found = refresh_device_tokens(workspace.pk, stale, renew=lambda _url, _old: pytest.fail("asked Base44"))
    assert found.access_token.get_secret_value() == "access-1"


@pytest.mark.django_db
def test_a_login_that_is_over_is_noted_on_the_workspace() -> None:
    workspace, stale = signed_in()

    def ended(_url: str, _old: DeviceTokens) -> DeviceTokens:
        raise CredentialError("The sign-in has ended.", status=400)

    with pytest.raises(CredentialError):
        refresh_device_tokens(workspace.pk, stale, renew=ended)
    workspace.refresh_from_db()
    assert workspace.credential_state == Workspace.CredentialState.REFUSED
    assert Event.objects.filter(verb="credential.ended").count() == 1


@pytest.mark.django_db
def test_an_outage_keeps_the_tokens_and_frees_the_lease() -> None:
    workspace, stale = signed_in()

    def down(_url: str, _old: DeviceTokens) -> DeviceTokens:
        raise ApiError("No answer.", permanent=False)

    with pytest.raises(ApiError):
        refresh_device_tokens(workspace.pk, stale, renew=down)
    assert refresh_device_tokens(workspace.pk, stale, renew=lambda _url, _old: NEXT) == NEXT


@pytest.mark.django_db
def test_a_token_set_by_a_person_meanwhile_is_not_overwritten() -> None:
    workspace, stale = signed_in()

    def slow(_url: str, _old: DeviceTokens) -> DeviceTokens:
        set_token(Workspace.objects.get(pk=workspace.pk), "token-of-a-person", SHELL)
        return NEXT

    with pytest.raises(CredentialError, match="replaced"):
        refresh_device_tokens(workspace.pk, stale, renew=slow)
    workspace.refresh_from_db()
    assert workspace.credential.reveal() == "token-of-a-person"


@pytest.mark.django_db
def test_the_lease_of_a_worker_that_died_ends() -> None:
    workspace, stale = signed_in()
    Workspace.objects.update(credential_lease_until=timezone.now() - dt.timedelta(seconds=1))
    assert refresh_device_tokens(workspace.pk, stale, renew=lambda _url, _old: NEXT) == NEXT


@pytest.mark.django_db(transaction=True)
def test_workers_that_renew_at_the_same_time_ask_base44_once() -> None:
    workspace, stale = signed_in()
    asked: list[str] = []
    together = threading.Barrier(6)

    def renew(_url: str, old: DeviceTokens) -> DeviceTokens:
        asked.append(old.refresh_token.get_secret_value())
        return NEXT

    def work(_number: int) -> str:
        try:
            together.wait()
            return refresh_device_tokens(workspace.pk, stale, renew=renew).access_token.get_secret_value()
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(work, range(6))) == {"access-2"}
    assert asked == ["refresh-1"]


def test_base44_says_whose_token_it_is(live_workspace: Workspace, client: Base44Client) -> None:
    set_token(live_workspace, live_workspace.credential.reveal(), SHELL)
    assert verify_credential(live_workspace, client, SHELL)
    assert (live_workspace.credential_state, live_workspace.credential_account) == ("accepted", "admin@acme.example")


def test_a_token_that_base44_refuses_is_noted(live_workspace: Workspace) -> None:
    set_token(live_workspace, "unknown-token", SHELL)
    assert not verify_credential(live_workspace, client_for(live_workspace), SHELL)
    assert live_workspace.credential_state == Workspace.CredentialState.REFUSED


def test_a_base44_that_is_down_says_nothing_of_the_token(live_workspace: Workspace, client: Base44Client) -> None:
    live_workspace.refresh_from_db()
    with Emulator() as other:
        other.fail("*", "/", status=500, times=None)
        with pytest.raises(ApiError):
            verify_credential(live_workspace, Base44Client(other.url, None, policy=Policy(attempts=1)), SHELL)
    assert live_workspace.credential_state == Workspace.CredentialState.ACCEPTED


def test_a_device_login_is_stored_once_the_person_agrees(base44: Emulator, live_workspace: Workspace) -> None:
    code = start_device_login(live_workspace)
    assert not finish_device_login(live_workspace, code.device_code, SHELL)
    decide_login(base44.state, code.user_code, "admin@acme.example")
    assert finish_device_login(live_workspace, code.device_code, SHELL)
    assert live_workspace.credential_kind == Workspace.CredentialKind.DEVICE
    assert verify_credential(live_workspace, client_for(live_workspace), SHELL)


def test_a_device_login_that_was_declined_changes_nothing(base44: Emulator, live_workspace: Workspace) -> None:
    code = start_device_login(live_workspace)
    decide_login(base44.state, code.user_code, "")
    with pytest.raises(CredentialError, match="declined"):
        finish_device_login(live_workspace, code.device_code, SHELL)
    assert live_workspace.credential_kind == Workspace.CredentialKind.TOKEN


def test_a_login_about_to_end_renews_itself_at_base44(base44: Emulator, live_workspace: Workspace) -> None:
    code = start_device_login(live_workspace)
    decide_login(base44.state, code.user_code, "admin@acme.example")
    finish_device_login(live_workspace, code.device_code, SHELL)
    before = live_workspace.credential.reveal()
    Workspace.objects.update(credential_expires_at=timezone.now())
    client_for(Workspace.objects.get(pk=live_workspace.pk)).list_apps()
    live_workspace.refresh_from_db()
    assert live_workspace.credential.reveal() != before
    assert live_workspace.credential_expires_at is not None
    assert live_workspace.credential_expires_at > timezone.now()


@pytest.mark.django_db
def test_a_login_is_due_shortly_before_its_end_and_not_once_it_is_over() -> None:
    workspace, _ = signed_in()
    now = timezone.now()
    assert due_device_logins(now) == [workspace.pk]
    Workspace.objects.update(credential_expires_at=now + dt.timedelta(minutes=6))
    assert due_device_logins(now) == []
    Workspace.objects.update(credential_expires_at=now, credential_state=Workspace.CredentialState.REFUSED)
    assert due_device_logins(now) == []


@pytest.mark.django_db
def test_a_due_login_is_renewed_before_anybody_needs_it() -> None:
    workspace, _ = signed_in()
    refresh_device_login(workspace.pk, renew=lambda url, tokens: NEXT)
    assert Workspace.objects.get(pk=workspace.pk).credential.reveal() == "access-2"
    assert due_device_logins(timezone.now()) == []
