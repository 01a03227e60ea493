"""Who may see and change which rows: the one place from which every page, action and autocomplete starts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q

from connectors.core.roles import Reach

from .grants import grants_of

if TYPE_CHECKING:
    from .project import Project

Row = TypeVar("Row", bound=models.Model, covariant=True)
Person = AbstractBaseUser | AnonymousUser


class VisibleQuerySet(models.QuerySet[Row]):
    """Base of every QuerySet whose rows are shown to people.

    A row is at a place: a project, a workspace, or with neither the portal as a whole. What somebody may do with it
    is what their roles at that place allow.
    """

    project_path: ClassVar[str] = "project"
    """The way from a row to its project, "" where it has none."""
    workspace_path: ClassVar[str] = ""
    """The way to a workspace of its own, beside the one of its project."""
    is_shared: ClassVar[bool] = False
    """Whether the rows are the same for everybody, such as the catalogue: whoever may see any sees all."""
    seen_with: ClassVar[str] = ""
    """The model whose rows these are shown with: whoever may view those may view these. Empty: their own."""

    def visible_to(self, user: Person) -> Self:
        """The rows that `user` may know of; for a stranger none, as if they did not exist."""
        return self.permitted(user, f"view_{self.seen_with or self.model._meta.model_name}")

    def permitted(self, user: Person, codename: str) -> Self:
        """The rows at whose place `user` has this permission, such as `change_project`.

        It may be one of another model: `Project.objects.permitted(user, "add_connector")`.
        """
        reach = grants_of(user).reach(codename)
        viewing = codename.startswith("view_")
        if reach.everywhere or (self.is_shared and reach and viewing):
            return self
        found = [self.at_place(reach, viewing=viewing)] if reach else []
        if viewing and is_member_of_staff(user):
            found.append(self.besides(user))
        condition = either(found)
        return self.none() if condition is None else self.filter(condition)

    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """The condition that a row is where a permission holds; None: no row is.

        What may be seen can be wider than what may be changed: whoever sees a project sees its workspace's name.
        """
        found: list[Q | None] = []
        if self.project_path:
            found.append(in_projects(self.project_path, reach))
        if self.workspace_path and reach.workspaces:
            found.append(Q(**{f"{self.workspace_path}__in": reach.workspaces}))
        return either(found)

    def besides(self, user: Person) -> Q | None:
        """Rows that this member of staff may see wherever they are, such as what was given to them to decide."""
        return None


def may(user: Person, permission: str, row: models.Model | None = None) -> bool:
    """Whether `user` has a permission such as "connectors.change_project" for this row; without a row, anywhere."""
    if row is None or row.pk is None:
        return bool(getattr(user, "has_perm", lambda _: False)(permission))
    return bool(getattr(user, "has_perm", lambda *_: False)(permission, row))


def may_everywhere(user: Person, permission: str) -> bool:
    """Whether `user` has the permission for the portal as a whole: for what belongs to no project and no workspace."""
    return grants_of(user).reach(permission.removeprefix("connectors.")).everywhere


def may_in_a_workspace(user: Person, permission: str) -> bool:
    """Whether there is a workspace where `user` may add what belongs to it: a role at one project gives none."""
    reach = grants_of(user).reach(permission.removeprefix("connectors."))
    return reach.everywhere or bool(reach.workspaces)


def is_member_of_staff(user: Person) -> bool:
    """Whether somebody has anything to do in the admin at all."""
    return bool(user.is_active and getattr(user, "is_staff", False))


def in_projects(path: str, reach: Reach) -> Q:
    """The condition that the project at the end of a path is where a permission holds."""
    # Keys and not a join: the lists of the ledger and the activity go along indexes that begin with the project.
    return Q(**{f"{path}__in": projects_within(reach) if reach.workspaces else reach.projects})


def projects_within(reach: Reach) -> models.QuerySet[Project, int]:
    """The keys of all projects where a permission holds."""
    from .project import Project

    here = Q(pk__in=reach.projects) | Q(workspace__in=reach.workspaces)
    return Project.objects.filter(here).order_by().values_list("pk", flat=True)


def workspaces_around(reach: Reach) -> models.QuerySet[Project, int]:
    """The keys of the workspaces of the projects where a permission holds in person."""
    from .project import Project

    return Project.objects.filter(pk__in=reach.projects).order_by().values_list("workspace", flat=True)


def either(conditions: Iterable[Q | None]) -> Q | None:
    """The conditions joined by or, without those that are None; None when nothing is left."""
    known = [condition for condition in conditions if condition is not None]
    return reduce(or_, known) if known else None
