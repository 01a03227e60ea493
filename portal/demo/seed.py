"""Fill an empty portal: login, workspace at the emulator, projects, syncs, tokens, a past, a repository, policies."""

from __future__ import annotations

import io
import secrets
from contextlib import nullcontext

from django.contrib.auth import get_user_model
from django.core.management import call_command

from connectors.core.errors import Refused
from connectors.models import Project, Workspace
from portal.demo import ledger_samples, people_samples
from portal.demo.oauth_samples import seed_oauth
from portal.demo.past import days_ago
from portal.demo.place import PROJECTS, DemoPlace
from portal.demo.repository_samples import seed_repository
from portal.secret_files import read_or_create

LOGIN = "admin"
WORKSPACE = "Demo workspace"
SAMPLES = {"storefront": "production", "helpdesk": "staging", "insights": "development"}
"""The sample projects' environments; folders of these names lie in `projects/`, apps `demo-...` in the emulator."""
FIRST_SEEN = 42
"""Days since which the samples have been in the portal, as far as its pages tell."""


def require_demo_database() -> None:
    """Refuse to put samples beside real projects: DATABASE_URL may point at a portal that is in use."""
    if Workspace.objects.exclude(name=WORKSPACE).exists() and not Workspace.objects.filter(name=WORKSPACE).exists():
        raise Refused("This database holds workspaces that the demo did not make. Unset DATABASE_URL, or use another.")


def ensure_login(place: DemoPlace) -> str | None:
    """Make the demo's superuser when there is none; return its password, None when only its owner knows it."""
    users = get_user_model().objects
    user = users.filter(username=LOGIN).first()
    if user is None:
        password = read_or_create(place.password_file, lambda: secrets.token_urlsafe(12))
        users.create_superuser(LOGIN, "admin@example.org", password)
        return password
    if not place.password_file.exists():
        return None
    password = place.password_file.read_text(encoding="utf-8").strip()
    return password if user.check_password(password) else None


def seed(place: DemoPlace) -> None:
    """Add the workspace, sample projects, OAuth clients and tokens that are missing, and sync. What is there stays.

    Needs the emulator to answer. Files are imported for new projects only: what a person changed since is kept.
    """
    _quietly("load_catalogue")  # the database may be that of an older demo
    workspace = Workspace.objects.filter(name=WORKSPACE).first()
    if workspace is None:
        _quietly("add_workspace", WORKSPACE, api_url=place.emulator_url, token_file=str(place.token_file))
    elif workspace.api_url != place.emulator_url:  # started with another EMULATOR_PORT this time
        workspace.api_url = place.emulator_url
        workspace.save(update_fields=["api_url"])
    is_new = not Project.objects.filter(slug__in=SAMPLES).exists()
    with days_ago(FIRST_SEEN) if is_new else nullcontext():
        if is_new:
            ledger_samples.prepare_base44(place)
        _projects()
        _quietly("sync_projects", all=True)
    seed_oauth(place, LOGIN)
    if is_new:
        ledger_samples.tell_story(place, LOGIN)
    seed_repository(place, LOGIN)
    ledger_samples.seed_rules(place, LOGIN)
    workspace = Workspace.objects.get(name=WORKSPACE)
    people_samples.seed_roles(LOGIN, workspace, ensure_login(place))
    people_samples.seed_approvals(LOGIN, workspace)


def _projects() -> None:
    for slug, environment in SAMPLES.items():
        if not Project.objects.filter(slug=slug).exists():
            _quietly("add_project", slug, workspace=WORKSPACE, app_id=f"demo-{slug}", environment=environment)
            _quietly("import_connectors", str(PROJECTS / slug), project=slug)
    ledger_samples.seed_people(LOGIN)


def _quietly(command: str, *arguments: str, **options: object) -> None:
    call_command(command, *arguments, stdout=io.StringIO(), **options)
