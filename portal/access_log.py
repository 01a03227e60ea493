"""The web server's access log, without the secrets that addresses carry."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from portal.redaction import redacted


class AccessLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's logger (`--logger-class`), whose access log hides what addresses carry."""

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        """gunicorn's own, each text redacted."""
        found: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        return {name: redacted(value) if isinstance(value, str) else value for name, value in found.items()}
