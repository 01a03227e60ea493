"""`manage.py refresh_tokens`: refresh tokens here and now, without a worker."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from connectors.core.errors import PortalError
from connectors.flows.refresh import refresh_due, refresh_now
from connectors.management.commands._base import DONE, FAILED, PortalCommand, Usage, find_project, shell_actor
from connectors.models import Project, Token, TokenRefresh

REFUSED = "refused"
"""The action of a token that could not be tried at all."""


class Command(PortalCommand):
    """Asks the providers. Tokens that another worker is refreshing are left to it."""

    help = "Refresh the tokens that are due, or those of one project whether they are due or not"

    def add_arguments(self, parser: CommandParser) -> None:
        """All that are due, or a project and perhaps a type."""
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--due", action="store_true", help="every token that is due")
        which.add_argument("--project", metavar="SLUG", help="the tokens of the project with this slug, due or not")
        parser.add_argument(
            "--type", metavar="TYPE", nargs="+", action="extend", help="with --project: only those of these types"
        )

    def work(self, options: dict[str, Any]) -> int:
        """1 when one of the named tokens could not be refreshed."""
        if not options["due"]:
            return self._named(find_project(options["project"]), options["type"])
        if options["type"]:
            raise Usage("--type goes with --project.")
        tried = refresh_due()
        self.say(f"{tried} tokens were due." if tried else "No token is due.")
        self.print_json({"tried": tried})
        return DONE

    def _named(self, project: Project, types: list[str] | None) -> int:
        tokens = Token.objects.filter(connector__project=project).select_related("connector")
        if types:
            tokens = tokens.filter(connector__integration_type__in=types)
        missing = set(types or ()).difference(tokens.values_list("connector__integration_type", flat=True))
        if missing:
            raise Usage(f"{project.slug} has no token of {', '.join(sorted(missing))}.")
        rows = [_row(token) for token in tokens.order_by("connector__integration_type")]
        self.say(f"{project.slug}{'' if rows else ': no tokens'}")
        self.print_rows(rows)
        self.print_json({"project": project.slug, "results": rows})
        return DONE if all(row["action"] == TokenRefresh.Outcome.OK for row in rows) else FAILED


def _row(token: Token) -> dict[str, Any]:
    """Refreshes one token. `action` is the outcome."""
    row: dict[str, Any] = {"type": token.connector.integration_type_id, "action": REFUSED, "expires_at": None}
    try:
        line = refresh_now(token, shell_actor())
    except PortalError as error:
        return {**row, "reason": str(error)}
    ends = line.expires_at.isoformat(timespec="seconds") if line.expires_at else None
    return {**row, "action": line.outcome, "reason": line.note, "expires_at": ends}
