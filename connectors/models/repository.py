"""Git repositories: where connector files lie in them, what the files last said, and how the portal may write there."""

from __future__ import annotations

import datetime as dt
import uuid

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from connectors.core.roles import Reach

from .fields import SealedField
from .integration_type import IntegrationType
from .project import Project
from .visibility import Person, VisibleQuerySet, either, in_projects
from .workspace import Workspace

# git's own rules for a branch name (git-check-ref-format), as far as one pattern can say them.
validate_branch = RegexValidator(
    r"\A(?![-/.])(?!.*(\.\.|//|@\{|/\.|\.lock(/|\Z)))[^\x00-\x20\x7f~^:?*\[\\]+(?<![/.])\Z",
    _("This cannot be the name of a git branch."),
)


def validate_repository_path(value: str) -> None:
    """A relative folder with / between its parts; the empty one is the repository itself."""
    if value and ("\\" in value or value.startswith("/") or any(part in ("", ".", "..") for part in value.split("/"))):
        raise ValidationError(_("Enter a folder inside the repository, like apps/shop; leave it empty for the top."))


class RepositoryQuerySet(VisibleQuerySet["Repository"]):
    project_path = ""
    workspace_path = "workspace"

    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """Seen by whoever may see a project in it; changed also by whoever may do so with each project in it."""
        mine = Placement.objects.filter(in_projects("project", reach)).order_by().values("repository")
        theirs = Placement.objects.exclude(in_projects("project", reach)).order_by().values("repository")
        shown = Q(pk__in=mine) if viewing else Q(pk__in=mine) & ~Q(pk__in=theirs)
        return either([super().at_place(reach, viewing=viewing), shown])

    def worked_on_by(self, user: Person) -> RepositoryQuerySet:
        """Those that somebody may have read: where they may change the repository, or what a project has in it."""
        placed = Placement.objects.permitted(user, "change_repository").order_by().values("repository")
        return self.permitted(user, "change_repository") | self.filter(pk__in=placed)

    def in_use(self) -> RepositoryQuerySet:
        return self.filter(is_enabled=True)

    def due_to_read(self, now: dt.datetime) -> RepositoryQuerySet:
        """Those to be read now: what asks for a reading empties `next_read_at`, and with an interval the time comes."""
        return self.in_use().filter(Q(next_read_at=None) | Q(next_read_at__lte=now, read_minutes__gt=0))

    def due_to_export(self, now: dt.datetime) -> RepositoryQuerySet:
        """Those whose schedule exports now."""
        due = Q(next_export_at=None) | Q(next_export_at__lte=now)
        return self.in_use().filter(due, export_when=Repository.ExportWhen.SCHEDULED)

    def homes(self) -> dict[int, int | None]:
        """By key, the workspace in which each is: its own, else the one of all its projects; None where they differ."""
        own: dict[int, int | None] = dict(self.order_by().values_list("pk", "workspace_id"))
        shared: dict[int, set[int]] = {}
        rows = Placement.objects.filter(repository__in=[pk for pk, workspace in own.items() if workspace is None])
        for pk, workspace in rows.order_by().values_list("repository_id", "project__workspace_id").distinct():
            shared.setdefault(pk, set()).add(workspace)
        return own | {pk: next(iter(found)) for pk, found in shared.items() if len(found) == 1}


