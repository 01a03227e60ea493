"""The layers of docs/architecture.md hold: imports run one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A package may import those on its own line and above. `tests` is not listed: it may import everything.
LAYERS = (
    ("connectors.core",),
    ("connectors.models",),
    ("connectors.flows",),
    ("connectors.tasks",),
    ("connectors.admin", "connectors.api", "connectors.management", "connectors.oauth"),
    ("portal",),
)
# Django decides what these import; they hold no rules of ours.
OUTSIDE_THE_LAYERS = ("connectors.migrations", "connectors.apps")
WEB_FRAMEWORK = ("django", "celery", "kombu", "allauth", "unfold", "environ")


def level(module: str) -> int | None:
    """The number of the layer that a module belongs to; None outside the layers."""
    for number, packages in enumerate(LAYERS):
        if any(module == package or module.startswith(package + ".") for package in packages):
            return number
    return None


def modules() -> Iterator[tuple[str, Path]]:
    """Dotted name and path of every module of the product."""
    for folder in ("connectors", "portal"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(module: str, source: str, *, package: bool) -> Iterator[tuple[str, int]]:
    """Every module that `source` imports, also inside functions and for typing only, with the line that does it.

    `from a import b` counts as `a.b`, because b may be a module: `from connectors import flows` reaches into flows.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: None if package and node.level == 1 else -(node.level - package)]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


def upward_imports(module: str, source: str, *, package: bool = False) -> list[str]:
    """What a module imports from a layer to its right, as "line: module"."""
    own = level(module)
    if own is None or module.startswith(OUTSIDE_THE_LAYERS):
        return []
    found = []
    for imported, line in imports(module, source, package=package):
        other = level(imported)
        if other is not None and other > own:
            found.append(f"{line}: {imported}")
    return found


def framework_imports(module: str, source: str, *, package: bool = False) -> list[str]:
    """Imports of Django and its company in the pure part, as "line: module"."""
    return [
        f"{line}: {imported}"
        for imported, line in imports(module, source, package=package)
        if imported.split(".")[0] in WEB_FRAMEWORK
    ]


@pytest.mark.parametrize(("module", "path"), [pytest.param(m, p, id=m) for m, p in modules()])
def test_module_imports_only_layers_to_its_left(module: str, path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert upward_imports(module, source, package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "path"), [pytest.param(m, p, id=m) for m, p in modules() if m.startswith("connectors.core")]
)
def test_core_imports_no_framework(module: str, path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert framework_imports(module, source, package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("connectors.core.plan", "from connectors.models import Project"),
        ("connectors.core.plan", "from ..models.project import Project"),
        ("connectors.core.plan", "def f():\n    import connectors.flows.push"),
        ("connectors.core.base44.client", "from ... import models"),
        ("connectors.models.project", "from connectors import flows"),
        ("connectors.flows.push", "from connectors.tasks import push"),
        ("connectors.tasks", "from .admin import project"),
        ("connectors.admin.project", "from portal.navigation import sidebar"),
    ],
)
def test_an_import_against_the_arrows_is_noticed(module: str, source: str) -> None:
    assert len(upward_imports(module, source)) == 1


def test_a_package_resolves_relative_imports_from_itself() -> None:
    assert upward_imports("connectors.models", "from .project import Project", package=True) == []
    assert upward_imports("connectors.models", "from ..flows import push", package=True) == ["1: connectors.flows.push"]


def test_django_in_the_core_is_noticed() -> None:
    assert framework_imports("connectors.core.plan", "from django.db import models") == ["1: django.db.models"]
