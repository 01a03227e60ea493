"""`manage.py list_tokens`: how the tokens that the portal holds stand. Never their text."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from connectors.management.commands._base import DONE, ProjectCommand
from connectors.models import Token

SECRETS = ["access_token", "refresh_token", "oauth_client__client_secret", "connector__source"]


class Command(ProjectCommand):
    """Reads the portal's own rows and asks nobody."""

    help = "List the tokens that the portal holds, and how they stand"

    def add_arguments(self, parser: CommandParser) -> None:
        """Which of them."""
        super().add_arguments(parser)
        parser.add_argument(
            "--state",
            nargs="+",
            action="extend",
            choices=[*Token.Condition.values, "attention"],
            metavar="STATE",
            help="only those in this state: fresh, due, expired, failing, misconfigured, needs_consent, revoked; "
            "attention: those that need somebody",
        )

    def work(self, options: dict[str, Any]) -> int:
        """One row for each token, by project."""
        projects, now = self.projects(options), timezone.now()
        rows = defaultdict(list)
        for token in self._tokens([project.pk for project in projects]):
            if _is_asked_for(token, options["state"], now):
                rows[token.connector.project_id].append(_row(token, now))
        for project in projects:
            if rows[project.pk] or not options["all"]:
                self.heading(options, project, "" if rows[project.pk] else "no tokens")
                self.print_rows(rows[project.pk])
        self.print_projects(options, [{"project": row.slug, "results": rows[row.pk]} for row in projects])
        return DONE

    def _tokens(self, projects: list[int]) -> Any:
        found = Token.objects.filter(connector__project__in=projects).select_related("connector", "oauth_client")
        return found.defer(*SECRETS).order_by("connector__integration_type").iterator()


def _is_asked_for(token: Token, states: list[str] | None, now: dt.datetime) -> bool:
    condition = token.condition(now)
    return not states or condition in states or ("attention" in states and condition in Token.NEED_ATTENTION)


def _row(token: Token, now: dt.datetime) -> dict[str, Any]:
    return {
        "type": token.connector.integration_type_id,
        "action": token.condition(now).value,
        "reason": token.last_error,
        "account": token.account,
        "client": token.oauth_client.slug,
        "granted": token.granted_scopes,
        "expires_at": _text(token.expires_at),
        "refresh_at": _text(token.refresh_at),
    }


def _text(at: dt.datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