class Repository(models.Model):
    """One row is one branch of one git repository, with the connector files of one project or of many.

    `token` is a host's access token, used for https and for pull requests; `deploy_key` is a private key for ssh.
    """

    class Host(models.TextChoices):
        GITHUB = "github", _("GitHub")
        GITLAB = "gitlab", _("GitLab")
        GITEA = "gitea", _("Gitea or Forgejo")
        PLAIN = "plain", _("Another git server")

    class Mode(models.TextChoices):
        DIRECT = "direct", _("Commit to the branch")
        PULL_REQUEST = "pull_request", _("Open a pull request")

    class ExportWhen(models.TextChoices):
        BY_HAND = "hand", _("By hand")
        AFTER_APPLY = "apply", _("After a plan was applied")
        SCHEDULED = "schedule", _("On a schedule")

    class OnDrift(models.TextChoices):
        """What the schedule does when a file was changed in the repository and no project imports it by itself."""

        TELL = "tell", _("Only show it")
        EXPORT = "export", _("Put the portal's state back at the next export")

    class State(models.TextChoices):
        UNCHECKED = "unchecked", _("Not tried yet")
        WORKING = "working", _("Working")
        FAILING = "failing", _("Failing")

    name = models.CharField(_("name"), max_length=100, unique=True, help_text=_("How your team calls this repository."))
    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="repositories",
        verbose_name=_("workspace"),
        help_text=_("Whose people manage it. Empty: whoever may do so everywhere, or in each project that lies in it."),
    )
    url = models.CharField(
        _("URL"),
        max_length=500,
        help_text=_("As you would clone it: https://host/team/repository.git or git@host:team/repository.git."),
    )
    branch = models.CharField(_("branch"), max_length=200, default="main", validators=[validate_branch])
    host = models.CharField(_("host"), max_length=10, choices=Host.choices, default=Host.PLAIN)
    api_url = models.CharField(
        _("API address"),
        max_length=300,
        blank=True,
        help_text=_("Only for a host of your own whose API is not where it usually is. Empty: found from the URL."),
    )
    is_enabled = models.BooleanField(
        _("in use"), default=True, help_text=_("If not, nothing is read or written by itself.")
    )
    token_user = models.CharField(
        _("user name"),
        max_length=100,
        blank=True,
        help_text=_("Goes with the token over https. Empty: what the host expects."),
    )
    token = SealedField(help_text=_("Access token of the host."))
    token_set_at = models.DateTimeField(null=True, blank=True, editable=False)
    deploy_key = SealedField(help_text=_("Private key for ssh."))
    deploy_public_key = models.TextField(_("public key"), blank=True, editable=False)
    known_hosts = models.TextField(
        _("known host keys"),
        blank=True,
        help_text=_("For ssh: lines as in a known_hosts file. Those of GitHub and GitLab are known already."),
    )
    mode = models.CharField(_("changes go"), max_length=20, choices=Mode.choices, default=Mode.DIRECT)
    export_when = models.CharField(_("export"), max_length=10, choices=ExportWhen.choices, default=ExportWhen.BY_HAND)
    export_hours = models.PositiveIntegerField(
        _("export every (hours)"), default=24, validators=[MaxValueValidator(24 * 90)]
    )
    on_drift = models.CharField(
        _("when a file was changed there"), max_length=10, choices=OnDrift.choices, default=OnDrift.TELL
    )
    read_minutes = models.PositiveIntegerField(
        _("read every (minutes)"),
        default=15,
        validators=[MaxValueValidator(60 * 24 * 30)],
        help_text=_("0: only when its webhook says that something changed, or by hand."),
    )
    author_name = models.CharField(_("author"), max_length=100, default="Connector portal")
    author_email = models.EmailField(_("author's e-mail"), default="connector-portal@localhost")
    message_template = models.TextField(
        _("commit message"),
        blank=True,
        help_text=_(
            "Empty: a message of the portal's. $summary, $changes, $projects, $reason and $actor are filled in."
        ),
    )
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False, help_text=_("In its webhook's URL."))
    webhook_secret = SealedField(help_text=_("With which the host signs what it sends."))
    webhook_at = models.DateTimeField(_("last webhook"), null=True, blank=True, editable=False)
    webhook_note = models.CharField(max_length=300, blank=True, editable=False)
    check_token_hash = models.CharField(max_length=64, blank=True, editable=False, db_index=True)
    check_token_at = models.DateTimeField(null=True, blank=True, editable=False)

    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.UNCHECKED, editable=False, db_index=True
    )
    problem = models.TextField(_("problem"), blank=True, editable=False, help_text=_("Why it fails, in words."))
    failures = models.PositiveIntegerField(default=0, editable=False, help_text=_("In a row."))
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    head = models.CharField(_("commit"), max_length=64, blank=True, editable=False)
    head_author = models.CharField(max_length=200, blank=True, editable=False)
    head_at = models.DateTimeField(null=True, blank=True, editable=False)
    read_at = models.DateTimeField(_("last read"), null=True, blank=True, editable=False)
    next_read_at = models.DateTimeField(null=True, blank=True, editable=False, db_index=True)
    exported_at = models.DateTimeField(_("last export"), null=True, blank=True, editable=False)
    next_export_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects = RepositoryQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("repository")
        verbose_name_plural = _("repositories")
        constraints = [
            models.UniqueConstraint(
                fields=["url", "branch"],
                name="repository_unique_url_branch",
                violation_error_message=_("This branch of this repository is in the portal already."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class PlacementQuerySet(VisibleQuerySet["Placement"]):
    seen_with = "repository"

    def conflicting(self) -> PlacementQuerySet:
        """Those with a file that was changed on both sides."""
        return self.filter(conflicts__gt=0)


class Placement(models.Model):
    """One row is one project's place in a repository. `path` is its folder there: the one that holds `base44/`.

    `incoming`, `outgoing` and `conflicts` count files as they were when the repository was last read or written.
    """

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, related_name="placement", verbose_name=_("project")
    )
    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="placements", verbose_name=_("repository")
    )
    path = models.CharField(
        _("folder"),
        max_length=300,
        blank=True,
        validators=[validate_repository_path],
        help_text=_("The folder that holds base44/, or the connectors directory itself. Empty: the repository's top."),
    )
    auto_import = models.BooleanField(
        _("import by itself"),
        default=False,
        help_text=_("Changes made in the repository are taken over without being asked, unless a policy stops them."),
    )
    writes_lock_file = models.BooleanField(
        _("lock file"),
        default=False,
        help_text=_("Exports write connectors.lock.json beside the connectors directory: what files cannot say."),
    )
    connectors_dir = models.CharField(
        max_length=400, blank=True, editable=False, help_text=_("As found, from the repository's top.")
    )
    read_at = models.DateTimeField(_("last read"), null=True, blank=True, editable=False)
    read_commit = models.CharField(max_length=64, blank=True, editable=False)
    problems = models.JSONField(
        default=list, blank=True, editable=False, help_text=_("What cannot be read: path, message, line.")
    )
    incoming = models.PositiveIntegerField(_("to import"), default=0, editable=False)
    outgoing = models.PositiveIntegerField(_("to export"), default=0, editable=False)
    conflicts = models.PositiveIntegerField(_("conflicts"), default=0, editable=False)

    objects = PlacementQuerySet.as_manager()

    class Meta:
        ordering = ["repository", "path", "project"]
        verbose_name = _("project in a repository")
        verbose_name_plural = _("projects in repositories")
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "path"],
                name="placement_unique_repository_path",
                violation_error_message=_("Another project has this folder of this repository."),
            )
        ]

    def __str__(self) -> str:
        return self.path or "/"


