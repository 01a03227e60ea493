"""What is installed is exactly what was reviewed: pinned, with hashes. `.ci/audit` asks for known vulnerabilities."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "portal" / "requirements").glob("*.txt"))


def pins(lock: Path) -> dict[str, tuple[Requirement, list[str]]]:
    """Each requirement of a lock file with its hashes."""
    lines = re.sub(r"\\\n\s*", " ", lock.read_text(encoding="utf-8")).splitlines()
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for line in (line.strip() for line in lines if line.strip() and not line.strip().startswith("#")):
        requirement = Requirement(line.partition(" --hash")[0].partition(" #")[0].strip())
        found[canonicalize_name(requirement.name)] = (requirement, re.findall(r"--hash=(\S+)", line))
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_dependency_is_pinned_to_one_version_with_hashes(lock: Path) -> None:
    found = pins(lock)
    assert len(found) > 30
    loose = [
        name for name, (requirement, _) in found.items() if not re.fullmatch(r"==[^*,]+", str(requirement.specifier))
    ]
    unhashed = [name for name, (_, hashes) in found.items() if not hashes or any(h[:7] != "sha256:" for h in hashes)]
    from_elsewhere = [name for name, (requirement, _) in found.items() if requirement.url]
    assert (loose, unhashed, from_elsewhere) == ([], [], [])


def test_development_uses_the_versions_that_production_uses() -> None:
    base, dev = pins(ROOT / "portal/requirements/base.txt"), pins(ROOT / "portal/requirements/dev.txt")
    assert {name: str(base[name][0]) for name in base} == {name: str(dev[name][0]) for name in base if name in dev}


def test_what_is_installed_is_what_is_pinned() -> None:
    different = {}
    for name, (requirement, _) in pins(ROOT / "portal/requirements/dev.txt").items():
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "missing"
        if not requirement.specifier.contains(installed, prereleases=True):
            different[name] = installed
    assert different == {}


def test_the_image_installs_nothing_without_its_hash() -> None:
    installs = re.findall(r"pip install (.*)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert installs
    assert all("--require-hashes" in install for install in installs)


def test_ci_asks_for_known_vulnerabilities() -> None:
    assert re.search(r"^\.ci/audit$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
