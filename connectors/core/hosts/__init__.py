"""The hosts of repositories (GitHub, GitLab, Gitea and Forgejo): their pull requests and their webhooks."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import SecretStr

from connectors.core import net
from connectors.core.git.address import Address, parse_url
from connectors.core.git.terms import GitError
from connectors.core.hosts import gitea, github, gitlab
from connectors.core.hosts.api import Api, Transport
from connectors.core.hosts.errors import HostError, HostFault, WebhookRefused
from connectors.core.hosts.terms import PULL_REQUESTS, READ, WRITE, Host, PullRequestView, State
from connectors.core.net import Allowed

__all__ = [
    "PULL_REQUESTS",
    "READ",
    "WRITE",
    "Host",
    "HostError",
    "HostFault",
    "PullRequestView",
    "State",
    "Transport",
    "WebhookRefused",
    "host_for",
]


def host_for(
    kind: str, url: str, api_url: str, token: SecretStr, allowed: Allowed, *, transport: Transport = net.ask
) -> Host:
    """The repository at `url` as its host's API shows it to this token; no I/O.

    `kind` is "github", "gitlab" or "gitea". `api_url` is where the API is, "" for the usual place. Raises
    HostError(ADDRESS) for an address that names no repository of such a host.
    """
    address = _parsed(url)
    base = api_url.rstrip("/") or _usual_api(kind, address)
    owner, name = _place(address, base)
    secret = token.get_secret_value().strip()
    if kind == "github":
        return github.GitHub(Api("GitHub", base, secret, github.headers(secret), allowed, transport), owner, name)
    if kind == "gitlab":
        api = Api("GitLab", base, secret, gitlab.headers(secret), allowed, transport)
        return gitlab.GitLab(api, f"{owner}/{name}")
    if kind == "gitea":
        return gitea.Gitea(Api("Gitea", base, secret, gitea.headers(secret), allowed, transport), owner, name)
    raise _refused("This git server has no pull requests that the portal knows how to open.")


def _parsed(url: str) -> Address:
    try:
        return parse_url(url)
    except GitError as error:
        raise _refused(str(error)) from None


def _usual_api(kind: str, address: Address) -> str:
    web = urlsplit(address.web_url)
    origin = f"{web.scheme}://{web.netloc}"
    usual = {"github": github.default_api, "gitlab": gitlab.default_api, "gitea": gitea.default_api}.get(kind)
    return usual(web.hostname or "", origin) if usual else origin


def _place(address: Address, base: str) -> tuple[str, str]:
    """Owner and name as the API knows them: a host below a path of its web server has that path in clone URLs too."""
    owner, name = address.owner_and_name
    below = urlsplit(base).path.partition("/api/")[0].strip("/")
    if below and owner.startswith(f"{below}/"):
        owner = owner.removeprefix(f"{below}/")
    if not owner or not name:
        raise _refused("The address must name the repository and its owner, like https://host/owner/name.git.")
    return owner, name


def _refused(message: str) -> HostError:
    return HostError(message, HostFault.ADDRESS, permanent=True)
