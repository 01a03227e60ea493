"""What git, ssh and the hosts say when something fails, and what that means to the person who set the repository up.

A server's text can hold anything, so none of it is repeated: it only decides which of our sentences is shown. The
wordings are git's and OpenSSH's own, GitHub's (GH006, deploy keys), GitLab's
(lib/gitlab/git_access.rb) and Gitea's (routers/private/serv.go, hook_pre_receive.go).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.core.git.terms import Fault, GitError


class BrokenCacheError(GitError):
    """The portal's own copy is damaged, or lacks what the server should have sent: made anew, it may work."""

    def __init__(self) -> None:
        super().__init__(
            "The portal's copy of the repository was damaged and could not be made anew. Please try again.",
            Fault.OTHER,
            permanent=False,
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    says: re.Pattern[str]
    fault: Fault
    message: str
    permanent: bool = True
    pushing: bool | None = None
    """True: only while writing; False: only while reading; None: whichever."""


def _rule(fault: Fault, message: str, *says: str, permanent: bool = True, pushing: bool | None = None) -> _Rule:
    return _Rule(re.compile("|".join(says), re.IGNORECASE), fault, message, permanent, pushing)


_MAY_NOT_WRITE = (
    "The credential may read the repository but not write to it. Give the deploy key or token write access at the host."
)

# The first that fits counts: what names its cause exactly stands before what only follows from it.
_RULES = (
    _rule(
        Fault.LIMIT,
        "The repository sends more than the portal takes at once (GIT_MAX_MB).",
        r"file too large", r"died of signal (25|153)", r"attempting to allocate", r"out of memory", r"file size limit",
    ),
    _rule(Fault.OTHER, "The disk of the portal is full.", r"no space left on device", permanent=False),
    _rule(
        Fault.OTHER,
        "The repository names its objects by SHA-256, which the portal does not support yet.",
        r"mismatched algorithms", r"unknown object format", r"unknown hash algorithm",
    ),
    _rule(
        Fault.NO_GIT,
        "ssh refuses to work for a user that the machine does not know. Add the portal's user to /etc/passwd there.",
        r"no user exists for uid", r"you don't exist",
    ),
    _rule(
        Fault.HOST_KEY,
        "The host {host} has another key than the one that is known for it. If it was not changed on purpose, somebody "
        "may be listening in; if it was, look up and confirm its key again.",
        r"remote host identification has changed", r"revoked host key", r"host key for \S+ has changed",
    ),
    _rule(
        Fault.HOST_KEY,
        "The key of the host {host} is not known yet. Look it up and confirm it.",
        r"host key verification failed", r"no \S+ host key is known", r"host key is not cached",
    ),
    _rule(
        Fault.MOVED,
        "Somebody else wrote to the branch in the meantime.",
        r"\(stale info\)", r"\(fetch first\)", r"\(non-fast-forward\)", r"\(needs force\)", r"\(remote ref updated",
        r"cannot lock ref", r"failed to update ref", r"reference already exists", r"incorrect old value provided",
        r"remote ref does not exist", r"unable to resolve reference",
        permanent=False,
        pushing=True,
    ),
    _rule(
        Fault.READ_ONLY,
        "The repository is archived or a mirror at its host, so nobody can write to it.",
        r"archived", r"mirror repository \S+ is read-only",
    ),
    _rule(
        Fault.READ_ONLY,
        _MAY_NOT_WRITE,
        r"denied to deploy key", r"marked as read only", r"does not have write access", r"write access .* not granted",
        r"not allowed to push code to this project", r"deploy keys are not allowed to push",
        r"you are not allowed to push code\.", r"not authorized to write to", r"permission denied for writing",
        r"permission to \S+ denied to", r"you do not have permission to push", r"service not enabled",
    ),
    _rule(
        Fault.READ_ONLY,
        _MAY_NOT_WRITE,
        r"returned error: 403", pushing=True,
    ),
    _rule(
        Fault.PROTECTED,
        "The host's rules keep the portal from writing to this branch. Let it in there, or have the portal open pull "
        "requests instead.",
        r"GH006", r"GH013", r"protected branch", r"rule violations", r"hook declined", r"prohibited by gerrit",
        r"refusing to update checked out branch", r"branch is currently checked out", r"deletion prohibited",
        r"denying (non-fast-forward|ref deletion)", r"push declined", r"\[remote rejected\]",
    ),
    _rule(
        Fault.CREDENTIAL,
        "The deploy key could not be used. Make a new one, or paste another.",
        r"error loading key", r"could not add identity", r"sign_and_send_pubkey", r"agent refused operation",
    ),
    _rule(
        Fault.CREDENTIAL,
        "The host did not accept the credential. It may be wrong, expired, or not allowed for this repository.",
        r"could not read (username|password)", r"authentication failed", r"http basic: access denied",
        r"permission denied \(", r"returned error: 40[137]", r"invalid username or (token|password)",
        r"password authentication (was removed|is not supported)", r"too many authentication failures",
        r"no supported authentication", r"not allowed to download code", r"not authorized to read",
    ),
    _rule(
        Fault.ADDRESS,
        "The repository has moved to another address. Enter the new one; the portal does not follow by itself.",
        r"returned error: 30\d", r"unable to update url base from redirection",
    ),
    _rule(
        Fault.ADDRESS,
        "Addresses of this kind are not allowed.",
        r"transport '\w+' not allowed",
    ),
    _rule(
        Fault.NO_REPOSITORY,
        "There is no such repository, or the credential may not see it.",
        r"repository .*not found", r"not appear to be a git repository", r"returned error: (404|410)",
        r"could not be found", r"cannot find repository", r"no such repository", r"valid repository name",
        r"is this a git repository",
    ),
    _rule(
        Fault.NO_BRANCH,
        "The repository has no branch of this name.",
        r"couldn't find remote ref", r"remote branch \S+ not found",
    ),
    _rule(
        Fault.UNREACHABLE,
        "The certificate of {host} is not valid for this name, or nobody trusts it.",
        r"certificate", r"SSL: no alternative",
    ),
    _rule(
        Fault.UNREACHABLE,
        "The host {host} asks for fewer requests. The portal will try again later.",
        r"returned error: 429", r"rate limit", permanent=False,
    ),
    _rule(
        Fault.UNREACHABLE,
        "The host {host} has a problem of its own. The portal will try again later.",
        r"returned error: 5\d\d", r"internal server error", permanent=False,
    ),
    _rule(
        Fault.UNREACHABLE,
        "The host {host} could not be reached, or broke the connection.",
        r"could not resolve", r"failed to connect", r"couldn't connect", r"connection (refused|timed out|reset|closed)",
        r"connection to \S+ closed", r"timed out", r"timeout", r"network is unreachable", r"no route to host",
        r"early eof", r"unexpected disconnect", r"hung up", r"rpc failed", r"empty reply", r"transfer closed",
        r"kex_exchange_identification", r"bytes? of body are still expected", r"(TLS|SSL) connect", r"gnutls",
        r"could not read from remote repository", r"expected flush after", r"protocol error", r"bad line length",
        r"invalid server response", r"unable to access",
        permanent=False,
    ),
    _rule(
        Fault.HOSTILE,
        "The repository holds something that no honest one does, or what came of it is damaged. Nothing was read.",
        r"fsck error", r"invalid index-pack output", r"index-pack failed", r"non-commit object", r"pack (has|is) ",
        r"inflate", r"died of signal", r"bad pack", r"fatal: \S+: (has dot|full path)",
    ),
    _rule(
        Fault.OTHER,
        "The server no longer has what it listed a moment ago. Please try again.",
        r"not our ref", r"unadvertised object", permanent=False,
    ),
)  # fmt: skip


def explain(said: str, host: str, *, pushing: bool = False) -> GitError:
    """The error for what git wrote when a command that talks to a server failed. No I/O.

    Example: "remote: error: GH006: Protected branch update failed" -> PROTECTED, with what to do about it.
    """
    for rule in _RULES:
        if rule.pushing in (None, pushing) and rule.says.search(said):
            return GitError(rule.message.format(host=host or "it"), rule.fault, permanent=rule.permanent)
    return GitError(
        "Git could not do what was asked, and its answer is not one that the portal knows.",
        Fault.OTHER,
        permanent=False,
    )
