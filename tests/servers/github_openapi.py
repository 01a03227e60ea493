"""GitHub's own OpenAPI descriptions from npm, pinned; of their 13 MB each only the wanted operations are kept."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.servers.contract import contract
from tests.servers.npm import CACHE, new_folder, npm

PACKAGE = "@octokit/openapi@23.0.2"
SHA512 = "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg=="
"""Of the package's archive, in base64 as npm states it."""
EDITIONS = ("api.github.com", "ghes-3.17", "ghes-3.19")
"""github.com, and the oldest and the newest Enterprise Server that GitHub still describes."""

Described = Mapping[str, Mapping[str, Any]]


@functools.cache
def described(edition: str) -> Described:
    """The description of each operation of our contract, by `GET /path`; one that GitHub does not have is missing."""
    found: Described = json.loads((_folder() / f"{edition}.json").read_text())
    return found


def _folder() -> Path:
    target = CACHE / PACKAGE.replace("/", "+")
    if not target.is_dir():
        with new_folder(target) as folder:
            printed = npm("pack", PACKAGE, "--silent", folder=folder, need="cli", what=PACKAGE)
            archive = folder / printed.strip().splitlines()[-1]
            digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
            if digest != SHA512:
                raise AssertionError(f"{PACKAGE} is not the archive that these tests were written for")
            with tarfile.open(archive) as packed:
                for member in packed:
                    content = packed.extractfile(member)
                    edition = Path(member.name).name.removesuffix(".json")
                    if content is not None and edition in EDITIONS:
                        (folder / f"{edition}.json").write_text(json.dumps(_wanted(json.load(content))))
            archive.unlink()
    return target


def _wanted(description: Mapping[str, Any]) -> Described:
    kept = {}
    for operation in contract("github").operations:
        method, _, path = operation.partition(" ")
        if found := description["paths"].get(path, {}).get(method.lower()):
            kept[operation] = _inlined(found, description)
    return kept


def _inlined(node: Any, description: Mapping[str, Any]) -> Any:
    """The node with what its references name in their place; without examples, which are most of it."""
    if isinstance(node, list):
        return [_inlined(each, description) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        found: Any = description
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _inlined(found, description)
    return {name: _inlined(each, description) for name, each in node.items() if name not in ("example", "examples")}
