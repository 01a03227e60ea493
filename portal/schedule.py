"""What the scheduler sends to the workers, and how often."""

from __future__ import annotations

from typing import Any

_HOUR, _DAY = 3600.0, 86_400.0


def beat_schedule(sync_interval: float) -> dict[str, dict[str, Any]]:
    """Celery's schedule for the portal's tasks; `sync_interval` is how often a project is synced, in seconds.

    Work that the next message asks for just as well expires: a queue that stands still must not fill up with it.
    """
    return dict(
        [
            _every(15.0, "beat", expires=60.0),
            # Often, because each time it takes only the projects that are due: that spreads a fleet over the interval.
            _every(min(15.0, sync_interval), "sync_due_projects"),
            _every(15.0, "refresh_due_tokens", expires=15.0),
            _every(15.0, "work_repositories", expires=15.0),
            _every(15.0, "deliver_alerts", expires=15.0),
            _every(15.0, "seal_trail", expires=15.0),
            _every(15.0, "stream_trail", expires=15.0),
            _every(30.0, "sweep"),
            _every(60.0, "work_approvals", expires=60.0),
            _every(60.0, "watch_incidents", expires=60.0),
            _every(_HOUR, "remind_reviewers"),
            _every(_HOUR, "expire_exceptions"),
            _every(_HOUR, "warn_of_deaths"),
            _every(_DAY, "prune"),
            _every(_DAY, "check_trail"),
        ]
    )


def _every(seconds: float, task: str, *, expires: float | None = None) -> tuple[str, dict[str, Any]]:
    entry: dict[str, Any] = {"task": f"connectors.tasks.{task}", "schedule": seconds}
    if expires is not None:
        entry["options"] = {"expires": expires}
    return task.replace("_", "-"), entry
