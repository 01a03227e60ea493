"""A repository's address as people paste it: what its parts are, and which ones git is never given.

git reads some texts as orders (`--upload-pack=…`, `ext::sh -c …`), so only https, http, ssh and, by setting, file
addresses of a plain form come through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from connectors.core.git.terms import Fault, GitError

MAX_URL = 500
PORTS = {"https": 443, "http": 80, "ssh": 22, "file": 0}

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_SCP_LIKE = re.compile(r"(?P<user>[A-Za-z0-9_][\w.+-]*)@(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\]):(?P<path>[^:].*)")
_USER = re.compile(r"[A-Za-z0-9_][\w.+-]*")
# No dot at its end: git would look such a name up again, and not keep to the address that was judged.
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
# ssh through the port of https, as GitHub and GitLab.com offer it, has a host name of its own.
_WEB_HOSTS = {"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a repository is. `url` is what git is given; `path` starts with / except in `git@host:owner/name`.

    `user` is ssh's, "" for the others: https gets its user from the credential.
    """

    scheme: str
    user: str
    host: str
    port: int
    path: str
    url: str

    @property
    def owner_and_name(self) -> tuple[str, str]:
        """`git@host:group/sub/repo.git` -> ("group/sub", "repo"); the owner is "" for a path of one part."""
        owner, _, name = unquote(self.path).strip("/").removesuffix(".git").rpartition("/")
        return owner, name

    @property
    def web_url(self) -> str:
        """Where people look at the repository; "" for file addresses. A guess for ssh: its web pages use https."""
        if self.scheme == "file":
            return ""
        scheme = "https" if self.scheme == "ssh" else self.scheme
        port = "" if self.scheme == "ssh" or self.port == PORTS[scheme] else f":{self.port}"
        host = _WEB_HOSTS.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}{port}/{self.path.strip('/').removesuffix('.git')}"

    @property
    def label(self) -> str:
        """How messages call the repository: `owner/name`."""
        return "/".join(part for part in self.owner_and_name if part)


def parse_url(url: str, *, file_urls: bool = False) -> Address:
    """The parts of `https://host/owner/name.git`, `ssh://git@host/…` or `git@host:owner/name.git`; no I/O.

    Raises GitError(ADDRESS) for everything else: other schemes, a user or password in an https address (they have
    fields of their own, where they are encrypted), and whatever git or ssh could take for an option.
    """
    text = url.strip()
    if len(text) > MAX_URL or not _PRINTABLE.fullmatch(text) or "\\" in text:
        raise refused("The address is empty or too long, or holds spaces or characters that an address must not hold.")
    scp_like = None if "://" in text else _SCP_LIKE.fullmatch(text)
    if scp_like:
        return _checked("ssh", scp_like["user"], scp_like["host"].strip("[]"), 22, scp_like["path"], text)
    return _parse_schemed(text, file_urls=file_urls)


def guess_host(url: str) -> str:
    """Which host's software is behind an address: "github", "gitlab", "gitea" or "plain". Looks at the name only."""
    try:
        host = parse_url(url, file_urls=True).host
    except GitError:
        return "plain"
    if _WEB_HOSTS.get(host, host) == "github.com":
        return "github"
    if "gitlab" in host:
        return "gitlab"
    if host == "codeberg.org" or "gitea" in host or "forgejo" in host:
        return "gitea"
    return "plain"


def refused(message: str) -> GitError:
    """The address cannot or must not be used; `message` says why."""
    return GitError(message, Fault.ADDRESS, permanent=True)


def _parse_schemed(text: str, *, file_urls: bool) -> Address:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise refused("The address is not well-formed.") from None
    scheme = parts.scheme
    if scheme not in PORTS or "://" not in text or "?" in text or "#" in text or port == 0:
        raise refused("The address must look like https://host/owner/name.git or git@host:owner/name.git.")
    if scheme == "file":
        return _file(text, parts.netloc, parts.path, allowed=file_urls)
    if parts.password is not None or (scheme != "ssh" and "@" in parts.netloc):
        raise refused("Leave out what stands before the @: the token and its user name have fields of their own.")
    if scheme == "ssh" and not parts.username:
        parts = parts._replace(netloc=f"git@{parts.netloc}")  # ssh would offer the portal's own user name
    return _checked(scheme, parts.username or "", host, port or PORTS[scheme], parts.path, parts.geturl())


def _file(text: str, netloc: str, path: str, *, allowed: bool) -> Address:
    if not allowed:
        raise refused("Repositories on the portal's own disk are not allowed here (GIT_ALLOW_FILE_URLS).")
    if netloc or not path.startswith("/"):
        raise refused("A file address must look like file:///srv/git/name.git.")
    return Address("file", "", "", 0, unquote(path), text)


def _checked(scheme: str, user: str, host: str, port: int, path: str, url: str) -> Address:
    plain = unquote(path, errors="replace")
    parts = plain.strip("/").split("/")
    if not _HOST.fullmatch(host.lower()) or (user and not _USER.fullmatch(user)):
        raise refused("The host or the user name in the address is not a possible one.")
    if not plain.isprintable() or plain.startswith("-") or any(part in ("", ".", "..") for part in parts):
        raise refused("The address must name the repository after the host, like https://host/owner/name.git.")
    return Address(scheme, user, host.lower(), port, path, url)
