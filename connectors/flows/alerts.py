"""Deliver: send the messages that are due, each once, and try again what may get through later.

A worker takes rows by a lease and holds no transaction while it talks. What a message says is decided when it is sent:
one that nobody needs any more is dropped, and many for one route become one.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import zoneinfo
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import transaction
from django.db.models import Count, F
from django.utils import timezone

from connectors.core.actor import SCHEDULER
from connectors.core.quiet_hours import quiet_end
from connectors.flows.alert_messages import Message, Outcome, compose
from connectors.flows.alert_routing import CHUNK, FLAPPING
from connectors.flows.events import record_event
from connectors.flows.lease import LAST_CALL, LEASE, RowLease
from connectors.models import AlertDelivery, AlertRoute, Severity
from connectors.models.alert import AlertDeliveryQuerySet

log = logging.getLogger(__name__)

Phase, State = AlertDelivery.Phase, AlertDelivery.State

DELIVERIES = RowLease(AlertDelivery)
AT_ONCE = 20
"""More new messages than this for one route are told in one."""
BATCH = 16
THREADS = 8
SEND_FOR = 300.0
"""Seconds after which a round takes no more: the next one does."""
DELAYS = tuple(dt.timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360, 900))
"""Between two attempts: the last one is most of a day after the first."""
LOOK_AGAIN = dt.timedelta(minutes=1)


def deliver(now: dt.datetime | None = None) -> int:
    """Sends what is due and returns how many were tried. Any number of workers may do it at once."""
    if not AlertDelivery.objects.due(now or timezone.now()).exists():
        return 0
    settle(now or timezone.now())
    tried, end = 0, time.monotonic() + SEND_FOR
    with ThreadPoolExecutor(THREADS, thread_name_prefix="alert") as pool:
        while time.monotonic() < end:
            at = now or timezone.now()
            last_call = time.monotonic() + (LEASE - LAST_CALL).total_seconds()
            if not (batch := DELIVERIES.take_many(_whole(AlertDelivery.objects.due(at)), at, BATCH)):
                break
            messages = _messages(batch, at)
            tried += len(messages)
            for message, outcome in zip(messages, pool.map(_before(last_call), messages), strict=True):
                store(message, outcome, now or timezone.now())
    return tried


def settle(now: dt.datetime) -> None:
    """Decides about everything due before any of it is sent, in a number of statements that follows the routes.

    Dropped is what a route that was switched off would get, the beginning of what is over by now, and the end of what
    nobody was told. The end waits for the beginning, and everything for the end of quiet hours.
    """
    due = AlertDelivery.objects.due(now)
    due.filter(route__is_enabled=False).update(state=State.DROPPED)
    due.filter(phase=Phase.OPENED, attempts=0, incident__closed_at__isnull=False).update(state=State.DROPPED)
    over = due.filter(phase=Phase.RECOVERED, incident__isnull=False)
    _update(over.with_opening(State.DROPPED, State.GIVEN_UP), now, state=State.DROPPED)
    _update(over.filter(incident__closed_at=None), now, next_attempt_at=now + FLAPPING)
    _update(over.with_opening(State.QUEUED), now, next_attempt_at=now + LOOK_AGAIN)
    waiting = AlertRoute.objects.in_use().filter(quiet_from__isnull=False, quiet_until__isnull=False)
    for route in waiting.filter(deliveries__state=State.QUEUED).distinct():
        if (end := quiet_until(route, now)) is not None:
            held = due.filter(route=route).exclude(phase=Phase.TEST)
            if route.critical_breaks_quiet:
                held = held.exclude(incident__severity=Severity.CRITICAL).exclude(incident=None, attempts=0)
            held.update(next_attempt_at=end)
    _gather(now)


def quiet_until(route: AlertRoute, now: dt.datetime) -> dt.datetime | None:
    """When the route's quiet hours are over; None outside of them."""
    if route.quiet_from is None or route.quiet_until is None:
        return None
    try:
        zone = zoneinfo.ZoneInfo(route.quiet_timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):  # a machine with fewer zones than the one it was chosen on
        zone = zoneinfo.ZoneInfo("UTC")
    return quiet_end(now, route.quiet_from, route.quiet_until, zone)


def _update(rows: AlertDeliveryQuerySet, now: dt.datetime, **values: object) -> None:
    """Reads which they are first: an UPDATE of rows by what others of the table say costs a scan for each."""
    keys = list(rows.values_list("pk", flat=True))
    for start in range(0, len(keys), CHUNK):
        free = AlertDelivery.objects.due(now).filter(pk__in=keys[start : start + CHUNK])
        free.order_by().update(**values)


