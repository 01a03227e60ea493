"""`manage.py demo`: web, worker, scheduler and Base44 emulator under one supervisor, with sample projects."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from connectors.core.errors import Refused
from portal.demo.launch import launch
from portal.demo.place import DemoPlace


class Command(BaseCommand):
    """Runs in the foreground until Ctrl-C."""

    help = "Start the whole portal on this machine with sample projects and a stand-in for Base44."
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Ports, the address to listen on, and whether to start anew."""
        parser.add_argument("--port", type=_port, default=8000, help="port of the portal (8000)")
        parser.add_argument("--emulator-port", type=_port, default=8044, help="port of the Base44 emulator (8044)")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine only)")
        parser.add_argument("--reset", action="store_true", help="delete the demo's data first")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the demo; exit with 1 when it cannot start or a program keeps crashing."""
        place = DemoPlace(settings.PORTAL_DATA_DIR, options["host"], options["port"], options["emulator_port"])
        try:
            exit_code = launch(place, self._say, reset=options["reset"])
        except Refused as error:
            raise CommandError(str(error)) from None
        if exit_code:
            raise SystemExit(exit_code)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65_535:
        raise ValueError
    return port
