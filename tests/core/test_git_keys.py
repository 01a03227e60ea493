"""ssh keys: made, pasted, and shown by their fingerprints. Every key here is made when the test runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from pydantic import SecretStr

from connectors.core.git import (
    PUBLISHED_HOST_KEYS,
    Fault,
    GitError,
    fingerprint,
    make_deploy_key,
    read_private_key,
)


def pem(key: s.PrivateFormat, private: object, *, passphrase: bytes = b"") -> SecretStr:
    lock = s.BestAvailableEncryption(passphrase) if passphrase else s.NoEncryption()
    return SecretStr(private.private_bytes(s.Encoding.PEM, key, lock).decode())  # type: ignore[attr-defined]


def refusal(text: SecretStr) -> str:
    with pytest.raises(GitError) as error:
        read_private_key(text)
    assert error.value.fault is Fault.CREDENTIAL
    return str(error.value)


def test_a_new_key_is_read_by_ssh_itself(tmp_path: Path) -> None:
    pair = make_deploy_key("portal for acme/shop\n")
    file = tmp_path / "key"
    file.write_text(pair.private.get_secret_value())
    file.chmod(0o600)
    shown = subprocess.run(["ssh-keygen", "-y", "-f", str(file)], capture_output=True, text=True, check=True).stdout
    assert pair.public == " ".join([*shown.split()[:2], "portal for acme/shop"])


def test_two_new_keys_differ() -> None:
    assert make_deploy_key("a").public != make_deploy_key("a").public


def test_the_private_half_is_not_shown() -> None:
    pair = make_deploy_key("a")
    assert "PRIVATE" not in repr(pair)


@pytest.mark.parametrize("form", [s.PrivateFormat.OpenSSH, s.PrivateFormat.PKCS8, s.PrivateFormat.TraditionalOpenSSL])
def test_a_pasted_key_is_taken_in_every_usual_format(form: s.PrivateFormat) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pair = read_private_key(pem(form, key))
    assert pair.public.startswith("ecdsa-sha2-nistp256 ")
    assert "OPENSSH" in pair.private.get_secret_value()


def test_windows_line_ends_and_indents_do_no_harm() -> None:
    pair = make_deploy_key("")
    text = "  " + pair.private.get_secret_value().replace("\n", "\r\n  ")
    assert read_private_key(SecretStr(text)).public == pair.public


@pytest.mark.parametrize("form", [s.PrivateFormat.PKCS8, s.PrivateFormat.TraditionalOpenSSL])
def test_a_pem_key_with_a_passphrase_is_refused_in_words(form: s.PrivateFormat) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    assert "passphrase" in refusal(pem(form, key, passphrase=b"secret"))


def test_an_openssh_key_with_a_passphrase_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(file)], check=True)
    assert "passphrase" in refusal(SecretStr(file.read_text()))


def test_other_things_are_called_what_they_are() -> None:
    pair = make_deploy_key("mira@laptop")
    assert "public half" in refusal(SecretStr(pair.public))
    assert "PuTTY" in refusal(SecretStr("PuTTY-User-Key-File-3: ssh-ed25519"))
    assert "no private key" in refusal(SecretStr("hello"))
    assert "no private key" in refusal(SecretStr(""))
    assert "damaged" in refusal(SecretStr(pair.private.get_secret_value()[:100]))


def test_weak_and_outdated_keys_are_refused() -> None:
    assert "2,048" in refusal(pem(s.PrivateFormat.PKCS8, rsa.generate_private_key(65537, 1024)))  # noqa: S505
    assert "ed25519" in refusal(pem(s.PrivateFormat.PKCS8, dsa.generate_private_key(1024)))  # noqa: S505


def test_a_refusal_never_repeats_what_was_pasted() -> None:
    text = make_deploy_key("").private.get_secret_value()
    assert text.splitlines()[1] not in refusal(SecretStr(text[:150]))


def test_the_fingerprints_are_those_that_the_hosts_publish() -> None:
    assert [fingerprint(line) for line in PUBLISHED_HOST_KEYS] == [
        "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
        "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
        "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
        "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
    ]


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 !!!", "github.com nothing AAAA"])
def test_a_line_without_a_key_has_no_fingerprint(line: str) -> None:
    with pytest.raises(GitError, match="no ssh key"):
        fingerprint(line)
