"""Take away what this host keeps of repositories that are gone: other people's files must not outlive their row."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from connectors.core.git import discard
from connectors.models import Repository


def prune() -> int:
    """Removes the caches without a repository from this host, and gives how many; one in use is left for next time.

    Deleting a repository removes its cache on one host only: the others come to it here.
    """
    found = {path.name.removesuffix(".lock") for path in Path(settings.GIT_CACHE_DIR).glob("*")}
    ids = {int(name) for name in found if name.isdecimal()}
    known = set(Repository.objects.filter(pk__in=ids).values_list("pk", flat=True))
    return sum(discard(Path(settings.GIT_CACHE_DIR) / str(pk)) for pk in sorted(ids - known))
