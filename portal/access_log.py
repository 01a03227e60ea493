"""The web server's access log: without the secrets that addresses carry, as JSON where LOG_FORMAT says so."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

from gunicorn.glogging import Logger

from portal.redaction import redacted


class AccessLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's logger (`--logger-class`), whose access log hides what addresses carry."""

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        """gunicorn's own, each text redacted."""
        found: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        return {name: redacted(value) if isinstance(value, str) else value for name, value in found.items()}

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """One line for each request: gunicorn's own form, or the fields of the application's JSON log lines."""
        if os.environ.get("LOG_FORMAT", "").lower() != "json":
            super().access(resp, req, environ, request_time)
        elif self.cfg.accesslog:
            self.access_log.info(json.dumps(self._entry(resp, req, environ, request_time), ensure_ascii=False))

    def _entry(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        atoms = self.atoms(resp, req, environ, request_time)
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": "info",
            "logger": "gunicorn.access",
            "message": atoms["r"],
            "request_id": atoms.get("{x-request-id}o", "-"),
            "address": atoms["h"],
            "status": atoms["s"],
            "bytes": atoms["B"],
            "seconds": float(atoms["L"]),
        }