class RepositoryFileQuerySet(VisibleQuerySet["RepositoryFile"]):
    seen_with = "repository"
    project_path = "placement__project"

    def present(self) -> RepositoryFileQuerySet:
        """Those that the repository has now; the others are only remembered."""
        return self.filter(scopes__isnull=False)


class RepositoryFile(models.Model):
    """One row is what a repository says of one integration type of one project.

    `scopes` is None when there is no file now. `agreed` is what file and portal last both had, None when they never
    did: it tells on which side a difference arose. `proposed` is what a pull request of the portal's would make of it:
    once the file says that, both have had it. `is_exact`: the commit is the one that changed the file, and not merely
    the first that the portal saw with it.
    """

    placement = models.ForeignKey(
        Placement, on_delete=models.CASCADE, related_name="files", verbose_name=_("project in a repository")
    )
    integration_type = models.ForeignKey(
        IntegrationType, on_delete=models.PROTECT, related_name="+", verbose_name=_("type")
    )
    name = models.CharField(_("file"), max_length=500, help_text=_("From the repository's top."))
    raw = models.BinaryField(default=bytes, blank=True)
    scopes = models.JSONField(_("scopes"), null=True, blank=True)
    agreed = models.JSONField(_("agreed scopes"), null=True, blank=True)
    proposed = models.JSONField(_("proposed scopes"), null=True, blank=True)
    commit = models.CharField(_("commit"), max_length=64, blank=True)
    author = models.CharField(_("author"), max_length=200, blank=True)
    committed_at = models.DateTimeField(null=True, blank=True)
    is_exact = models.BooleanField(default=False)
    read_at = models.DateTimeField()

    objects = RepositoryFileQuerySet.as_manager()

    class Meta:
        ordering = ["placement", "name"]
        verbose_name = _("file in a repository")
        verbose_name_plural = _("files in repositories")
        constraints = [
            models.UniqueConstraint(fields=["placement", "integration_type"], name="repositoryfile_unique_type")
        ]

    def __str__(self) -> str:
        return self.name
