"""`manage.py add_workspace`: a Base44 workspace and its personal access token."""

from __future__ import annotations

import getpass
import stat
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from connectors.core.errors import ApiError
from connectors.flows.connect import client_for
from connectors.flows.credentials import verify_credential
from connectors.flows.setup import add_workspace
from connectors.management.commands._base import DONE, FAILED, PortalCommand, Usage, shell_actor
from connectors.models import Workspace

MAX_TOKEN = 64 * 1024
"""Bytes read of a token file; a token has at most a few thousand."""


class Command(PortalCommand):
    """The token comes from a file or standard input: arguments stand in the list of processes for all to read."""

    help = "Add a Base44 workspace, or give the one of this name another token"

    def add_arguments(self, parser: CommandParser) -> None:
        """NAME and what belongs to it."""
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--api-url", metavar="URL", help="address of the Base44 service (default: BASE44_API_URL)")
        parser.add_argument("--token-file", metavar="FILE", help="file with a personal access token, - for stdin")
        parser.add_argument("--plan", choices=Workspace.Plan.values, help="your Base44 plan (default: starter)")
        parser.add_argument("--base44-id", metavar="ID", help="the workspace's id at Base44")

    def work(self, options: dict[str, Any]) -> int:
        """Stores the workspace, then asks Base44 whether it accepts the token."""
        name, token = options["name"], self._token(options["token_file"])
        before = Workspace.objects.filter(name=name).first()
        workspace = add_workspace(
            name, options["api_url"], token, shell_actor(), plan=options["plan"], base44_id=options["base44_id"]
        )
        accepted, said = (None, "No token yet.") if token is None else self._verify(workspace)
        same = before is not None and before.credential_generation == workspace.credential_generation
        action = "added" if before is None else "unchanged" if same else "updated"
        row = {"type": "workspace", "action": action, "reason": said}
        if not self.as_json:
            self.say(f"{name} {action}. {said}")
        self.print_json(
            {"workspace": name, "credential": workspace.credential_state, "results": [row]},
        )
        return FAILED if accepted is False else DONE

    def _token(self, source: str | None) -> str | None:
        if source is None:
            return None
        if source == "-":
            return getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.read(MAX_TOKEN)
        path = Path(source)
        if not path.is_file():
            raise Usage(f"There is no file {source}.")
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            self.warn(f"Other users of this machine can read {source}. Run: chmod 600 {source}")
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MAX_TOKEN)

    def _verify(self, workspace: Workspace) -> tuple[bool | None, str]:
        """Whether Base44 accepts the credential (None: it could not be asked), and a sentence on it."""
        try:
            accepted = verify_credential(workspace, client_for(workspace), shell_actor())
        except ApiError as error:
            return None, f"The token is stored, but not checked: {error}"
        if not accepted:
            return False, "The token is stored, but Base44 does not accept it."
        account = f" It belongs to {workspace.credential_account}." if workspace.credential_account else ""
        return True, f"Base44 accepts the token.{account}"
