"""`manage.py load_catalogue`: the tables of types and scopes, from the shipped catalogue and from Base44."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from connectors.flows.catalogue import load_catalogue, refresh_offered
from connectors.flows.connect import client_for
from connectors.management.commands._base import DONE, PortalCommand, find_workspace, shell_actor


class Command(PortalCommand):
    """Safe to run at every start: what the team says is kept, and the second run changes nothing."""

    help = "Load the catalogue of integration types; with --workspace also what Base44 offers there"

    def add_arguments(self, parser: CommandParser) -> None:
        """Optionally a workspace to ask."""
        super().add_arguments(parser)
        parser.add_argument("--workspace", metavar="NAME", help="also take over what Base44 offers this workspace")

    def work(self, options: dict[str, Any]) -> int:
        """Loads, asks, and counts."""
        workspace = find_workspace(options["workspace"]) if options["workspace"] else None
        loaded = load_catalogue(shell_actor())
        offered = refresh_offered(workspace, client_for(workspace), shell_actor()) if workspace else ()
        rows = [{"type": row.slug, "action": "offered", "reason": "New or changed at Base44."} for row in offered]
        if not self.as_json:
            self.say(f"{loaded.types} types loaded or changed from the catalogue, {len(offered)} from Base44.")
            self.say(f"{loaded.scopes} scopes loaded or changed from the catalogue.")
        self.print_json({"loaded": loaded.types, "scopes": loaded.scopes, "results": rows})
        return DONE
