"""Names to log in with, for people whose accounts nobody makes by hand."""

from __future__ import annotations

import re

from django.contrib.auth.models import User


def free_username(email: str) -> str:
    """A name to log in with, from the address: `ann.lee@example.com` → `ann.lee`, or `ann.lee2` where that is taken."""
    base = re.sub(r"[^a-z0-9._-]", "", email.partition("@")[0].lower())[:100] or "user"
    taken = {
        name.lower() for name in User.objects.filter(username__istartswith=base).values_list("username", flat=True)
    }
    if base not in taken:
        return base
    return next(name for number in range(2, len(taken) + 3) if (name := f"{base}{number}") not in taken)
