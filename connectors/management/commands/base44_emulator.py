"""`manage.py base44_emulator`: a stand-in for Base44, for the demo and for development."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from connectors.core.base44.emulator.cli import EmulatorFailure, add_arguments, options_from, run


class Command(BaseCommand):
    """Only parses and runs; needs no database."""

    help = "Run the Base44 emulator until interrupted"
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """The emulator's own options."""
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve; a taken port or an unusable file ends with one line and exit code 1."""
        try:
            run(options_from(options), self._say)
        except EmulatorFailure as failure:
            raise CommandError(str(failure)) from failure

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()  # whoever started it through a pipe waits for this line
