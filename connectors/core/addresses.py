"""When two e-mail addresses are the same one: who has which login hangs on it."""

from __future__ import annotations


def plain(address: str) -> str:
    """The address in small letters, with no other sign made into a letter.

    Python makes the sign of the Kelvin a k, PostgreSQL a dotless i an I: whoever has an address with such a sign would
    come in as somebody else.
    """
    return address.strip().encode().lower().decode()
