"""Git without a working copy: read a few files of a branch, and write them back as one commit, with the git program."""

from __future__ import annotations

from connectors.core.git.address import Address, guess_host, parse_url
from connectors.core.git.cache import discard
from connectors.core.git.git import Git, opened
from connectors.core.git.keys import (
    PUBLISHED_HOST_KEYS,
    KeyPair,
    fingerprint,
    make_deploy_key,
    read_private_key,
)
from connectors.core.git.ssh import look_up_host_keys
from connectors.core.git.terms import Access, Author, Commit, Fault, GitError, Limits, PathChange, Remote
from connectors.core.git.tree import GitTree

__all__ = [
    "PUBLISHED_HOST_KEYS",
    "Access",
    "Address",
    "Author",
    "Commit",
    "Fault",
    "Git",
    "GitError",
    "GitTree",
    "KeyPair",
    "Limits",
    "PathChange",
    "Remote",
    "discard",
    "fingerprint",
    "guess_host",
    "look_up_host_keys",
    "make_deploy_key",
    "opened",
    "parse_url",
    "read_private_key",
]
