"""How the ledger is searched: words are looked up in the small tables first, never in its hundred thousands of rows."""

from __future__ import annotations

from django.db import connection
from django.db.models import Q

from .catalogue_scope import CatalogueScope
from .connector import named_like
from .ledger import LedgerEntry

MAX_SCOPES = 5_000
"""Different scopes in use up to which words are compared with each of them; beyond it the database has to."""


def entries_with(text: str) -> list[Q]:
    """A condition for each word: it stands in the name of the project or type, in the scope, or in what that allows.

    So "send mail" finds `gmail.send`, whose title is "Send email on your behalf".
    """
    words = text.split()
    in_use = scopes_in_use(MAX_SCOPES + 1) if words else []
    return [named_like(word) | _about(word, in_use) for word in words]


def scopes_in_use(limit: int) -> list[str]:
    """The different scopes of the ledger, at most `limit`: jumps along the index from one to the next.

    A DISTINCT would read every row on both databases.
    """
    table = connection.ops.quote_name(LedgerEntry._meta.db_table)
    jumps = f"""
        WITH RECURSIVE found(scope) AS (
            SELECT min(scope) FROM {table}
            UNION ALL
            SELECT (SELECT min(scope) FROM {table} WHERE scope > found.scope) FROM found WHERE found.scope IS NOT NULL
        )
        SELECT scope FROM found WHERE scope IS NOT NULL LIMIT %s
    """  # noqa: S608 - the table's name is Django's
    with connection.cursor() as cursor:
        cursor.execute(jumps, [limit])
        return [scope for (scope,) in cursor.fetchall()]


def _about(word: str, in_use: list[str]) -> Q:
    """Entries whose scope holds the word, or allows what the word says by the catalogue's title for it."""
    entitled = set(CatalogueScope.objects.filter(title__icontains=word).values_list("provider", "name"))
    names = {name for _, name in entitled}
    elsewhere = set(
        CatalogueScope.objects.filter(name__in=names).exclude(title__icontains=word).values_list("name", flat=True)
    )
    found = Q(scope__in=sorted({name for name in in_use if word.lower() in name.lower()} | (names - elsewhere)))
    if len(in_use) > MAX_SCOPES:
        found |= Q(scope__icontains=word)
    # One name can mean different things: `content` is about e-mails at HubSpot and not at Salesforce.
    for provider, name in sorted(entitled):
        if name in elsewhere:
            found |= Q(provider=provider, scope=name)
    return found
