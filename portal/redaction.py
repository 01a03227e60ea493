"""Keep secrets out of logs and error reports, whoever writes them there: codes, tokens, cookies, passwords, keys.

Nothing of ours logs a secret. This is for those who log addresses, headers and settings: servers, Django, libraries.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

HIDDEN = "[hidden]"

_NAMES = (
    "code|state|token|access_token|refresh_token|id_token|client_secret|code_verifier|nonce|device_code|password|passwd|"
    "secret|secret_key|encryption_keys|private_key|api_key|apikey|authorization|cookie|__host-sessionid|"
    "__secure-sessionid|sessionid|__host-csrftoken|__secure-csrftoken|csrftoken|csrfmiddlewaretoken"
)
_PLAIN = logging.Formatter()


@dataclass(frozen=True, slots=True)
class Rule:
    """What is hidden. Whatever the pattern matches has one of `signs` in it, in small letters.

    A text without them is not searched: a search takes ten times as long as a look.
    """

    pattern: re.Pattern[str]
    instead: str
    signs: tuple[str, ...]


def _rule(pattern: str, instead: str, *signs: str) -> Rule:
    # ASCII: else `(?i)` takes `ſ` for an s, which no sign would be found for.
    return Rule(re.compile(pattern, re.ASCII | re.DOTALL), instead, signs)


# Bounds on every repetition that others follow: a long line must not keep the process that logs it busy.
RULES = (
    _rule(
        r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,30}-----|\Z)",
        HIDDEN,
        "private key-----",
    ),
    _rule(
        r"(?i)\b((?:set-|)cookie|(?:proxy-|)authorization|x-[a-z-]{1,30}token)(:\s?)[^\r\n'\"]+",
        rf"\1\2{HIDDEN}",
        "cookie:",
        "authorization:",
        "token:",
    ),
    _rule(rf"(?i)(['\"](?:{_NAMES})['\"]:\s?\[?b?['\"])[^'\"]+", rf"\1{HIDDEN}", "':", '":'),
    _rule(rf"(?i)(?<![a-z0-9])({_NAMES})=[^&\s\"'<>;]+", rf"\1={HIDDEN}", *(f"{name}=" for name in _NAMES.split("|"))),
    _rule(r"(?i)\b(bearer) [a-z0-9._~+/=-]{8,}", rf"\1 {HIDDEN}", "bearer "),
    _rule(r"(?i)\b(basic) [a-z0-9+/=_-]{16,}", rf"\1 {HIDDEN}", "basic "),
    # `git` alone is no secret, and says which kind of address it is.
    _rule(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)(?!git@)[^\s/?#@'\"<>]{1,1000}@", rf"\1{HIDDEN}@", "://"),
    _rule(r"\beyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?", HIDDEN, "eyj"),
    _rule(
        r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|b44[a-z]{1,2}_|sk_live_|ya29\.)[\w.-]{10,}",
        HIDDEN,
        *(f"gh{kind}_" for kind in "pousr"),
        *("github_pat_", "glpat-", "xox", "b44", "sk_live_", "ya29."),
    ),
    # Also as the part `next=` of another address, where each / is a %2F.
    _rule(
        r"(?i)(/|%2F)(consent|join|reset(?:/|%2F)key)(/|%2F)[\w-]{20,}",
        rf"\1\2\3{HIDDEN}",
        *("consent", "join", "reset"),
    ),
)


def redacted(text: str) -> str:
    """The text with the values of telling names hidden: `?code=abc&x=1` → `?code=[hidden]&x=1`."""
    small = text.lower()
    for rule in RULES:
        if any(sign in small for sign in rule.signs):
            text = rule.pattern.sub(rule.instead, text)
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
