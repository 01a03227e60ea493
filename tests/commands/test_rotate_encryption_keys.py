"""rotate_encryption_keys at the shell."""

from __future__ import annotations

import json

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from cryptography.fernet import Fernet
from django.conf import settings
from django.test import override_settings

from connectors.models import Sealed, Token
from tests.commands.conftest import Run
from tests.factories import make_connector, make_project, make_token, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def token() -> Token:
    """Its secrets were written with the key that is now the second."""
    return make_token(make_connector(make_project("crm"), "gmail"), access="access-in-the-clear")


def new_key_in_front() -> override_settings:
    return override_settings(ENCRYPTION_KEYS=[Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS])


def test_check_fails_while_an_old_key_is_needed_and_passes_after(run: Run, token: Token) -> None:
    with new_key_in_front():
        assert run("rotate_encryption_keys", "--check").code == 1
        assert run("rotate_encryption_keys").code == 0
        said = run("rotate_encryption_keys", "--check")
    assert (said.code, "The old keys can go" in said.out) == (0, True)


def test_counts_come_as_json(run: Run, token: Token) -> None:
    with new_key_in_front():
        document = json.loads(run("rotate_encryption_keys", "--json").out)
    assert document == {"rewritten": 3, "current": 0, "unreadable": [], "check": False}


def test_what_no_key_reads_is_named_and_fails(run: Run, token: Token) -> None:
    Token.objects.update(access_token=Sealed("of-no-key"))
    said = run("rotate_encryption_keys")
    assert said.code == 1
    assert f"token {token.pk}: access token" in said.err


def test_no_secret_is_printed(run: Run, token: Token) -> None:
    with new_key_in_front():
        said = run("rotate_encryption_keys", "--json")
    assert "access-in-the-clear" not in said.out + said.err


def test_the_secrets_of_second_factors_are_written_anew_and_still_work(run: Run) -> None:
    user = make_user("alice")
    app, codes = TOTP.activate(user, generate_totp_secret()), RecoveryCodes.activate(user)
    before = (app.instance.data["secret"], codes.generate_codes())
    with new_key_in_front():
        assert json.loads(run("rotate_encryption_keys", "--json").out)["rewritten"] == 2
        first_key_alone = settings.ENCRYPTION_KEYS[:1]
        with override_settings(ENCRYPTION_KEYS=first_key_alone):
            app.instance.refresh_from_db()
            codes.instance.refresh_from_db()
            assert app.instance.data["secret"] != before[0]
            assert codes.generate_codes() == before[1]
