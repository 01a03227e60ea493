"""Names to log in with: free ones for people whose accounts nobody makes by hand, and whose an address is."""

from __future__ import annotations

import re

from django.contrib.auth.models import User

from connectors.core.addresses import plain


def free_username(email: str) -> str:
    """A name to log in with, from the address: `ann.lee@example.com` → `ann.lee`, or `ann.lee2` where that is taken."""
    base = re.sub(r"[^a-z0-9._-]", "", email.partition("@")[0].lower())[:100] or "user"
    taken = {
        name.lower() for name in User.objects.filter(username__istartswith=base).values_list("username", flat=True)
    }
    if base not in taken:
        return base
    return next(name for number in range(2, len(taken) + 3) if (name := f"{base}{number}") not in taken)


def users_with(address: str) -> list[User]:
    """Everybody who has this e-mail address, in whatever capitals."""
    # The database knows of capitals more than `plain` allows, and never less.
    return [user for user in User.objects.filter(email__iexact=address.strip()) if plain(user.email) == plain(address)]
