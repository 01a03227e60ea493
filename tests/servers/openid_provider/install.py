"""What the provider runs on: its packages, and a Node.js that is new enough; both at the versions of a lock file."""

from __future__ import annotations

import functools
import hashlib
import platform
import shutil
import subprocess
from pathlib import Path

from tests import needs
from tests.servers.npm import CACHE, new_folder, npm

HERE = Path(__file__).resolve().parent
NEEDED_OF_NODE = "process.exit(URL.parse && require('node:crypto').hash ? 0 : 1)"
"""The newest parts of Node.js that the provider uses: Debian 12 has Node.js 18, which lacks both."""
MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


@functools.cache
def modules() -> Path:
    """The provider's node_modules; tests skip (or fail, as PORTAL_TEST_REQUIRE says) when npm can't get them."""
    return _installed(HERE, "openid-provider")


@functools.cache
def node() -> str:
    """Path of a Node.js that can run the provider: the machine's own, or one from npm where that is too old."""
    own = needs.node()
    if own is None:
        needs.require("openid", "Node.js and npm were not found")
    if subprocess.run([own, "-e", NEEDED_OF_NODE], capture_output=True, check=False).returncode == 0:
        return own
    package = f"node-{platform.system().lower()}-{MACHINES.get(platform.machine(), platform.machine())}"
    path = _installed(HERE / "nodejs", "nodejs") / package / "bin" / "node"
    if not path.exists():
        needs.require("openid", "Node.js is too old for the OpenID provider (22 is new enough)")
    return str(path)


def _installed(source: Path, name: str) -> Path:
    """The node_modules of a lock file, installed when it is new or has changed."""
    lock = (source / "package-lock.json").read_bytes()
    target = CACHE / f"{name}-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not target.is_dir():
        with new_folder(target) as folder:
            for file in ("package.json", "package-lock.json"):
                shutil.copy(source / file, folder)
            options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            npm("ci", *options, folder=folder, need="openid", what=f"the packages of {name}")
    return target / "node_modules"
