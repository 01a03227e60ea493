"""CSV as RFC 4180 has it: commas, CRLF, every cell in quotes; in UTF-8 with its mark, or Excel would misread it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from functools import lru_cache
from typing import IO

from connectors.core.reports.table import LIST_SEPARATOR, Cell, Row, Table, plain, utc_text

_LINES_AT_ONCE = 500

# A program set to another separator (Excel is, in many countries) begins a cell at each semicolon of a quoted text.
_SEPARATORS = ",;|\t\n"
_FILLING = r"\s\"'\u200b\ufeff,;|"
_FORMULA = re.compile(rf"(?<![{_FILLING}])([{_FILLING}]*+)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def write_csv(table: Table, file: IO[bytes]) -> int:
    """Writes head and rows; returns how many rows there were. Texts that could be formulas get an apostrophe."""
    file.write(codecs.BOM_UTF8)
    buffer, count = io.StringIO(newline=""), 0
    lines = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    lines.writerow([column.key for column in table.columns])
    for row in table.rows:
        lines.writerow(_line(row))
        count += 1
        if not count % _LINES_AT_ONCE:
            _drain(buffer, file)
    _drain(buffer, file)
    return count


@lru_cache(maxsize=20_000)
def defused(text: str) -> str:
    """The text as no spreadsheet takes it for a formula: an apostrophe before =, +, -, @ where a cell could begin.

    As OWASP's "CSV Injection" asks, and also after spaces, quotes and separators: `=1+1` becomes `'=1+1`.
    """
    text = _FORMULA.sub(_guarded, plain(text))
    return f"'{text}" if text.startswith(("\t", "\n")) else text


def _guarded(found: re.Match[str]) -> str:
    filling = found[1]
    cut = 1 + max(filling.rfind(sign) for sign in _SEPARATORS)
    begins_cell = cut > 0 or found.start() == 0
    return f"{filling[:cut]}'{filling[cut:]}" if begins_cell else filling


def _line(row: Row) -> list[str]:
    return [_text(cell) for cell in row]


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, str):
        return defused(cell)
    return utc_text(cell) if not isinstance(cell, tuple) else defused(LIST_SEPARATOR.join(cell))


def _drain(buffer: io.StringIO, file: IO[bytes]) -> None:
    file.write(buffer.getvalue().encode())
    buffer.seek(0)
    buffer.truncate()
