"""Let builds check a repository: the token for it, shown once, and workflow files to copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from connectors.admin.pages.frame import (
    CHANGE_REPOSITORY,
    actor_of,
    draw,
    outside_address,
    require,
    route,
    visible,
)
from connectors.core.ci_files import SECRET, Place, github_workflow, gitlab_job, shell_script
from connectors.flows.repositories import make_check_token
from connectors.models import Placement, Repository
from connectors.models.visibility import may

_WORKFLOW_FOLDERS = {Repository.Host.GITEA: ".gitea"}


@dataclass(frozen=True, slots=True)
class CiFile:
    """One workflow file: for which system, under which name it goes into the repository, its text, where to begin."""

    key: str
    title: str
    name: str
    text: str
    secret_goes: str
    is_likely: bool


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_repository_check`."""
    return [route(model_admin, "<int:object_id>/check/", check, "check")]


def check(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Says how a build compares its files. POST makes a new token, and its answer shows it this once."""
    row = visible(model_admin, request, Repository.objects.all(), object_id)
    token = None
    if request.method == "POST":
        require(request, CHANGE_REPOSITORY, row)
        token = make_check_token(row, actor_of(request))
    address = outside_address(request, "api:check")
    placements = Placement.objects.visible_to(request.user).filter(repository=row).order_by("path")
    places = [Place(path, found) for path, found in placements.values_list("path", "connectors_dir")]
    return draw(
        model_admin,
        request,
        "repository/check.html",
        title=f"Check of {row.name} in builds",
        original=row,
        repository=row,
        may_change=may(request.user, CHANGE_REPOSITORY, row),
        token=token.get_secret_value() if token else "",
        secret_name=SECRET,
        address=address,
        files=_files(row, address, places) if places else [],
    )


def _files(row: Repository, address: str, places: list[Place]) -> list[CiFile]:
    """The workflow files, the one for the repository's own host first."""
    gitlab, plain = row.host == Repository.Host.GITLAB, row.host == Repository.Host.PLAIN
    folder = _WORKFLOW_FOLDERS.get(Repository.Host(row.host), ".github")
    files = [
        CiFile(
            "github",
            "GitHub Actions, Gitea and Forgejo",
            f"{folder}/workflows/connectors.yml",
            github_workflow(address, row.branch, places),
            f"Settings > Secrets and variables > Actions > New repository secret, named {SECRET}",
            not gitlab and not plain,
        ),
        CiFile(
            "gitlab",
            "GitLab CI",
            ".gitlab-ci.yml",
            gitlab_job(address, row.branch, places),
            f"Settings > CI/CD > Variables > Add variable, masked and hidden, with the key {SECRET}",
            gitlab,
        ),
        CiFile(
            "shell",
            "Any other system",
            "check-connectors.sh",
            shell_script(address, places),
            f"the system's store of secrets, handed over to the script as the variable {SECRET}",
            plain,
        ),
    ]
    return sorted(files, key=lambda file: not file.is_likely)
