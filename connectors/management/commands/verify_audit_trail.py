"""`manage.py verify_audit_trail`: whether the trail is as it was written, and where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from connectors.core.trail import checkpoint as checkpoints
from connectors.core.trail.checkpoint import Checkpoint, CheckpointError
from connectors.flows.trail_check import check
from connectors.flows.trail_findings import Findings
from connectors.management.commands._base import DONE, FAILED, PortalCommand, Usage, shell_actor
from connectors.models import TrailSegment


class Command(PortalCommand):
    """Reads everything and changes nothing, but for the word on record that it was run."""

    help = "Check that nobody changed, removed, put in or moved events, and say where somebody did"

    def add_arguments(self, parser: CommandParser) -> None:
        """From where on, and against what."""
        super().add_arguments(parser)
        parser.add_argument("--from", dest="start", type=int, default=1, metavar="N", help="begin with segment N")
        parser.add_argument(
            "--checkpoint", action="append", default=[], metavar="FILE", help="compare with a checkpoint kept elsewhere"
        )
        parser.add_argument("--public-key", default="", metavar="KEY", help="whose checkpoints count; default: our own")

    def work(self, options: dict[str, Any]) -> int:
        """Exit code 1 when anything is not as it was written."""
        if options["start"] < 1:
            raise Usage("--from takes the number of a segment, 1 or more.")
        found = [one for name in options["checkpoint"] for one in _read(name)]
        total = TrailSegment.objects.filter(number__gte=options["start"]).count()
        with self.progress(total, "segments") as advance:
            findings = check(
                timezone.now(),
                shell_actor(),
                from_segment=options["start"],
                checkpoints=found,
                public_key=options["public_key"],
                advance=advance,
            )
        self._tell(findings)
        self.print_json(_document(findings))
        return DONE if findings.is_sound else FAILED

    def _tell(self, findings: Findings) -> None:
        for fault in findings.faults:
            self.warn(fault.text)
        if findings.fault_count > len(findings.faults):
            self.warn(f"And {findings.fault_count - len(findings.faults)} more.")
        for note in findings.notes:
            self.say(f"Note: {note}")
        if not self.as_json:
            self.say(_in_words(findings))


def _read(name: str) -> list[Checkpoint]:
    path = Path(name)
    if path.stat().st_size > checkpoints.MAX_BYTES:
        raise CheckpointError(f"{name} is too long for a file of checkpoints.")
    return checkpoints.read(path.read_text(encoding="utf-8", errors="replace"), name)


def _in_words(findings: Findings) -> str:
    counted = f"{findings.events} events in {findings.segments} segments"
    archived = f", {findings.archived} of them archived" if findings.archived else ""
    waiting = f" {findings.unsealed} events wait to be sealed." if findings.unsealed else ""
    if findings.is_sound:
        total = findings.events + findings.archived
        return f"{total} events in {findings.segments} segments{archived} are as they were written.{waiting}"
    return f"The trail is NOT as it was written: {findings.fault_count} faults; {counted} are in order.{waiting}"


def _document(findings: Findings) -> dict[str, Any]:
    return {
        "sound": findings.is_sound,
        "segments": findings.segments,
        "events": findings.events,
        "archived": findings.archived,
        "unsealed": findings.unsealed,
        "fault_count": findings.fault_count,
        "faults": [fault.document for fault in findings.faults],
        "notes": findings.notes,
    }
