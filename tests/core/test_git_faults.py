"""What git, ssh and the hosts say, as they really say it, and what the portal makes of it."""

from __future__ import annotations

import pytest

from connectors.core.git.faults import explain
from connectors.core.git.terms import Fault

HUNG_UP = "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\n"
REJECTED = "!\tabc:refs/heads/main\t[remote rejected] (pre-receive hook declined)\nerror: failed to push some refs"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("fatal: unable to access 'https://h/a/b/': Could not resolve host: h", Fault.UNREACHABLE),
        (
            "fatal: unable to access 'https://h/a/b/': Failed to connect to h port 443: Connection refused",
            Fault.UNREACHABLE,
        ),
        (
            "fatal: unable to access 'https://h/a/b/': SSL certificate problem: self-signed certificate",
            Fault.UNREACHABLE,
        ),
        ("fatal: unable to access 'https://h/a/b/': The requested URL returned error: 502", Fault.UNREACHABLE),
        ("fatal: unable to access 'https://h/a/b/': The requested URL returned error: 429", Fault.UNREACHABLE),
        (
            (
                "error: RPC failed; curl 18 transfer closed\nfatal: early EOF\nfatal: fetch-pack: invalid "
                "index-pack output"
            ),
            Fault.UNREACHABLE,
        ),
        ("kex_exchange_identification: Connection closed by remote host\n" + HUNG_UP, Fault.UNREACHABLE),
        ("ssh: connect to host h port 22: Connection timed out\n" + HUNG_UP, Fault.UNREACHABLE),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", Fault.CREDENTIAL),
        (
            (
                "remote: HTTP Basic: Access denied. The provided password or token is incorrect\nfatal: "
                "Authentication failed for 'https://gitlab.com/a/b.git/'"
            ),
            Fault.CREDENTIAL,
        ),
        (
            "remote: Invalid username or token. Password authentication is not supported for Git operations.",
            Fault.CREDENTIAL,
        ),
        ("git@github.com: Permission denied (publickey).\n" + HUNG_UP, Fault.CREDENTIAL),
        ('Error loading key "(stdin)": error in libcrypto', Fault.CREDENTIAL),
        ("fatal: unable to access 'https://h/a/b/': The requested URL returned error: 403", Fault.CREDENTIAL),
        (
            "remote: Repository not found.\nfatal: repository 'https://github.com/a/b.git/' not found",
            Fault.NO_REPOSITORY,
        ),
        ("ERROR: Repository not found.\n" + HUNG_UP, Fault.NO_REPOSITORY),
        (
            "remote: ERROR: The project you were looking for could not be found or you don't have "
            "permission to view it.\n" + HUNG_UP,
            Fault.NO_REPOSITORY,
        ),
        ("Gitea: Cannot find repository: acme/shop\n" + HUNG_UP, Fault.NO_REPOSITORY),
        ("fatal: '/srv/a' does not appear to be a git repository\n" + HUNG_UP, Fault.NO_REPOSITORY),
        ("fatal: https://h/a/b/info/refs not valid: is this a git repository?", Fault.NO_REPOSITORY),
        ("fatal: couldn't find remote ref refs/heads/main", Fault.NO_BRANCH),
        (
            "No ED25519 host key is known for h and you have requested strict checking.\nHost key "
            "verification failed.\n" + HUNG_UP,
            Fault.HOST_KEY,
        ),
        (
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.\n" + HUNG_UP,
            Fault.HOST_KEY,
        ),
        ("fatal: unable to access 'https://h/a/b/': The requested URL returned error: 301", Fault.ADDRESS),
        ("fatal: transport 'ext' not allowed", Fault.ADDRESS),
        ("No user exists for uid 12345\n" + HUNG_UP, Fault.NO_GIT),
        ("fatal: mismatched algorithms: client sha1; server sha256", Fault.OTHER),
        ("fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output", Fault.OTHER),
        ("error: index-pack died of signal 25\nfatal: fetch-pack: invalid index-pack output", Fault.LIMIT),
        ("fatal: write error: File too large\nfatal: fetch-pack: invalid index-pack output", Fault.LIMIT),
        (
            (
                "error: object 1: hasDotdot: contains '..'\nfatal: fsck error in packed object\nfatal: "
                "fetch-pack: invalid index-pack output"
            ),
            Fault.HOSTILE,
        ),
        ("something that nobody has seen yet", Fault.OTHER),
    ],
)
def test_reading_fails_for_a_reason(said: str, fault: Fault) -> None:
    assert explain(said, "h").fault is fault


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("!\ta:refs/heads/main\t[rejected] (stale info)\nerror: failed to push some refs", Fault.MOVED),
        ("!\ta:refs/heads/main\t[rejected] (fetch first)\nerror: failed to push some refs", Fault.MOVED),
        (
            "!\ta:refs/heads/main\t[remote rejected] (cannot lock ref 'refs/heads/main': is at 1 but expected 2)",
            Fault.MOVED,
        ),
        ("!\ta:refs/heads/main\t[remote rejected] (failed to update ref)", Fault.MOVED),
        ("!\ta:refs/heads/main\t[remote rejected] (incorrect old value provided)", Fault.MOVED),
        ("!\ta:refs/heads/new\t[remote rejected] (reference already exists)", Fault.MOVED),
        ("remote: error: GH006: Protected branch update failed for refs/heads/main.\n" + REJECTED, Fault.PROTECTED),
        ("remote: error: GH013: Repository rule violations found for refs/heads/main.\n" + REJECTED, Fault.PROTECTED),
        (
            "remote: GitLab: You are not allowed to push code to protected branches on this project.\n" + REJECTED,
            Fault.PROTECTED,
        ),
        ("remote: Gitea: Not allowed to push to protected branch main\n" + REJECTED, Fault.PROTECTED),
        (REJECTED, Fault.PROTECTED),
        ("!\ta:refs/heads/main\t[remote rejected] (branch is currently checked out)", Fault.PROTECTED),
        ("ERROR: Permission to acme/shop.git denied to deploy key\n" + HUNG_UP, Fault.READ_ONLY),
        ("ERROR: The key you are authenticating with has been marked as read only.\n" + HUNG_UP, Fault.READ_ONLY),
        (
            (
                "remote: Permission to acme/shop.git denied to mira.\nfatal: unable to access "
                "'https://github.com/acme/shop.git/': The requested URL returned error: 403"
            ),
            Fault.READ_ONLY,
        ),
        (
            (
                "remote: Write access to repository not granted.\nfatal: unable to access "
                "'https://github.com/acme/shop.git/': The requested URL returned error: 403"
            ),
            Fault.READ_ONLY,
        ),
        (
            (
                "remote: This repository was archived so it is read-only.\nfatal: unable to access "
                "'https://github.com/': The requested URL returned error: 403"
            ),
            Fault.READ_ONLY,
        ),
        ("remote: ERROR: This deploy key does not have write access to this project.\n" + HUNG_UP, Fault.READ_ONLY),
        ("remote: GitLab: You are not allowed to push code to this project.\n" + REJECTED, Fault.READ_ONLY),
        ("Gitea: Deploy Key: 3:portal is not authorized to write to acme/shop.\n" + HUNG_UP, Fault.READ_ONLY),
        ("fatal: unable to access 'https://h/a/b/': The requested URL returned error: 403", Fault.READ_ONLY),
        ("fatal: unable to access 'https://h/a/b/': The requested URL returned error: 401", Fault.CREDENTIAL),
        ("git@h: Permission denied (publickey).\n" + HUNG_UP, Fault.CREDENTIAL),
    ],
)
def test_writing_fails_for_a_reason(said: str, fault: Fault) -> None:
    assert explain(said, "h", pushing=True).fault is fault


@pytest.mark.parametrize(
    ("said", "is_permanent"),
    [
        ("fatal: Could not resolve host: h", False),
        ("The requested URL returned error: 503", False),
        ("SSL certificate problem: certificate has expired", True),
        ("fatal: Authentication failed for 'https://h/'", True),
        ("nobody knows", False),
    ],
)
def test_what_may_pass_by_itself_is_told_from_what_needs_somebody(said: str, is_permanent: bool) -> None:
    assert explain(said, "h").permanent is is_permanent


def test_nothing_that_the_server_said_is_repeated() -> None:
    error = explain(
        "remote: token=abcdef {host} GH006: Protected branch update failed for secret-name", "h", pushing=True
    )
    assert not any(word in str(error) for word in ("abcdef", "secret-name", "{host}"))
