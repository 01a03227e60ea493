"""Check an archive of a repository's files, as a build sends it, against the projects that have their place there."""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import SecretStr

from connectors.core.config_files import ProjectFiles, locate_at, read_zip
from connectors.core.config_files.tree import Tree
from connectors.core.crypto import fingerprint
from connectors.core.errors import ConfigFileError, Refused
from connectors.core.lock_file import lock_path
from connectors.flows.check_files import CheckResult, ToCheck, check_all
from connectors.models import Placement, Repository


@dataclass(frozen=True, slots=True)
class PlaceChecked:
    """What came of one project's place in the archive."""

    placement: Placement
    result: CheckResult


def repository_with(token: SecretStr) -> Repository | None:
    """The repository that this check token is for; None when it is for none. Only hashes are compared."""
    wanted = fingerprint(token.get_secret_value())
    repository = Repository.objects.filter(check_token_hash=wanted).first()
    if repository is None or not hmac.compare_digest(repository.check_token_hash, wanted):
        return None
    return repository


def check_archive(repository: Repository, archive: bytes, now: dt.datetime) -> tuple[PlaceChecked, ...]:
    """Every project of the repository, in the order of their places, against its files in a zip archive of the top.

    Changes nothing, and says nothing of any other project. Raises ConfigFileError for what is no archive or a hostile
    one, and Refused when there is nothing to compare.
    """
    tree = read_zip(archive, "the archive")
    placements = list(repository.placements.select_related("project").order_by("path", "pk"))
    if not placements:
        raise Refused(f"No project of the portal has its place in {repository} yet: add one there.")
    if not tree.entries(""):
        raise Refused("The archive is empty. Make it at the repository's top, of the folders that the projects lie in.")
    found = dict(_located(tree, placements))
    asked = [found[placement.pk] for placement in placements]
    results = check_all([one for one in asked if isinstance(one, ToCheck)], now)
    return tuple(
        PlaceChecked(placement, one if isinstance(one, CheckResult) else next(results))
        for placement, one in zip(placements, asked, strict=True)
    )


def _located(tree: Tree, placements: list[Placement]) -> Iterator[tuple[int, ToCheck | CheckResult]]:
    """What there is of each placement, by its id; a result at once where its own files cannot be read."""
    for placement in placements:
        try:
            files = locate_at(tree, placement.path)
            lock = _lock(tree, files)
        except ConfigFileError as error:
            yield placement.pk, CheckResult(placement.project, problem=str(error))
        else:
            yield placement.pk, ToCheck(placement.project, files, lock, wants_lock=placement.writes_lock_file)


def _lock(tree: Tree, files: ProjectFiles) -> bytes | None:
    path = lock_path("/".join(filter(None, (files.root, files.connectors_dir))))
    if path is None:
        return None
    folder, _, name = path.rpartition("/")
    return tree.read(path) if tree.entries(folder).get(name) == "file" else None