def _whole(rows: AlertDeliveryQuerySet) -> AlertDeliveryQuerySet:
    """With everything that a message names, and without what none does."""
    place = ("incident__workspace", "incident__project", "incident__connector")
    return rows.select_related("route", *place).defer(
        "incident__workspace__credential",
        "incident__workspace__credential_refresh",
        "incident__project__notes",
        "incident__connector__source",
    )


def _gather(now: dt.datetime) -> None:
    """Where more than AT_ONCE new messages of a phase are due for one route, one takes their place."""
    news = AlertDelivery.objects.due(now).filter(attempts=0, incident__isnull=False)
    crowds = news.order_by().values("route", "phase").annotate(count=Count("pk")).filter(count__gt=AT_ONCE)
    for crowd in list(crowds):
        with transaction.atomic():
            # Locked: two workers would otherwise each make a summary, one of them empty.
            AlertRoute.objects.select_for_update().get(pk=crowd["route"])
            theirs = AlertDelivery.objects.due(now).filter(
                attempts=0, incident__isnull=False, route=crowd["route"], phase=crowd["phase"]
            )
            if theirs.count() > AT_ONCE:
                digest = AlertDelivery.objects.create(
                    route_id=crowd["route"], phase=crowd["phase"], next_attempt_at=now
                )
                theirs.order_by().update(state=State.DIGESTED, digest=digest)


def _messages(batch: Sequence[AlertDelivery], now: dt.datetime) -> list[Message]:
    """What to send for the rows taken; what nobody needs any more is dropped. The attempt counts from here on."""
    found = []
    for row in batch:
        message = _composed(row, now)
        if message is None:
            DELIVERIES.store(row.pk, row.generation, state=State.DROPPED)
            row.members.filter(state=State.DIGESTED).update(state=State.DROPPED)
        else:
            found.append(message)
    keys = [message.row.pk for message in found]
    AlertDelivery.objects.filter(pk__in=keys).update(attempts=F("attempts") + 1)
    for message in found:
        message.row.attempts += 1
    return found


def _composed(row: AlertDelivery, now: dt.datetime) -> Message | None:
    """As `compose`; a fault of ours in one message must not keep back all that come after it."""
    try:
        return compose(row, now)
    except Exception:
        log.exception("An alert could not be put together")
        broken = Outcome("The message could not be put together: an internal error, which the log tells of.")
        return Message(row, lambda: broken)


def _before(last_call: float) -> Callable[[Message], Outcome | None]:
    """Sends a message and gives what came of it; None: another worker may take the row soon, so it was not tried."""
    return lambda message: message.send() if time.monotonic() < last_call else None


def store(message: Message, outcome: Outcome | None, now: dt.datetime) -> None:
    """Writes down what came of one message, on its row and on its route."""
    row = message.row
    with transaction.atomic():
        if outcome is None:
            DELIVERIES.release(row.pk, row.generation, attempts=row.attempts - 1)
        elif outcome.ok:
            DELIVERIES.store(row.pk, row.generation, state=State.SENT, sent_at=now, error="")
            AlertRoute.objects.filter(pk=row.route_id).update(
                last_sent_at=now, last_error="", failures=0, is_failing=False
            )
        else:
            _store_failure(row, outcome, now)


def _store_failure(row: AlertDelivery, outcome: Outcome, now: dt.datetime) -> None:
    error, again = outcome.said[:300], next_attempt(row.attempts, outcome, now)
    route = AlertRoute.objects.select_for_update().get(pk=row.route_id)
    route.failures, route.last_error = route.failures + 1, error
    if again is None:
        DELIVERIES.store(row.pk, row.generation, state=State.GIVEN_UP, error=error)
        _mark_failing(route, outcome)
    else:
        DELIVERIES.release(row.pk, row.generation, next_attempt_at=again, error=error)
        # The others for this route wait as long: it would fail with each of them, and hold up those for other routes.
        AlertDelivery.objects.due(now).filter(route=route).order_by().update(next_attempt_at=again)
    route.save(update_fields=["failures", "last_error", "is_failing", "is_enabled"])


def _mark_failing(route: AlertRoute, outcome: Outcome) -> None:
    if not route.is_failing:
        record_event(SCHEDULER, "alert_route.failing", route, note=outcome.said)
    route.is_failing = True
    if outcome.gone and route.is_enabled:
        route.is_enabled = False
        record_event(SCHEDULER, "alert_route.switched_off", route, note=outcome.said)


def next_attempt(attempts: int, outcome: Outcome, now: dt.datetime) -> dt.datetime | None:
    """When to try again after this many attempts; None: not again."""
    if outcome.permanent or attempts > len(DELAYS):
        return None
    return now + max(DELAYS[max(attempts, 1) - 1], outcome.retry_after or dt.timedelta())
