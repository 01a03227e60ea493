"""One JSON object per log line, for machines that collect logs (LOG_FORMAT=json)."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """Time (UTC, ISO 8601), level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Render the record as one line; line breaks in messages are escaped, so no message can forge a second line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = record.exc_text or self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)
