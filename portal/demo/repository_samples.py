"""A git repository on this machine with the sample projects' files, and two changes that the portal has not seen."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from connectors.core.errors import Refused
from connectors.flows.placements import save_placements
from connectors.flows.repositories import save_repository
from connectors.flows.repository_runs import ask_read
from connectors.models import Placement, Project, Repository
from portal.demo.ledger_samples import JONAS, MAYA, PEOPLE, actor_of
from portal.demo.place import PROJECTS, DemoPlace

NAME = "Apps (demo)"
BRANCH = "main"


def seed_repository(place: DemoPlace, login: str) -> None:
    """Make the repository and tell the portal of it; the worker reads it. Nothing where there is one already.

    Raises Refused when git cannot make it.
    """
    if Repository.objects.exists():
        return
    folder = place.repository
    if not folder.exists():
        _make(folder)
    projects = {row.slug: row for row in Project.objects.filter(slug__in=[path.name for path in PROJECTS.iterdir()])}
    with transaction.atomic():
        row = Repository(name=NAME, url=folder.absolute().as_uri(), branch=BRANCH, read_minutes=1)
        save_repository(row, actor_of(login))
        placements = [
            Placement(repository=row, project=project, path=slug, writes_lock_file=slug == "storefront")
            for slug, project in projects.items()
        ]
        save_placements(row, placements, actor_of(login))
        ask_read(row, actor_of(login), "The demo begins.")


def _make(folder: Path) -> None:
    """A bare repository with three commits, the newest of them of yesterday."""
    now = timezone.now()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        work = Path(made) / "work"
        shutil.copytree(PROJECTS, work)
        _git(work, "init", "--quiet", f"--initial-branch={BRANCH}", "--template=")
        _commit(work, MAYA, now - dt.timedelta(days=41), "Keep the connectors of our apps here")
        _edit(work / "insights/base44/connectors/slackbot.jsonc", '"chat:write",', '"chat:write", "chat:write.public",')
        _commit(work, JONAS, now - dt.timedelta(days=2), "Let Insights post without being invited")
        _edit(work / "helpdesk/base44/connectors/github.jsonc", '"read:org"', '"read:org", "read:user"')
        _commit(work, MAYA, now - dt.timedelta(days=1), "Read which team a customer's issue belongs to")
        _git(work, "clone", "--quiet", "--bare", "--template=", ".", "../made")
        (Path(made) / "made").rename(folder)
    _git(folder, "config", "uploadpack.allowFilter", "true")


def _edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    if before not in text:
        raise Refused(f"The sample {path.name} does not hold {before}.")
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def _commit(work: Path, name: str, at: dt.datetime, message: str) -> None:
    first, last = PEOPLE[name]
    who = {f"GIT_{role}_NAME": f"{first} {last}" for role in ("AUTHOR", "COMMITTER")}
    who |= {f"GIT_{role}_EMAIL": f"{name}@acme.example" for role in ("AUTHOR", "COMMITTER")}
    when = {f"GIT_{role}_DATE": at.isoformat() for role in ("AUTHOR", "COMMITTER")}
    _git(work, "add", "--all")
    _git(work, "commit", "--quiet", f"--message={message}", **who, **when)


def _git(folder: Path, *arguments: str, **variables: str) -> None:
    """The git of this machine, without its owner's settings."""
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        subprocess.run(["git", *arguments], cwd=folder, env=kept | plain | variables, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused(
            f"The demo's git repository could not be made: is git installed? ({type(error).__name__})"
        ) from None
