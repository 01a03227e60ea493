"""What tests fetch from npm: once into `.cache/npm/`, used offline from then on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import needs

CACHE = Path(os.environ.get("PORTAL_NPM_CACHE") or Path(__file__).resolve().parents[2] / ".cache" / "npm")
FETCH_WITHIN = 300


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A scratch folder that becomes `target` at the end, so that a broken download leaves nothing behind."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        yield folder
        folder.replace(target)
    except OSError:
        # another test process may have been faster: then its folder is as good
        if not target.is_dir():
            raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def npm(*arguments: str, folder: Path, need: str, what: str) -> str:
    """What npm prints; when it can't get `what`, the test is skipped, or fails where PORTAL_TEST_REQUIRE has `need`.

    Raises AssertionError when it got something else than the lock file states: that is never a reason to skip.
    """
    if needs.node() is None:
        needs.require(need, "Node.js and npm were not found")
    command = ["npm", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=FETCH_WITHIN,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if "EINTEGRITY" in done.stderr:
        raise AssertionError(f"{what} is not what these tests were written for")
    if done.returncode != 0:
        needs.require(need, f"npm could not fetch {what}")
    return done.stdout
