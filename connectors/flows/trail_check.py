"""Check: verify a part of the trail, keep what was found, and say so loudly when something is wrong."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Sequence

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.trail.checkpoint import Checkpoint
from connectors.flows.events import record_event
from connectors.flows.trail_findings import Findings
from connectors.flows.trail_seal import seal
from connectors.flows.trail_verify import checkpoint_now, verify
from connectors.models import TrailCheck, TrailSegment

log = logging.getLogger(__name__)

NEWEST = 500
"""Segments that the daily check looks at: half a million events."""
KEPT = 50
"""Faults that are kept and logged of one check."""
CHECKS = 1_000
"""Checks that are remembered."""


def check(
    now: dt.datetime,
    actor: Actor,
    *,
    from_segment: int = 1,
    checkpoints: Sequence[Checkpoint] = (),
    public_key: str = "",
    advance: Callable[[int], None] = lambda segments: None,
) -> Findings:
    """Verifies the trail from a segment on; what was found goes on record, and faults into the log."""
    findings = verify(now, from_segment=from_segment, checkpoints=checkpoints, public_key=public_key, advance=advance)
    for fault in findings.faults[:KEPT]:
        log.critical("Audit trail: %s", fault.text)
    _keep(now, actor, findings)
    if findings.is_sound and findings.late:
        seal(now, late=findings.late)
    return findings


def check_newest(now: dt.datetime, actor: Actor) -> Findings:
    """The newest part of the trail, and whatever was found wrong before and has not been looked at since."""
    newest = TrailSegment.objects.aggregate(last=Max("number"))["last"] or 0
    starts = [one.from_segment for one in TrailCheck.objects.unsettled()]
    findings = check(now, actor, from_segment=max(1, min([newest - NEWEST + 1, *starts])))
    say_checkpoint(now)
    return findings


def say_checkpoint(now: dt.datetime) -> None:
    """Puts a signed checkpoint into the log: where logs are gathered elsewhere, the trail cannot be cut off behind."""
    if (checkpoint := checkpoint_now(now)) is not None:
        log.info("Audit trail checkpoint: %s", json.dumps(checkpoint.document))


@transaction.atomic
def _keep(now: dt.datetime, actor: Actor, findings: Findings) -> None:
    row = TrailCheck.objects.create(
        started_at=now,
        finished_at=timezone.now(),
        from_segment=findings.from_segment,
        to_segment=findings.to_segment,
        events=findings.events,
        fault_count=findings.fault_count,
        faults=[fault.document for fault in findings.faults[:KEPT]],
    )
    TrailCheck.objects.filter(pk__lte=row.pk - CHECKS, fault_count=0).delete()
    after = {
        "from_segment": findings.from_segment,
        "to_segment": findings.to_segment,
        "events": findings.events,
        "faults": findings.fault_count,
    }
    record_event(actor, "trail.verified", row, after=after)
