"""When two e-mail addresses are the same one, or reach the same person: who has which login hangs on it."""

from __future__ import annotations


def plain(address: str) -> str:
    """The address in small letters, with no other sign made into a letter.

    Python makes the sign of the Kelvin a k, PostgreSQL a dotless i an I: whoever has an address with such a sign would
    come in as somebody else.
    """
    return address.strip().encode().lower().decode()


def mailbox(address: str) -> str:
    """Where most mail servers put what is sent there: `ann+more@example.com` is Ann's as `ann@example.com` is."""
    local, at, domain = plain(address).rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"
