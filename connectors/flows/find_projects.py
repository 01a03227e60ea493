"""Find the Base44 projects in a repository's branch, and give the portal's projects their places there."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import transaction

from connectors.core.actor import Actor
from connectors.core.config_files import ProjectFiles, outline_projects
from connectors.core.config_files.locate import APP_NAMES, CONFIG_NAMES, MAX_DEPTH, MAX_FOLDERS
from connectors.core.errors import ConfigFileError, Refused
from connectors.core.git import GitTree
from connectors.core.plan_words import listing
from connectors.flows.import_files import match_projects
from connectors.flows.placements import save_placements
from connectors.flows.repository_access import PATIENCE, SECONDS, opened
from connectors.models import Placement, Project, Repository
from connectors.models.project import ProjectQuerySet


@dataclass(frozen=True, slots=True)
class Found:
    """One Base44 project in the branch. `project` is the portal's project of it, None when `problem` says why not.

    `placement` is the project's place, wherever that is; `is_here` whether it is this very folder.
    """

    path: str
    app_id: str
    project: Project | None
    problem: str = ""
    placement: Placement | None = None
    is_here: bool = False

    @property
    def can_be_placed(self) -> bool:
        """Whether its project has no place yet, here or elsewhere."""
        return self.project is not None and not self.problem and self.placement is None


def find_projects(repository: Repository, among: ProjectQuerySet | None = None) -> tuple[Found, ...]:
    """The projects in the branch as it is now, in the order of their folders; () when there are none. Stores nothing.

    With `among` the portal's other projects are as if they did not exist.
    Raises GitError, ConfigFileError (more folders than are searched) and UnreadableSecretError.
    """
    with opened(repository, PATIENCE, seconds=SECONDS) as git:
        tree = git.files(git.fetch(repository.branch))
        tree.prefetch_all_folders()
        tree.prefetch_files(_named(tree))
        outlines = outline_projects(tree)
    return _placed(outlines, repository, among)


@transaction.atomic
def place(repository: Repository, chosen: Collection[Found], actor: Actor) -> list[Placement]:
    """Gives the projects of these findings their places, all or none. Raises Refused for one that cannot get one."""
    if bad := [found.path or "/" for found in chosen if not found.can_be_placed]:
        raise Refused(f"No project can be placed at {listing(bad)}.")
    rows = [Placement(repository=repository, project=found.project, path=found.path) for found in chosen]
    save_placements(repository, rows, actor)
    return rows


def choose(found: Collection[Found], paths: Collection[str]) -> list[Found]:
    """The findings at these folders. Raises Refused for a folder where there is none any more."""
    by_path = {one.path: one for one in found}
    if gone := [path or "/" for path in paths if path not in by_path]:
        raise Refused(f"There is no project at {listing(gone)} any more. Look at the list again.")
    return [by_path[path] for path in dict.fromkeys(paths)]


def _named(tree: GitTree) -> list[str]:
    """The files that say where projects are and whose, as deep as they are searched: to have them in one piece."""
    wanted, found, seen = {*CONFIG_NAMES, *APP_NAMES}, [], 0
    todo = deque([("", 0)])
    while todo:
        folder, depth = todo.popleft()
        seen += 1
        if seen > MAX_FOLDERS:
            raise ConfigFileError(tree.name, f"has more than {MAX_FOLDERS:,} folders: enter the projects' in the form")
        for name, kind in tree.entries(folder).items():
            path = f"{folder}/{name}" if folder else name
            if kind == "file" and name in wanted:
                found.append(path)
            elif kind == "folder" and depth <= MAX_DEPTH and not name.startswith("."):
                todo.append((path, depth + 1))
    return found


def _placed(
    outlines: Sequence[ProjectFiles], repository: Repository, among: ProjectQuerySet | None
) -> tuple[Found, ...]:
    matches = match_projects(outlines, among)
    projects = [match.project.pk for match in matches if match.project]
    rows = Placement.objects.filter(project__in=projects).select_related("repository")
    placements = {row.project_id: row for row in rows}
    found = []
    for match in matches:
        files, project = match.files, match.project
        placement = placements.get(project.pk) if project else None
        is_here = placement is not None and (placement.repository_id, placement.path) == (repository.pk, files.root)
        # A file that would have named the app and is broken says more than that its folder names none.
        problem = str(files.problems[0]) if project is None and files.problems else match.problem
        found.append(Found(files.root, files.app_id, project, problem, placement, is_here))
    return tuple(found)
