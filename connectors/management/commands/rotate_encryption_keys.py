"""`manage.py rotate_encryption_keys`: every stored secret, written anew with the first of ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from connectors.flows.rotate_keys import Rotation, count_secret_rows, rotate_keys
from connectors.management.commands._base import DONE, FAILED, PortalCommand, shell_actor


class Command(PortalCommand):
    """Can be stopped and started again; what is done stays done."""

    help = "Write every stored secret anew with the first of ENCRYPTION_KEYS; after that the others can go"

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether to look only."""
        super().add_arguments(parser)
        parser.add_argument("--check", action="store_true", help="change nothing; exit 1 while an old key is needed")

    def work(self, options: dict[str, Any]) -> int:
        """Rotates or counts, and says whether the old keys can go."""
        check = options["check"]
        with self.progress(count_secret_rows(), "rows") as advance:
            result = rotate_keys(shell_actor(), write=not check, advance=advance)
        for place in result.unreadable:
            self.warn(f"No key reads the {place}. Enter it anew, or put the key that wrote it back.")
        if not self.as_json:
            self.say(_in_words(result, check=check))
        document = {"rewritten": result.rewritten, "current": result.current, "unreadable": result.unreadable}
        self.print_json({**document, "check": check})
        return FAILED if result.unreadable or (check and result.rewritten) else DONE


def _in_words(result: Rotation, *, check: bool) -> str:
    if check:
        still = f"{result.rewritten} secrets still need an old key, {result.current} do not."
        return still if result.rewritten or result.unreadable else f"{still} The old keys can go."
    done = f"{result.rewritten} secrets were written anew, {result.current} did not need it."
    return f"{done} Old keys that wrote nothing else can go." if not result.unreadable else done
