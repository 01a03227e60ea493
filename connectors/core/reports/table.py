"""What a report is: named columns, and rows that come one after the other."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

Cell = str | int | bool | dt.datetime | tuple[str, ...] | None
"""None: not known, or nothing to say. Datetimes are aware."""

Row = tuple[Cell, ...]

LIST_SEPARATOR = "; "
"""Between the items of a list where a format has no lists; JSON has them."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `key` is the contract with whoever reads the file by program: once released it never changes.

    `on_paper` False leaves it out of the printable page, where width is scarce: what it says follows from others.
    """

    key: str
    title: str
    about: str = ""
    on_paper: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A report. `rows` may be a generator: writers go through it once and keep none of it.

    `name` is part of the file's name and of the JSON; `about` says in words what was chosen.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Iterable[Row]
    about: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """When a report was made, and by whom."""

    at: dt.datetime
    by: str = ""


def utc_text(at: dt.datetime) -> str:
    """ISO 8601 in UTC to the second: `2026-05-12T09:30:00Z`."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@lru_cache(maxsize=20_000)
def plain(text: str) -> str:
    """The text with a replacement character for each one that XML or UTF-8 cannot hold, and with \\n as line ends."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text)
