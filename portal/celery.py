"""The Celery application: workers and the scheduler start from here (`celery -A portal ...`).

A message carries the name of the request that it comes from, so that what a worker does can be found by it.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import Any

from celery import Celery, Task
from celery.signals import before_task_publish, task_postrun, task_prerun

from connectors.core.trace import SENT_AT, Trace, current_trace, traced
from portal import worker_life as worker_life

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

TRACE_HEADER = "portal_trace"
_running: dict[str, ExitStack] = {}


@before_task_publish.connect
def send_trace(headers: dict[str, Any], **_: object) -> None:
    """Writes into the message which request it belongs to, and when it was sent."""
    trace = current_trace()
    headers[SENT_AT] = time.time()
    headers[TRACE_HEADER] = {"request_id": trace.request_id, "address": trace.address}


@task_prerun.connect
def begin_trace(task_id: str, task: Task[Any, Any], **_: object) -> None:
    """What the task does belongs to the request that asked for it, and to the task."""
    # A worker puts the message's headers into the request itself, an eager call below "headers".
    sent = task.request.get(TRACE_HEADER) or (task.request.headers or {}).get(TRACE_HEADER) or {}
    stack = ExitStack()
    stack.enter_context(traced(Trace(sent.get("request_id", ""), sent.get("address", ""), task_id)))
    _running[task_id] = stack


@task_postrun.connect
def end_trace(task_id: str, **_: object) -> None:
    """The thread goes on to another task."""
    if (stack := _running.pop(task_id, None)) is not None:
        stack.close()
