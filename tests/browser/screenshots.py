"""Pictures of every page in every view: `python -m tests.browser.screenshots FOLDER [--docs] [pytest options]`.

With --docs those that the documentation shows are copied to docs/screenshots/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = {
    "dashboard": "dashboard-light-wide",
    "connectors": "connector-list-dark-wide",
    "connector": "connector-change-light-wide",
    "plan": "project-plan-dark-wide",
    "authorise": "connector-authorise-light-wide",
    "token": "token-change-light-wide",
    "consent-desk": "connector-desk-dark-wide",
    "ledger": "ledgerentry-list-differs-light-wide",
    "connector-ledger": "connector-ledger-light-wide",
    "rehearsal": "policyrule-rehearsal-off-dark-wide",
    "approval": "approval-change-light-wide",
}
"""Name in docs/screenshots/ -> name of the picture."""


def main(arguments: list[str]) -> int:
    """Run the page tests so that they save what they see; their faults do not matter here."""
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    folder = Path(arguments[0]).resolve()
    options = [option for option in arguments[1:] if option != "--docs"]
    command = [sys.executable, "-m", "pytest", "-q", "tests/browser/test_pages.py", *options]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PORTAL_SCREENSHOTS": str(folder)}, check=False)
    if "--docs" in arguments:
        for name, picture in DOCS.items():
            shutil.copyfile(folder / f"{picture}.png", ROOT / "docs" / "screenshots" / f"{name}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
