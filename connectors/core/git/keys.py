"""ssh keys: the portal's own for one repository, and those by which hosts prove who they are."""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import SecretStr

from connectors.core.git.terms import Fault, GitError

PUBLISHED_HOST_KEYS = (
    # https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints
    "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
    "[ssh.github.com]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
    # https://docs.gitlab.com/user/gitlab_com/#ssh-host-keys-fingerprints
    "gitlab.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf",
    "[altssh.gitlab.com]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf",
)
"""Lines as in a known_hosts file, which these hosts publish over https."""

MIN_RSA_BITS = 2048

_KEY_TYPE = re.compile(r"ssh-(ed25519|rsa|dss)|ecdsa-sha2-\S+|sk-\S+@openssh\.com")
_PrivateKey = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ssh key. `private` is in OpenSSH's format, `public` the one line that a host's page wants."""

    private: SecretStr
    public: str


def make_deploy_key(comment: str) -> KeyPair:
    """A new ed25519 key. The comment ends the public line, so that people recognise it on the host's page."""
    return _pair(ed25519.Ed25519PrivateKey.generate(), comment)


def read_private_key(text: SecretStr) -> KeyPair:
    """The key that somebody pasted, in OpenSSH's or PEM format.

    Raises GitError(CREDENTIAL) for anything else, and says what it is instead.
    """
    lines = [line.strip() for line in text.get_secret_value().strip().splitlines()]
    content = "\n".join([*lines, ""])
    if _KEY_TYPE.match(content):
        raise _no_key("This is the public half of a key. Paste the private one; its file has no .pub at its end.")
    if content.startswith("PuTTY-User-Key-File"):
        raise _no_key("This key is in PuTTY's format. Export it in OpenSSH's format (PuTTYgen, menu Conversions).")
    if not content.startswith("-----BEGIN "):
        raise _no_key("This is no private key. It starts with a line such as -----BEGIN OPENSSH PRIVATE KEY-----.")
    return _pair(_load(content.encode("utf-8", "replace")), "")


def fingerprint(line: str) -> str:
    """`SHA256:…` as ssh and the hosts' pages show it, of a public key or a line of known_hosts.

    Raises GitError(HOST_KEY) for a line that holds no key.
    """
    fields = line.split()
    for kind, key in itertools.pairwise(fields):
        if _KEY_TYPE.fullmatch(kind):
            try:
                raw = base64.b64decode(key, validate=True)
            except (binascii.Error, ValueError):
                break
            return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
    raise GitError("This line holds no ssh key.", Fault.HOST_KEY, permanent=True)


def _pair(key: _PrivateKey, comment: str) -> KeyPair:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    note = "".join(char for char in " ".join(comment.split()) if char.isprintable())
    return KeyPair(SecretStr(private.decode()), f"{public.decode()} {note}".strip())


def _load(content: bytes) -> _PrivateKey:
    read: Callable[..., object] = (
        serialization.load_ssh_private_key
        if b"OPENSSH PRIVATE KEY" in content.partition(b"\n")[0]
        else serialization.load_pem_private_key
    )
    try:
        key = read(content, password=None)
    except TypeError:
        raise _no_key("The key is protected by a passphrase, which nobody could type here. Use one without.") from None
    except (ValueError, UnsupportedAlgorithm):
        if b"ENCRYPTED" in content:
            raise _no_key("The key is protected by a passphrase; use one without.") from None
        raise _no_key(
            "The private key is damaged or of an unknown kind. Paste all its lines, also first and last."
        ) from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        raise _no_key(f"An RSA key must have {MIN_RSA_BITS:,} bits at least; an ed25519 key is shorter and stronger.")
    if isinstance(key, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return key
    raise _no_key("Keys of this kind are not accepted by git hosts any more. Make an ed25519 key.")


def _no_key(message: str) -> GitError:
    return GitError(message, Fault.CREDENTIAL, permanent=True)
