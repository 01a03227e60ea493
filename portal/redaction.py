"""Keep secrets that addresses carry out of logs and error reports: codes, states and one-use links.

Nothing of ours logs a secret. This is for those who log addresses: web servers, Django, libraries.
"""

from __future__ import annotations

import logging
import re

HIDDEN = "[hidden]"

_NAMES = "code|state|token|access_token|refresh_token|id_token|client_secret|code_verifier|nonce|device_code|password"
_IN_QUERY = re.compile(rf"(?i)\b({_NAMES})=[^&\s\"'<>;]+")
_IN_MAPPING = re.compile(rf"(?i)(['\"](?:{_NAMES})['\"]:\s*\[?['\"])[^'\"]+")
_PLAIN = logging.Formatter()
_ONE_USE_LINK = re.compile(r"/consent/[\w-]{20,}")


def redacted(text: str) -> str:
    """The text with the values of telling names hidden: `?code=abc&x=1` → `?code=[hidden]&x=1`."""
    text = _IN_QUERY.sub(rf"\1={HIDDEN}", text)
    text = _IN_MAPPING.sub(rf"\1{HIDDEN}", text)
    return _ONE_USE_LINK.sub(f"/consent/{HIDDEN}", text)


class RedactingFilter(logging.Filter):
    """Hides secrets in a record's message and traceback before any formatter sees them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: the record is changed, not dropped."""
        message = record.getMessage()
        hidden = redacted(message)
        if hidden != message:
            record.msg, record.args = hidden, None
        if record.exc_info:
            # Formatters take this text for the traceback when it is there.
            record.exc_text = redacted(record.exc_text or _PLAIN.formatException(record.exc_info))
        return True
