"""The portal's side of the export benchmark, and the bare loops beside it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from connectors.core.actor import Actor, Door
from connectors.core.config_files import parse_connector
from connectors.flows.catalogue import load_catalogue
from connectors.flows.export_files import export_all
from connectors.models import Connector, IntegrationType, Project
from tests.factories import make_workspace

ACTOR = Actor("bench", Door.SHELL)
SCOPES = [f"https://www.example.com/auth/service.{name}" for name in ("read", "write", "labels", "settings")]
OTHER = "https://www.example.com/auth/service.admin"
FILE = """// {type}: asked for by the {project} team.
{{
  "type": "{type}",
  "scopes": [
    "{0}", // to show messages
    "{1}",
    // for sorting:
    "{2}",
    "{3}",
  ],
}}
"""


def prepare(tree: str, projects: int, connectors: int) -> None:
    """Projects with connectors, and a file with comments for each of them."""
    load_catalogue(ACTOR)
    types = [row.pk for row in IntegrationType.objects.order_by("slug")[:connectors]]
    workspace = make_workspace("Bench")
    made = Project.objects.bulk_create(
        Project(workspace=workspace, name=f"Project {n}", slug=f"project-{n}", app_id=f"app-{n}")
        for n in range(projects)
    )
    Connector.objects.bulk_create(
        [Connector(project=project, integration_type_id=type_, scopes=SCOPES) for project in made for type_ in types],
        batch_size=2000,
    )
    for project in made:
        folder = _folder(Path(tree), project.slug)
        folder.mkdir(parents=True)
        for type_ in types:
            text = FILE.format(*SCOPES, type=type_, project=project.slug)
            (folder / f"{type_}.jsonc").write_bytes(text.encode())


def export_unchanged(tree: str) -> float:
    """Seconds for an export that finds every file as it should be. Raises RuntimeError when it writes any."""
    seconds, kinds = _export(tree)
    if kinds != {"unchanged"}:
        raise RuntimeError(f"expected no change, got {kinds}")
    return seconds


def export_changed(tree: str) -> float:
    """Seconds for an export in which one scope of every connector has changed."""
    last = SCOPES[-1]
    now = Connector.objects.values_list("scopes", flat=True).first() or []
    Connector.objects.update(scopes=[*SCOPES[:-1], OTHER if last in now else last])
    seconds, kinds = _export(tree)
    if kinds != {"edited"}:
        raise RuntimeError(f"expected every file to change, got {kinds}")
    return seconds


def read_and_parse(tree: str) -> float:
    """Seconds to read and parse every file."""
    started = time.perf_counter()
    for folder in Path(tree).iterdir():
        for path in _folder(folder).iterdir():
            parse_connector(path.read_bytes(), path.name)
    return time.perf_counter() - started


def write_all(tree: str) -> float:
    """Seconds to write every file, with the bytes it has."""
    files = [(path, path.read_bytes()) for folder in Path(tree).iterdir() for path in _folder(folder).iterdir()]
    os.sync()  # or each side would pay for what the other left to be written
    started = time.perf_counter()
    for path, content in files:
        path.write_bytes(content)
    return time.perf_counter() - started


def _folder(root: Path, *parts: str) -> Path:
    return root.joinpath(*parts, "base44", "connectors")


def _export(tree: str) -> tuple[float, set[str]]:
    kinds: set[str] = set()
    os.sync()
    started = time.perf_counter()
    for result in export_all(Project.objects.select_related("workspace").order_by("slug"), Path(tree), ACTOR):
        if result.problem:
            raise RuntimeError(result.problem)
        kinds.update(change.kind for change in result.changes)
    return time.perf_counter() - started, kinds
