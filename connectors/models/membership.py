"""Who is what where: the roles of people and groups at projects, workspaces and the whole portal."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import models
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from connectors.core.roles import PERMISSIONS, Reach, Role

from .grants import grants_of
from .project import Project
from .visibility import Person, VisibleQuerySet, in_projects, workspaces_around
from .workspace import Workspace


class RoleChoices(models.TextChoices):
    """As `core.roles.Role`."""

    VIEWER = Role.VIEWER.value, _("Viewer")
    AUDITOR = Role.AUDITOR.value, _("Auditor")
    EDITOR = Role.EDITOR.value, _("Editor")
    APPROVER = Role.APPROVER.value, _("Approver")
    OWNER = Role.OWNER.value, _("Owner")


class MembershipQuerySet(VisibleQuerySet["Membership"]):
    workspace_path = "workspace"

    def besides(self, user: Person) -> Q | None:
        """Their own: everybody may know what they are."""
        return Q(user=user.pk) if user.pk else None

    def at(self, project: Project) -> MembershipQuerySet:
        """Those that count for this project: its own, its workspace's, and those of the whole portal."""
        everywhere = Q(project=None, workspace=None)
        return self.filter(Q(project=project) | Q(workspace=project.workspace_id) | everywhere)

    def allowing(self, codename: str) -> MembershipQuerySet:
        """Those whose role gives this permission."""
        return self.filter(role__in=[role.value for role, allowed in PERMISSIONS.items() if codename in allowed])


class Membership(models.Model):
    """One row gives one role to one person or one group, at one project, one workspace, or with neither everywhere."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="memberships",
        verbose_name=_("person"),
    )
    group = models.ForeignKey(
        Group, null=True, blank=True, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("group")
    )
    role = models.CharField(_("role"), max_length=10, choices=RoleChoices.choices)
    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="memberships",
        verbose_name=_("workspace"),
        help_text=_("The role counts for all projects of this workspace, those to come too."),
    )
    project = models.ForeignKey(
        Project, null=True, blank=True, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("project")
    )
    added_by_label = models.CharField(_("given by"), max_length=200, blank=True, editable=False)
    added_at = models.DateTimeField(_("given"), auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.CheckConstraint(
                condition=Q(user=None, group__isnull=False) | Q(user__isnull=False, group=None),
                name="membership_person_or_group",
            ),
            models.CheckConstraint(condition=Q(workspace=None) | Q(project=None), name="membership_one_place"),
            models.UniqueConstraint(  # 0 for none: to a database no two NULLs are the same
                Coalesce("user", 0),
                Coalesce("group", 0),
                "role",
                Coalesce("workspace", 0),
                Coalesce("project", 0),
                name="membership_unique",
            ),
        ]

    def __str__(self) -> str:
        return self.get_role_display()


def colleagues_of(user: Person) -> QuerySet[User]:
    """Active members of staff whom this person may know of: who has to do with the same projects, and who runs it all.

    Whoever may see everything everywhere sees everybody. For choices such as the owner of a project.
    """
    staff = User.objects.filter(is_active=True, is_staff=True)
    reach = grants_of(user).reach("view_project")
    if reach.everywhere:
        return staff
    here = Membership.objects.filter(Q(workspace=None, project=None) | _around(reach)).order_by()
    owners = Project.objects.visible_to(user).order_by().exclude(owner=None).values("owner")
    known = Q(pk__in=here.exclude(user=None).values("user")) | Q(groups__in=here.exclude(group=None).values("group"))
    return staff.filter(Q(pk=user.pk) | Q(is_superuser=True) | known | Q(pk__in=owners)).distinct()


def _around(reach: Reach) -> Q:
    """Roles at the projects within reach, and at the workspaces that these belong to."""
    return in_projects("project", reach) | Q(workspace__in=reach.workspaces) | Q(workspace__in=workspaces_around(reach))
