"""`manage.py checkpoint_audit_trail`: a signed word about the trail, to be kept where nobody can change it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from connectors.core.trail.checkpoint import public_key
from connectors.flows.trail_seal import seal
from connectors.flows.trail_verify import checkpoint_now
from connectors.management.commands._base import DONE, FAILED, PortalCommand
from connectors.models.trail_keys import trail_keys


class Command(PortalCommand):
    """The checkpoint is JSON with or without --json: it is made for files."""

    help = "Print a signed checkpoint of the audit trail, for verify_audit_trail --checkpoint"

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to, or only the key to check with."""
        super().add_arguments(parser)
        parser.add_argument("--out", metavar="FILE", help="append it to this file, one a line")
        parser.add_argument("--public-key", action="store_true", help="print the key that checks signatures, no secret")

    def work(self, options: dict[str, Any]) -> int:
        """Seals what waits, then signs; exit code 1 while there is nothing on record."""
        if options["public_key"]:
            self.stdout.write(public_key(trail_keys().first))
            return DONE
        now = timezone.now()
        seal(now)
        checkpoint = checkpoint_now(now)
        if checkpoint is None:
            self.warn("There is no event on record yet.")
            return FAILED
        line = json.dumps(checkpoint.document)
        if options["out"] is None:
            self.stdout.write(line)
            return DONE
        with Path(options["out"]).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self.say(f"Segment {checkpoint.segment}, {checkpoint.events} events: appended to {options['out']}")
        return DONE
