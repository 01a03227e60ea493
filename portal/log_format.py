"""How log lines look: text for people, one JSON object per line for machines that collect logs (LOG_FORMAT=json)."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from connectors.core.trace import current_trace
from portal.current_request import current_user_id

TRACED = ("request_id", "task_id", "user_id")


class TraceFilter(logging.Filter):
    """Writes onto each record to which request, task and person it belongs; "" where there is none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: the record is completed, not dropped."""
        trace, user_id = current_trace(), current_user_id()
        values = (trace.request_id, trace.task_id, "" if user_id is None else user_id)
        for name, value in zip(TRACED, values, strict=True):
            setattr(record, name, value)
        names = [f"{name.removesuffix('_id')}={value}" for name, value in zip(TRACED, values, strict=True) if value]
        record.trace = f" [{' '.join(names)}]" if names else ""
        return True


class JsonFormatter(logging.Formatter):
    """Time (UTC, ISO 8601), level, logger, message, what it belongs to, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Render the record as one line; line breaks in messages are escaped, so no message can forge a second line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name in TRACED if (value := getattr(record, name, ""))}
        if record.exc_info:
            entry["traceback"] = record.exc_text or self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Time, level, logger, what it belongs to, message. A message cannot forge a second line."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}{trace}: {message}", style="{", defaults={"trace": ""})

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line; only what a traceback adds comes on lines of its own."""
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")
