"""Where at each host a token, deploy key or webhook is entered, and what it must be allowed to do.

Sources: docs.github.com (fine-grained tokens, deploy keys, webhooks), docs.gitlab.com (project access tokens, deploy
keys, webhook events), docs.gitea.com and forgejo.org/docs (access token scopes, webhooks).
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.core.git import Address, GitError, parse_url
from connectors.models import Repository

Host = Repository.Host


@dataclass(frozen=True, slots=True)
class HostWords:
    """How a host calls things, and where they are. Addresses start at the repository's page; "" when nobody knows.

    `requests` is what it calls pull requests. `token` says where a token is made, `rights` what it needs to read and
    write, `pull_rights` what more for pull requests.
    """

    requests: str
    token: str
    rights: str
    pull_rights: str
    key: str
    key_address: str
    webhook: str
    webhook_address: str
    webhook_events: str


WORDS = {
    Host.GITHUB: HostWords(
        requests="Pull requests",
        token="Settings › Developer settings › Personal access tokens › Fine-grained tokens, for this repository only",  # noqa: S106
        rights="Contents: Read and write",
        pull_rights="Pull requests: Read and write",
        key="Settings › Deploy keys › Add deploy key, with “Allow write access” ticked",
        key_address="/settings/keys/new",
        webhook="Settings › Webhooks › Add webhook, with the content type application/json",
        webhook_address="/settings/hooks/new",
        webhook_events="Just the push event; with pull requests also “Pull requests”",
    ),
    Host.GITLAB: HostWords(
        requests="Merge requests",
        token="the project's Settings › Access tokens, with the role Developer (Maintainer for a protected branch)",  # noqa: S106
        rights="the scope write_repository",
        pull_rights="the scope api, which merge requests need",
        key="Settings › Repository › Deploy keys, with “Grant write permissions to this key” ticked",
        key_address="/-/settings/repository",
        webhook="Settings › Webhooks › Add new webhook; the secret is its “Signing token”, or else “Secret token”",
        webhook_address="/-/hooks",
        webhook_events="Push events for this branch; with merge requests also “Merge request events”",
    ),
    Host.GITEA: HostWords(
        requests="Pull requests",
        token="your settings › Applications › Generate new token",  # noqa: S106
        rights="repository: Read and Write",
        pull_rights="the same; user: Read lets the portal show whose token it is",
        key="Settings › Deploy Keys › Add Deploy Key, with “Enable Write Access” ticked",
        key_address="/settings/keys",
        webhook="Settings › Webhooks › Add Webhook (Gitea or Forgejo), with the content type application/json",
        webhook_address="/settings/hooks",
        webhook_events="Push events; with pull requests also “Pull Request”",
    ),
    Host.PLAIN: HostWords(
        requests="Pull requests",
        token="wherever your server hands out passwords or tokens for git over https",  # noqa: S106
        rights="reading and writing this repository",
        pull_rights="",
        key="the server's list of keys that may read and write this repository, often ~/.ssh/authorized_keys",
        key_address="",
        webhook="",
        webhook_address="",
        webhook_events="",
    ),
}


def words_of(repository: Repository) -> HostWords:
    """The words of the repository's host."""
    return WORDS[Host(repository.host)]


def request_words(repository: Repository) -> str:
    """What the host calls a pull request."""
    return "merge request" if repository.host == Repository.Host.GITLAB else "pull request"


def web_url(repository: Repository) -> str:
    """The repository's page at its host; "" when there is none, or nobody knows where it is."""
    address = _address(repository)
    return address.web_url if address and repository.host != Host.PLAIN else ""


def place_of(repository: Repository) -> str:
    """Host and name, to tell one repository from another: `github.com/acme/apps`; the URL itself when it is odd."""
    address = _address(repository)
    return "/".join(filter(None, (address.host, address.label))) if address else repository.url


def is_ssh(repository: Repository) -> bool:
    """Whether a deploy key opens it, and not a token."""
    address = _address(repository)
    return address is not None and address.scheme == "ssh"


def _address(repository: Repository) -> Address | None:
    try:
        return parse_url(repository.url, file_urls=True)
    except GitError:
        return None
