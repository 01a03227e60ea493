"""axe-core from npm, pinned: fetched once into `.cache/npm/`, never committed (it is under the MPL)."""

from __future__ import annotations

import base64
import functools
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests import needs
from tests.servers.npm import CACHE

AXE = "axe-core@4.14.1"
AXE_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
"""Of the package's archive, in base64 as npm states it: the rules must not change unseen."""
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

# Not preloaded: axe would ask for every style sheet again, for one experimental rule.
_RUN = """async (tags) => {
  const found = await axe.run(document, {runOnly: tags, resultTypes: ["violations"], preload: false});
  const message = (node) => [...node.any, ...node.all, ...node.none].map((check) => check.message)[0] || "";
  return found.violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160).replace(/\\s+/g, " ")} (${message(node)})`));
}"""


@functools.cache
def source() -> str:
    """The text of axe; the running test is skipped (or fails, as PORTAL_TEST_REQUIRE says) when npm can't get it."""
    target = CACHE / AXE / "axe.min.js"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            _fetch(Path(folder)).replace(target)
    return target.read_text()


def violations(page: Page) -> list[str]:
    """What breaks a WCAG 2.2 rule of level A or AA on the page as it stands, one line for each element."""
    if not page.evaluate("() => 'axe' in window"):  # half a megabyte, once for each document
        page.evaluate(source())
    found: list[str] = page.evaluate(_RUN, WCAG)
    return found


def _fetch(folder: Path) -> Path:
    command = ["npm", "pack", AXE, "--silent"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=True)
    except (OSError, subprocess.SubprocessError):
        needs.require("browser", f"npm could not fetch {AXE}")
    archive = folder / done.stdout.strip().splitlines()[-1]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != AXE_SHA512:
        raise AssertionError(f"{AXE} is not the archive that these tests were written for")
    with tarfile.open(archive) as packed:
        packed.extract("package/axe.min.js", folder, filter="data")
    return folder / "package" / "axe.min.js"
