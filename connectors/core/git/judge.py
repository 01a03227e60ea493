"""Whether git may go to a host: `core.net` decides, for https as for ssh."""

from __future__ import annotations

from connectors.core import net
from connectors.core.git.address import Address, refused
from connectors.core.git.terms import Fault, GitError


def judged(address: Address, allowed: net.Allowed) -> tuple[str, ...]:
    """The addresses that the host's name has now, all of them such as may be reached.

    Raises GitError: ADDRESS when one must not be, or for http to a host that is not allowed to be talked to openly;
    UNREACHABLE for a name that is not known just now.
    """
    try:
        if address.scheme == "ssh":
            return net.judge_host(address.host, address.port, allowed)
        return net.judge(address.url, allowed).addresses
    except net.AddressRefusedError as error:
        raise refused(str(error)) from None
    except net.NoAnswerError as error:
        raise GitError(str(error), Fault.UNREACHABLE, permanent=False) from None
