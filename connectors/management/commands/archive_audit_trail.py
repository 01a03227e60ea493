"""`manage.py archive_audit_trail`: move old, verified segments of the trail into files."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from connectors.flows.trail_archive import archive
from connectors.flows.trail_files import archive_dir
from connectors.management.commands._base import DONE, PortalCommand, Usage, shell_actor


class Command(PortalCommand):
    """Can be stopped and started again at any time."""

    help = "Move events that are older than TRAIL_RETENTION_DAYS into files, whole segments at a time"

    def add_arguments(self, parser: CommandParser) -> None:
        """How old."""
        super().add_arguments(parser)
        parser.add_argument("--days", type=int, metavar="N", help="instead of TRAIL_RETENTION_DAYS")

    def work(self, options: dict[str, Any]) -> int:
        """Says which files were written."""
        given = options["days"]
        days = settings.TRAIL_RETENTION_DAYS if given is None else given
        if days < 0 or (given is None and days == 0):
            raise Usage("TRAIL_RETENTION_DAYS is 0, so every event stays. Name another number of days with --days.")
        made = archive(timezone.now(), shell_actor(), keep_days=days)
        for one in made:
            if not self.as_json:
                self.say(f"{one.name}: segments {one.first} to {one.last}, {one.events} events")
        if not made and not self.as_json:
            self.say("No segment is that old.")
        self.print_json({"folder": str(archive_dir()), "files": [dataclasses.asdict(one) for one in made]})
        return DONE
