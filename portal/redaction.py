"""Keep secrets out of logs and error reports, whoever writes them there: codes, tokens, cookies, passwords, keys.

Nothing of ours logs a secret. This is for those who log addresses, headers and settings: servers, Django, libraries.
"""

from __future__ import annotations

import logging
import re

HIDDEN = "[hidden]"

_NAMES = (
    r"code|state|token|access_token|refresh_token|id_token|client_secret|code_verifier|nonce|device_code|password|passwd|"
    r"secret|secret_key|encryption_keys|private_key|api_key|apikey|authorization|cookie|(?:__host-|__secure-)?sessionid|"
    r"(?:__host-|__secure-)?csrftoken|csrfmiddlewaretoken"
)
_PLAIN = logging.Formatter()
# Bounds on every repetition that others follow: a long line must not keep the process that logs it busy.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,30}-----|\Z)", re.DOTALL),
        HIDDEN,
    ),
    (
        re.compile(r"(?i)\b((?:set-|)cookie|(?:proxy-|)authorization|x-[a-z-]{1,30}token)(:\s?)[^\r\n'\"]+"),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(rf"(?i)(['\"](?:{_NAMES})['\"]:\s?\[?b?['\"])[^'\"]+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)(?<![a-z0-9])({_NAMES})=[^&\s\"'<>;]+"), rf"\1={HIDDEN}"),
    (re.compile(r"(?i)\b(bearer) [a-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b(basic) [a-z0-9+/=_-]{16,}"), rf"\1 {HIDDEN}"),
    # `git` alone is no secret, and says which kind of address it is.
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)(?!git@)[^\s/?#@'\"<>]{1,1000}@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|b44[a-z]{1,2}_|sk_live_|ya29\.)[\w.-]{10,}"), HIDDEN),
    # Also as the part `next=` of another address, where each / is a %2F.
    (re.compile(r"(?i)(/|%2F)(consent|join|reset(?:/|%2F)key)(/|%2F)[\w-]{20,}"), rf"\1\2\3{HIDDEN}"),
)


def redacted(text: str) -> str:
    """The text with the values of telling names hidden: `?code=abc&x=1` → `?code=[hidden]&x=1`."""
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text


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
        if record.stack_info:
            record.stack_info = redacted(record.stack_info)
        return True
