"""`manage.py backup_database FILE`: the whole database in one file, beside the running portal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from connectors.flows.backup import make_backup, note_backup
from connectors.management.commands._base import DONE, PortalCommand, Usage, shell_actor


class Command(PortalCommand):
    """docs/operations.md says how a backup is restored, and what else has to be kept."""

    help = "Write the whole database into one new file, which nobody but you can read, and put that on record"

    def add_arguments(self, parser: CommandParser) -> None:
        """The file, or the name of a backup that something else has made."""
        super().add_arguments(parser)
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="must not exist yet")
        parser.add_argument("--made-elsewhere", metavar="NAME", help="only put on record that this backup was made")

    def work(self, options: dict[str, Any]) -> int:
        """Backs up or notes, and says so."""
        file, elsewhere = options["file"], options["made_elsewhere"]
        if (file is None) == (elsewhere is None):
            raise Usage("Name a new file, or a backup that was made elsewhere with --made-elsewhere")
        if elsewhere is not None:
            note_backup(shell_actor(), elsewhere)
            size = None
        else:
            size = make_backup(shell_actor(), file.absolute())
        if not self.as_json:
            self.say(f"{file} holds {size:,} bytes." if file else "Noted.")
            self.say("The encryption keys are not in it, and without them its credentials cannot be read.")
        self.print_json({"backup": str(file or elsewhere), "bytes": size})
        return DONE
