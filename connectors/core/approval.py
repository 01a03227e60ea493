"""What exactly was approved: a name that changes as soon as anything of it does. No I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def fingerprint_of(subject: str, facts: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the canonical JSON of what would be done. The order of keys does not count.

    `facts` are JSON values that hold all of it and nothing that merely words it.
    """
    text = json.dumps([subject, facts], ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a proposal since it was shown: lines that it had then, and lines that it would have now."""

    gone: tuple[str, ...] = ()
    come: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.gone or self.come)


def compared(then: list[str], now: list[str]) -> Changed:
    """The lines that differ, each in its own order: `["a", "b"]`, `["b", "c"]` → gone `a`, come `c`."""
    return Changed(tuple(line for line in then if line not in now), tuple(line for line in now if line not in then))
