"""How git gets to one repository: by which protocol, to which address that was judged, and with which credential."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr

from connectors.core.git import ssh
from connectors.core.git.address import Address, guess_host, parse_url
from connectors.core.git.judge import judged
from connectors.core.git.terms import Access

# What the hosts want as the user of an access token; others do not look at it.
_USERS = {"github": "x-access-token", "gitlab": "oauth2"}


@dataclass(frozen=True, slots=True)
class Route:
    """The way that one command takes. `config` holds the token: it goes to git's environment and nowhere else."""

    address: Address
    places: tuple[str, ...]
    """Addresses of the host, all of them judged; git connects to these whatever the name says later."""
    config: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    key: SecretStr | None = None
    known_hosts: str = ""

    @contextmanager
    def wrapped(self) -> Iterator[ssh.Wrapped]:
        """What goes around the command: for ssh an agent with the key, else nothing."""
        if self.address.scheme != "ssh":
            yield ssh.Wrapped((), {}, ())
            return
        with ssh.wrapped(self.address, self.places[0], self.key, self.known_hosts) as around:
            yield around


def find(access: Access) -> Route:
    """The way to a repository, after its host's addresses were looked up and judged.

    Raises GitError: ADDRESS for one that must not be reached, UNREACHABLE for a name that is not known just now.
    """
    address = parse_url(access.url, file_urls=access.file_urls)
    if address.scheme == "file":
        return Route(address, ())
    places = judged(address, access.allowed)
    if address.scheme == "ssh":
        return Route(address, places, key=access.deploy_key, known_hosts=access.known_hosts)
    return Route(address, places, config=_http_config(address, places, access))


def _http_config(address: Address, places: tuple[str, ...], access: Access) -> tuple[tuple[str, str], ...]:
    host = f"[{address.host}]" if ":" in address.host else address.host
    pinned = ",".join(f"[{place}]" if ":" in place else place for place in places)
    config = [("http.curloptResolve", f"{host}:{address.port}:{pinned}")]
    if access.token is not None:
        user = access.username or _USERS.get(guess_host(access.url), "git")
        pair = base64.b64encode(f"{user}:{access.token.get_secret_value()}".encode()).decode()
        site = f"{address.scheme}://{host}:{address.port}/"
        config.append((f"http.{site}.extraHeader", f"Authorization: Basic {pair}"))
    return tuple(config)
